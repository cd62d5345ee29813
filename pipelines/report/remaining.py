"""How long a study still takes, from how long its steps have taken so far."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from recsys.core.steps import MEASURING, SIMULATING

_OF_CELLS = (SIMULATING, MEASURING)
"""The phases of cells; others come after them."""


class _Begun(NamedTuple):
    key: tuple[str, str]
    at: float


class Remaining:
    """Estimates the time left of a study: steps that are left, times the mean length of such steps.

    Steps are told apart by phase and, where feeds are measured, by recommender, since these differ
    most. What comes after the cells of a study (tables, files, the page, MLflow) is known in
    seconds, as it grows with the number of rows.

    Args:
        workers: number of threads that run cells.
        simulating: number of threads that simulate worlds at once; None if all may.
        afterwards: seconds that tables, files, pages and MLflow take, of all studies.
        clock: gives seconds, such as `time.monotonic`.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        simulating: int | None = None,
        afterwards: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parallel = {SIMULATING: simulating or workers, MEASURING: workers}
        self._clock, self._afterwards = clock, afterwards
        self._planned: dict[str, dict[tuple[str, str], float]] = {}
        self._left: dict[tuple[str, str], float] = defaultdict(float)
        self._took: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._in_thread: dict[int, dict[tuple[str, str], int]] = defaultdict(dict)
        self._begun: dict[int, _Begun] = {}
        self._lock = threading.Lock()

    def expect(self, name: str, kind: str, steps: Mapping[str, float]) -> None:
        """Adds a cell that will run.

        Args:
            name: the cell's name.
            kind: recommender and mitigation, as the steps that measure feeds begin.
            steps: number of steps by phase.
        """
        planned = {_key(phase, kind): count for phase, count in steps.items()}
        self._planned[name] = planned
        for key, count in planned.items():
            self._left[key] += count

    def begin(self, phase: str, what: str) -> None:
        """This thread begins a step; what it did before is over.

        Args:
            phase: a phase of `recsys.core.steps`.
            what: the step, such as "als, seed 0, influx, day 3".
        """
        thread, key = threading.get_ident(), _key(phase, what.split(",")[0])
        with self._lock:
            self._end(thread)
            self._begun[thread] = _Begun(key, self._clock())
            ran = self._in_thread[thread]
            ran[key] = ran.get(key, 0) + 1
            if key in self._left:
                self._left[key] -= 1

    def finish(self, name: str) -> None:
        """This thread has finished a cell; what was planned and is not needed is left no more.

        Args:
            name: the cell's name.
        """
        thread = threading.get_ident()
        with self._lock:
            self._end(thread)
            ran = self._in_thread.pop(thread, {})
            for key, count in self._planned.pop(name, {}).items():
                if key[0] == MEASURING or not ran:  # a cell that ran nothing was kept from before
                    self._left[key] -= count - ran.get(key, 0)

    def left(self) -> float | None:
        """Seconds that are left, after the last cell too; None if that cannot be told yet."""
        with self._lock:
            seconds = 0.0
            for key, count in self._left.items():
                mean = self._mean(key)
                if count > 0.5 and mean is None:
                    return None
                if count > 0:
                    seconds += count * (mean or 0.0) / self._at_once(key)
            if not self._left:
                return None
            for key, at in self._begun.values():  # what is left of the steps that run
                if key[0] in _OF_CELLS:
                    rest = (self._mean(key) or 0.0) - (self._clock() - at)
                    seconds += max(rest, 0.0) / self._at_once(key)
            return seconds + max(self._afterwards - self._spent_afterwards(), 0.0)

    def _at_once(self, key: tuple[str, str]) -> int:
        """Number of such steps at a time: the threads, but no more than there are cells."""
        return max(min(self._parallel[key[0]], len(self._planned)), 1)

    def _spent_afterwards(self) -> float:
        """Seconds that phases after cells have taken so far."""
        over = sum(took for (phase, _), (took, _) in self._took.items() if phase not in _OF_CELLS)
        now = [b.at for b in self._begun.values() if b.key[0] not in _OF_CELLS]
        return over + sum(self._clock() - at for at in now)

    def _end(self, thread: int) -> None:
        begun = self._begun.pop(thread, None)
        if begun is not None:
            total = self._took[begun.key]
            total[0] += self._clock() - begun.at
            total[1] += 1

    def _mean(self, key: tuple[str, str]) -> float | None:
        """Seconds of a step; of a recommender that has not begun yet, those of the others."""
        total, count = self._took.get(key, (0.0, 0.0))
        if not count:
            known = [took for other, took in self._took.items() if other[0] == key[0]]
            total, count = (sum(took[place] for took in known) for place in (0, 1))
        return total / count if count else None


def _key(phase: str, kind: str) -> tuple[str, str]:
    return phase, kind if phase == MEASURING else ""


def in_words(seconds: float | None) -> str:
    """A remaining time, as exact as it can be known; empty if it is not known.

    >>> [in_words(seconds) for seconds in (None, 2, 17, 44, 200, 9000)]
    ['', 'a few seconds left', 'about 15 s left', 'about 40 s left', 'about 3 min left', \
'about 2.5 h left']
    """
    if seconds is None:
        return ""
    if seconds < 5:
        return "a few seconds left"
    if seconds < 55:
        nearest = 5 if seconds < 30 else 10
        return f"about {nearest * round(seconds / nearest):.0f} s left"
    if seconds < 5400:
        return f"about {max(round(seconds / 60), 1)} min left"
    return f"about {seconds / 3600:.1f} h left"
