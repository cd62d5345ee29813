"""Runs independent jobs in threads, reports progress, and skips jobs whose results are stored."""

from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def run_all(
    jobs: Sequence[J],
    work: Callable[[J], R],
    workers: int,
    progress: Progress | None = None,
    store: MutableMapping[str, R] | None = None,
) -> list[R]:
    """Runs jobs in threads.

    Args:
        jobs: the jobs.
        work: computes the result of one job.
        workers: number of threads, such as 2.
        progress: called after each job; None to report nothing.
        store: results by `Job.identity`; a job whose result is in it does not run, and new results
            are added. None to start without results.

    Returns:
        The results, in the order of the jobs.

    Raises:
        Whatever `work` raises, after the jobs that have begun are finished. No other job begins.
    """
    results: MutableMapping[str, R] = {} if store is None else store
    lock, done = Lock(), 0

    def run(job: J) -> R:
        nonlocal done
        stored = job.identity in results
        result = results[job.identity] if stored else work(job)
        with lock:
            if not stored:
                results[job.identity] = result
            done += 1
            if progress is not None:
                progress(done, len(jobs), job.name)
        return result

    with single_threaded_blas(), ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(run, jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
