"""Runs independent jobs, reports progress, and skips jobs whose results are stored."""

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
        """As in `Engine`; threads share all there is, whether jobs go together or not."""
        lock = Lock()

        def run(job: J) -> R:
            stored = job.identity in store
            result = store[job.identity] if stored else work(job)
            with lock:
                if not stored:
                    store[job.identity] = result
                finished(job)
            return result

        with single_threaded_blas(), ThreadPoolExecutor(self.workers) as pool:
            try:
                return list(pool.map(run, jobs))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


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
