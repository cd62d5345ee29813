"""Clusters on which jobs run: their schedulers are those of Ray and Dask, none is ours.

`recsys.core.jobs.run_all` takes an engine from `engine_of`. A cluster's processes get the jobs and
`work` pickled, check that they compute alike, and give back results or write them to a store.
"""

from recsys.config import Study, Training
from recsys.core.jobs import Engine, Threads


def engine_of(config: Study | Training) -> Engine:
    """What runs the jobs of a config.

    Args:
        config: its `engine` and `workers` count.

    Raises:
        EngineError: Ray or Dask is asked for and not installed.
    """
    engine = config.engine
    if engine.kind == "ray":
        from recsys.engines.ray_cluster import RayCluster

        return RayCluster(engine.address, config.threads)
    if engine.kind == "dask":
        from recsys.engines.dask_cluster import DaskCluster

        return DaskCluster(engine.address, config.threads)
    return Threads(config.threads)
