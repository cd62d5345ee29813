"""Where the jobs of a study run: in threads of this process, or on a cluster of Ray or Dask."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from recsys.config.base import Part
from recsys.core.errors import ConfigError

MOST_WORKERS = 256
"""Most threads of one process."""


def _how(workers: Any) -> str:
    return "[auto]" if isinstance(workers, str) else "[number]"


Workers = Annotated[
    Annotated[int, Field(ge=1, le=MOST_WORKERS), Tag("[number]")]
    | Annotated[Literal["auto"], Tag("[auto]")],
    Discriminator(_how),
]
"""A number of threads; or `auto`, as many as this process may use processors."""


def threads_of(workers: int | Literal["auto"]) -> int:
    """The number of threads that `workers` means on this machine.

    With `auto` it is the number of threads that polars takes: of processors that this process may
    use by its affinity and by the quota of its control group, or `POLARS_MAX_THREADS`.

    Args:
        workers: as in a config.

    >>> threads_of(3), 1 <= threads_of("auto") <= MOST_WORKERS
    (3, True)
    """
    if workers != "auto":
        return workers
    from polars import thread_pool_size

    return min(thread_pool_size(), MOST_WORKERS)


class Engine(Part):
    """What runs the jobs: cells of a study, parts of a validation or proof, trials of a search."""

    kind: Literal["local", "ray", "dask"] = "local"
    """`local`: threads of this process, as many as `workers` says. `ray`, `dask`: the processes of
    a cluster; they need `recsys[ray]` or `recsys[dask]`, here and on the cluster's machines."""
    address: str | None = None
    """Address of a cluster: `auto` or `HOST:6379` for Ray, `tcp://HOST:8786` for Dask. null starts
    one of `workers` processes on this machine, which ends with the program."""
    storage: str | None = None
    """Folder into which the cluster's processes write finished cells and parts, and from which a
    program reads them, in place of data/cells: a path that all machines share, or an address that
    fsspec knows, such as `s3://bucket/recsys`. null sends results over the cluster's network."""

    @model_validator(mode="after")
    def _belongs_to_a_cluster(self) -> Self:
        given = [name for name in ("address", "storage") if getattr(self, name) is not None]
        if self.kind == "local" and given:
            raise ValueError(
                f"{given[0]}: kind local has none, since it runs in this process; give kind ray or "
                "dask, or leave it out"
            )
        return self


def check_trusted_engine(engine: Engine, *, trust: bool) -> None:
    """Refuses a cluster or a storage that a config names, unless the config is trusted.

    What a cluster sends is unpickled, which can run code here; what it and a storage get is yours.

    Args:
        engine: of the config.
        trust: whether the config may name them.

    Raises:
        ConfigError: it names one and is not trusted.
    """
    for name in ("address", "storage"):
        place = getattr(engine, name)
        if place is not None and not trust:
            raise ConfigError(
                f"engine.{name}: that place gets what this computes, and a cluster can run code "
                "here; if you trust this config and the place, give --trust-config (in Python: "
                "trust=True)"
            )
