"""Runs independent jobs, reports progress, and skips jobs whose results are stored."""

import gc
import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar

from recsys.core.threads import single_threaded_blas

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, name): two numbers of jobs, and the name of the one just done."""


class Job(Protocol):
    """A piece of work that needs no other piece."""

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def identity(self) -> str:
        """Key of its result: all that the result depends on, except code and data files."""


_LONG = 2.0
"""Seconds that the jobs of a group take where the group leaves enough to be looked for. Worlds and
their mornings name each other, so their memory is free only once Python's collector has found them,
which takes .2 s."""
J = TypeVar("J", bound=Job)
R = TypeVar("R")


class Engine(Protocol):
    """Where jobs run."""

    def carry_out(
        self,
        jobs: Sequence[J],
        work: Callable[[J], R],
        finished: Callable[[J], None],
        store: MutableMapping[str, R],
        together: Callable[[J], Hashable],
    ) -> list[R]:
        """Runs the jobs whose results are not in the store, and stores those.

        Args:
            jobs, work, store: as for `run_all`.
            finished: called after each job, by one thread at a time.
            together: jobs with the same value of it share what is costly to make.

        Returns:
            The results, in the order of the jobs.
        """


@dataclass(frozen=True)
class Threads:
    """Runs jobs in threads of this process.

    Attributes:
        workers: number of threads, such as 2.
    """

    workers: int

    def carry_out(
        self,
        jobs: Sequence[J],
        work: Callable[[J], R],
        finished: Callable[[J], None],
        store: MutableMapping[str, R],
        together: Callable[[J], Hashable],
    ) -> list[R]:
        """As in `Engine`; threads share all there is, and take the jobs as `begun_ahead` says."""
        lock, groups = Lock(), [together(job) for job in jobs]
        left, spent = Counter(groups), dict.fromkeys(groups, 0.0)

        def run(place: int) -> R:
            job, group, began = jobs[place], groups[place], time.perf_counter()
            stored = job.identity in store
            result = store[job.identity] if stored else work(job)
            with lock:
                if not stored:
                    store[job.identity] = result
                finished(job)
                left[group] -= 1
                spent[group] += time.perf_counter() - began
                over = left[group] == 0 and spent[group] > _LONG
            if over:
                gc.collect()
            return result

        order = begun_ahead(groups, self.workers)
        with single_threaded_blas(), ThreadPoolExecutor(self.workers) as pool:
            try:
                results = dict(zip(order, pool.map(run, order), strict=True))
                return [results[place] for place in range(len(jobs))]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def begun_ahead(keys: Sequence[Hashable], threads: int) -> list[int]:
    """An order of jobs in which threads seldom wait for what jobs share.

    The first job of a group makes what the group shares, such as the worlds of a seed. It comes as
    early as threads can be at its group: while one thread makes that, the others have jobs of
    earlier groups, of which no more are begun than `groups_at_once` says.

    Args:
        keys: what each job shares with others, such as the seed of its world.
        threads: number of threads that take the jobs one by one.

    Returns:
        The places of the jobs.

    >>> begun_ahead(["a", "a", "a", "b", "b", "b", "c", "c", "c"], threads=2)
    [0, 3, 1, 2, 4, 6, 5, 7, 8]
    """
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    ahead = groups_at_once(threads, len(keys) / len(groups)) - 1 if groups else 0

    def turn(number: int, nth: int) -> tuple[int, float]:
        first = max(number - ahead, 0)
        return (number, nth) if nth else (first, 1.5 if 0 < first < number else 0)

    turns = [
        (*turn(number, nth), number, place)
        for number, group in enumerate(groups.values())
        for nth, place in enumerate(group)
    ]
    return [place for *_, place in sorted(turns)]


def groups_at_once(threads: int, size: float) -> int:
    """How many groups of jobs threads can be at that take one job after the other.

    Args:
        threads: number of threads.
        size: number of jobs in a group.

    >>> groups_at_once(threads=1, size=4), groups_at_once(threads=2, size=4)
    (1, 2)
    """
    return 1 + math.ceil((threads - 1) / size)


def run_all(
    jobs: Sequence[J],
    work: Callable[[J], R],
    engine: Engine,
    progress: Progress | None = None,
    store: MutableMapping[str, R] | None = None,
    together: Callable[[J], Hashable] = lambda job: job.identity,
) -> list[R]:
    """Runs jobs.

    Args:
        jobs: the jobs.
        work: computes the result of one job. A cluster gets it, and the jobs, pickled.
        engine: where they run, such as `Threads(2)`.
        progress: called after each job; None to report nothing.
        store: results by `Job.identity`; a job whose result is in it does not run, and new results
            are added. None to start without results.
        together: jobs with the same value of it share what is costly to make, so that a cluster
            had better run them in one process; by default each job is on its own.

    Returns:
        The results, in the order of the jobs.

    Raises:
        Whatever `work` raises, after the jobs that have begun in this process are finished. No
        other job begins.
    """
    done = 0

    def finished(job: J) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(jobs), job.name)

    return engine.carry_out(jobs, work, finished, {} if store is None else store, together)
