"""Runs jobs on a cluster of Ray."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from recsys.core.errors import EngineError, first_line
from recsys.engines.cluster import Cluster

_PATIENCE = 30
"""Seconds to wait for a connection."""
_RETRIES = 3
"""How often a call is made again whose process or machine has died."""


class RayCluster(Cluster):
    """A cluster of Ray; a process that is connected to one already stays so."""

    @contextmanager
    def connected(self) -> Iterator["_Link"]:
        """As in `Cluster`."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise EngineError(
                "engine.kind: ray is not installed; pip install 'recsys[ray]', or engine.kind=local"
            ) from error
        ours = not ray.is_initialized()
        if ours:
            own = {"num_cpus": self._workers, "include_dashboard": False}
            try:
                _knock(self._address)
                ray.init(
                    address=self._address or "local",
                    logging_level="error",
                    log_to_driver=False,
                    **({} if self._address else own),
                )
            except (OSError, RuntimeError, ValueError) as error:
                raise EngineError(
                    f"engine.address: no cluster of Ray answers at {self._address} "
                    f"({first_line(error)}); start one with `ray start --head`, and run this on "
                    "one of its machines"
                ) from error
        try:
            processors = int(ray.cluster_resources().get("CPU", 0))
            if not processors:
                raise EngineError(
                    "engine: the cluster of Ray has no processor for jobs; start a worker with "
                    "`ray start --address=HOST:6379`"
                )
            yield _Link(ray, processors)
        finally:
            if ours:
                ray.shutdown()


def _knock(address: str | None) -> None:
    """Raises OSError if nothing listens at an address with a port, for which Ray waits minutes."""
    place = urlsplit(f"//{(address or '').rpartition('://')[2]}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), _PATIENCE).close()


@dataclass(frozen=True)
class _Link:
    """As `Link`; `ray` is the module."""

    ray: Any
    processors: int

    def completed(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """As in `Link`."""
        remote = self.ray.remote(num_cpus=1, max_retries=_RETRIES)(function)
        pending = {remote.remote(*call): number for number, call in enumerate(calls)}
        try:
            while pending:
                (done, *_), _ = self.ray.wait(list(pending), num_returns=1)
                number = pending.pop(done)
                yield number, self._value(done)
        finally:
            for reference in pending:
                self.ray.cancel(reference, force=True)

    def _value(self, reference: Any) -> Any:
        from ray.exceptions import RayError, RayTaskError

        try:
            return self.ray.get(reference)
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, ImportError) or "failed to import" in str(cause):
                raise EngineError(
                    f"engine: a worker of Ray cannot load recsys ({first_line(cause)}); install "
                    "the same code there"
                ) from error
            raise cause from error
        except RayError as error:
            raise EngineError(
                f"engine: Ray has lost a job {_RETRIES + 1} times ({first_line(error)}); its "
                "machines may have too little memory for it"
            ) from error
