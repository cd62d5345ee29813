"""Runs jobs on a cluster of Dask."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from recsys.core.errors import EngineError, first_line
from recsys.engines.cluster import Cluster

_PATIENCE = 60
"""Seconds to wait for the scheduler, and for its first worker."""


class DaskCluster(Cluster):
    """A cluster of Dask."""

    @contextmanager
    def connected(self) -> Iterator["_Link"]:
        """As in `Cluster`."""
        try:
            from distributed import Client, LocalCluster
        except ImportError as error:
            raise EngineError(
                "engine.kind: dask is not installed; pip install 'recsys[dask]', or "
                "engine.kind=local"
            ) from error
        with ExitStack() as stack:
            address: Any = self._address
            if address is None:
                address = stack.enter_context(
                    LocalCluster(
                        n_workers=self._workers,
                        threads_per_worker=1,
                        memory_limit=0,
                        dashboard_address=None,
                        silence_logs=logging.ERROR,
                    )
                )
            try:
                client = stack.enter_context(Client(address, timeout=_PATIENCE))
            except (OSError, ValueError) as error:
                raise EngineError(
                    f"engine.address: no scheduler of Dask answers at {address} "
                    f"({first_line(error)}); start one with `dask scheduler`"
                ) from error
            try:
                client.wait_for_workers(1, timeout=_PATIENCE)
            except TimeoutError as error:
                raise EngineError(
                    f"engine: the scheduler of Dask has had no worker for {_PATIENCE} s; start one "
                    "with `dask worker ADDRESS --nthreads 1`"
                ) from error
            yield _Link(client, sum(client.nthreads().values()))


@dataclass(frozen=True)
class _Link:
    """As `Link`, over a client of Dask."""

    client: Any
    processors: int

    def completed(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """As in `Link`."""
        from distributed import KilledWorker, as_completed

        futures = [self.client.submit(function, *call, pure=False) for call in calls]
        numbers = {future.key: number for number, future in enumerate(futures)}
        try:
            for future in as_completed(futures):
                yield numbers[future.key], future.result()
                future.release()
        except KilledWorker as error:
            raise EngineError(
                f"engine: Dask has lost a job too often ({first_line(error)}); its workers may "
                "have too little memory for it"
            ) from error
        except ImportError as error:
            raise EngineError(
                f"engine: a worker of Dask cannot load recsys ({first_line(error)}); install the "
                "same code there"
            ) from error
        finally:
            self.client.cancel(futures)
