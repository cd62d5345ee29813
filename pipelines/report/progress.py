"""The progress of a program on stderr: a bar on a terminal, plain lines anywhere else."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from numba.core import event
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from pipelines.report.remaining import Remaining, in_words
from recsys.core.errors import visible
from recsys.core.steps import step, told_to

WRITING, PAGE = "writing files", "making the page"
"""Phases after the last cell."""
_PHASE_WIDTH = 19
_COMPILING = "compiling"
_HEARTBEAT = 60.0
"""Seconds without a line after which one says what is being done, where there is no terminal."""


class StudyProgress:
    """A context manager to hand to `recsys.run` as its `progress`.

    Args:
        what: what is counted, such as `cells`.
        silent: whether nothing is printed.

    Attributes:
        what: what is counted.
        done: number that are finished.
        total: number that there are; set it before the block begins.
        kept_in: where finished ones are kept, if that is not the usual folder.
        remaining: estimates the time left from small steps; None if these are not known, and the
            time left follows from what is counted.
    """

    def __init__(self, what: str = "cells", *, silent: bool = False) -> None:
        self.what = what
        self.done = 0
        self.total = 0
        self.kept_in: str | None = None
        self.remaining: Remaining | None = None
        self._phase = ""
        self._compiled = False
        self._start = self._told = time.monotonic()
        self._console = Console(stderr=True, highlight=False, quiet=silent)
        hidden = silent or not self._console.is_terminal
        self._bar = _Bar(self._console, self._left, disable=hidden)
        self._task = self._bar.add_task(what, total=None, phase="", counted="")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._start = self._told = time.monotonic()
        self._bar.update(self._task, total=self.total)
        self._bar.start()
        self._stack.enter_context(told_to(self._begun))
        self._stack.enter_context(
            event.install_listener("numba:compile", _Compiler(self._compiles))
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._bar.stop()

    def __call__(self, done: int, total: int, name: str) -> None:
        """Shows that one more is done.

        Args:
            done: number that are finished.
            total: number that there are.
            name: the one that was finished last, such as `als-seed-0`.
        """
        self.done, self.total = done, total
        if self.remaining is not None:
            self.remaining.finish(name)
        name = visible(name)
        if self._console.is_terminal:
            self._show(name)
        else:
            self._line(f"{done}/{total} {self.what}, {self._times()}: {name}")

    def part(self, prefix: str) -> Callable[[int, int, str], None]:
        """The progress of one study of several, which counts on from what is done.

        Args:
            prefix: text before the names that are shown, such as `calm: `.
        """
        before = self.done
        return lambda done, total, name: self(before + done, self.total, f"{prefix}{name}")

    def phase(self, name: str) -> None:
        """Shows that a phase begins which is not counted.

        Args:
            name: such as `WRITING`.
        """
        step(name, "")

    def _begun(self, phase: str, what: str) -> None:
        """Shows a step that some thread begins."""
        if self.remaining is not None:
            self.remaining.begin(phase, what)
        what = visible(what)
        is_new, self._phase = phase != self._phase, phase
        if self._console.is_terminal:
            self._show(what)
        elif is_new and self.total and self.done == self.total:
            self._line(f"{phase}, {self._seconds():.0f} s")
        elif self._told == self._start or time.monotonic() - self._told > _HEARTBEAT:
            self._line(f"{phase}, {self._times()}: {what}")

    def _compiles(self, function: str) -> None:
        """Shows that numba compiles a function, which it does once on a machine."""
        if self._console.is_terminal:
            phase, self._phase = self._phase, _COMPILING
            self._show(function)
            self._phase = phase
        elif not self._compiled:
            self._line(f"{_COMPILING}, {self._seconds():.0f} s: once on this machine")
        self._compiled = True

    def _show(self, what: str) -> None:
        self._bar.live_line = what
        self._bar.update(
            self._task,
            completed=self.done,
            total=self.total or None,
            phase=self._phase or self.what,
            counted=f"{self.done}/{self.total} {self.what}",
        )

    def _line(self, text: str) -> None:
        self._told = time.monotonic()
        self._console.print(text, markup=False, soft_wrap=True)

    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _left(self) -> float | None:
        """Seconds left; None if they are not known, as before anything is done."""
        if self.remaining is not None:
            return self.remaining.left()
        if not self.done or self.done >= self.total:
            return None
        return self._seconds() / self.done * (self.total - self.done)

    def _times(self) -> str:
        left = in_words(self._left())
        return f"{self._seconds():.0f} s{', ' if left else ''}{left}"


class _Compiler(event.Listener):  # type: ignore[misc]
    """Tells the name of each function that numba begins to compile."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told

    def on_start(self, event: event.Event) -> None:
        self._told(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event: event.Event) -> None:
        """Nothing: the next step is shown when it begins."""


class _Left(ProgressColumn):
    """The time left, anew with each refresh."""

    def __init__(self, left: Callable[[], float | None]) -> None:
        super().__init__()
        self._of = left

    def render(self, task: Task) -> Text:
        return Text(in_words(self._of()))


class _Bar(Progress):
    """A bar with a line below it, which says what is being done."""

    live_line = ""

    def __init__(
        self, console: Console, left: Callable[[], float | None], *, disable: bool
    ) -> None:
        super().__init__(
            TextColumn(f"{{task.fields[phase]:<{_PHASE_WIDTH}}}", markup=False),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[counted]}", markup=False),
            TimeElapsedColumn(),
            _Left(left),
            console=console,
            transient=True,
            disable=disable,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text(f"  {self.live_line}", style="dim", no_wrap=True, overflow="ellipsis")
