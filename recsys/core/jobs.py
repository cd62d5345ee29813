"""Work cut into jobs that run alone: over threads, with progress, and with what is done kept."""

from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Protocol, TypeVar

from recsys.core.threads import single_threaded_blas

Progress = Callable[[int, int, str], None]
"""Called with jobs done, jobs in all, and the name of the job just done."""


class Job(Protocol):
    """What can run alone."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def identity(self) -> str:
        """All that its result depends on, besides the code and the data files."""


J = TypeVar("J", bound=Job)
R = TypeVar("R")


def run_all(
    jobs: Sequence[J],
    work: Callable[[J], R],
    workers: int,
    progress: Progress | None = None,
    store: MutableMapping[str, R] | None = None,
) -> list[R]:
    """Results of all jobs, in their order.

    Args:
        jobs: what to do.
        work: does one.
        workers: threads.
        progress: told of each job that is done.
        store: results by `Job.identity`; what it holds already is not done again.

    Raises:
        Whatever `work` raises, once the jobs that have begun are finished; the others do not begin.
    """
    results: MutableMapping[str, R] = {} if store is None else store
    lock, done = Lock(), 0

    def one(job: J) -> R:
        nonlocal done
        known = job.identity in results
        result = results[job.identity] if known else work(job)
        with lock:
            if not known:
                results[job.identity] = result
            done += 1
            if progress is not None:
                progress(done, len(jobs), job.name)
        return result

    with single_threaded_blas(), ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(one, jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
