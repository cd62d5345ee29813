"""The progress of a study on stderr: a bar on a terminal, plain lines anywhere else."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from recsys.core.errors import visible


class StudyProgress:
    """A context manager to hand to `recsys.run` as its `progress`.

    Args:
        what: what is counted, such as `cells`.
        silent: whether nothing is printed.

    Attributes:
        what: what is counted.
        done: number that are finished.
        total: number that there are; set it before the block begins.
    """

    def __init__(self, what: str = "cells", *, silent: bool = False) -> None:
        self.what = what
        self.done = 0
        self.total = 0
        self._start = time.monotonic()
        self._console = Console(stderr=True, highlight=False, quiet=silent)
        self._bar = Progress(
            TextColumn(what),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[last]}", markup=False),
            console=self._console,
            transient=True,
            disable=silent or not self._console.is_terminal,
        )
        self._task = self._bar.add_task(what, total=None, last="")

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        self._bar.update(self._task, total=self.total)
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int, name: str) -> None:
        """Shows that one more is done.

        Args:
            done: number that are finished.
            total: number that there are.
            name: the one that was finished last, such as `als-seed-0`.
        """
        self.done = done
        name = visible(name)
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, last=name)
        else:
            line = f"{done}/{total} {self.what}, {self._times(done, total)}: {name}"
            self._console.print(line, markup=False, soft_wrap=True)

    def part(self, prefix: str) -> Callable[[int, int, str], None]:
        """The progress of one study of several, which counts on from what is done.

        Args:
            prefix: text before the names that are shown, such as `calm: `.
        """
        before = self.done
        return lambda done, total, name: self(before + done, self.total, f"{prefix}{name}")

    def _times(self, done: int, total: int) -> str:
        elapsed = time.monotonic() - self._start
        left = elapsed / done * (total - done)
        return f"{elapsed:.0f} s, about {left:.0f} s left" if done < total else f"{elapsed:.0f} s"
