"""What a process of a cluster does: it checks that it computes alike, then runs its jobs."""

import pickle
import socket
from collections.abc import Mapping
from typing import Any

from recsys.core.alike import difference, machinery
from recsys.core.errors import EngineError
from recsys.core.threads import single_threaded_blas


def carry_out(machine: Mapping[str, str], parcel: bytes) -> list[Any]:
    """Runs jobs one after the other.

    Args:
        machine: `machinery` of the process that wants the results.
        parcel: pickled jobs, their work, and the store that results are written to, or None. It is
            opened only by code that is the same as that which made it.

    Returns:
        The results, in the order of the jobs; or, if there is a store, None for each job.

    Raises:
        EngineError: this process would compute other bits.
    """
    if differs := difference(machine, machinery()):
        raise EngineError(
            f"engine: a worker on {socket.gethostname()} is refused, because figures of its would "
            f"differ in their last bits: {differs}; start workers with the same code, the "
            "libraries of constraints.txt and the same kind of processor (docs/scaling.md)"
        )
    jobs, work, store = pickle.loads(parcel)
    results: list[Any] = []
    with single_threaded_blas():
        for job in jobs:
            if store is None:
                results.append(work(job))
                continue
            if job.identity not in store:
                store[job.identity] = work(job)
            results.append(None)
    return results
