"""Clusters of Ray and Dask on this machine: bits of the local run, whatever dies meanwhile."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

import recsys
from pipelines.storage.shared import cell_store
from recsys.core.errors import EngineError
from tests.kit.cluster import assert_same_tables
from tests.kit.tiny import WORLD

ROOT = Path(recsys.__file__).parents[1]
SEEDS = 4
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of libraries that are not ours
]


def study(marker, *overrides):
    content = yaml.safe_load(WORLD)
    fatal = {"kind": "tests.kit.cluster:Fatal", "name": "fatal", "marker": str(marker)}
    content["recommenders"] = [*content["recommenders"], fatal]
    return recsys.load_study(content, [f"seeds={SEEDS}", *overrides])


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    marker = tmp_path_factory.mktemp("local") / "marker"
    marker.touch()
    return recsys.run(study(marker))


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    """Processes that start find recsys and tests where this one does."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, sys.path)]))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


@contextmanager
def ray_nodes():
    pytest.importorskip("ray", reason="recsys[ray] is not installed")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def dask_scheduler(workers):
    distributed = pytest.importorskip("distributed", reason="recsys[dask] is not installed")
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=None
    ) as cluster:
        yield cluster


def test_two_nodes_of_ray_of_which_one_dies(local, tmp_path):
    marker = tmp_path / "marker"
    with ray_nodes() as cluster:
        second = cluster.add_node(num_cpus=1)
        removed = []

        def progress(done, total, name):
            if not removed:  # the node has other cells in work by now
                cluster.remove_node(second, allow_graceful=False)
                removed.append(name)

        there = study(marker, "engine.kind=ray", f"engine.address={cluster.address}")
        result = recsys.run(there, progress)
    assert marker.exists()  # a process died as well
    assert removed
    assert_same_tables(result, local)


def test_two_processes_of_dask_of_which_one_dies(local, tmp_path):
    marker, storage = tmp_path / "marker", tmp_path / "storage"
    told = []
    with dask_scheduler(2) as cluster:
        there = study(
            marker,
            "engine.kind=dask",
            f"engine.address={cluster.scheduler_address}",
            f"engine.storage={storage.as_uri()}",
        )
        result = recsys.run(there, lambda *done: told.append(done), cell_store(there))
    assert marker.exists()
    assert len(told) == 3 * SEEDS
    assert_same_tables(result, local)
    assert len(cell_store(there)) == 3 * SEEDS


def test_dask_refuses_a_worker_with_other_code(tmp_path):
    for part in ("recsys", "pipelines", "tests"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, tmp_path / part, ignore=leave)
    with (tmp_path / "recsys/core/kept.py").open("a") as file:
        file.write("# another version\n")
    with dask_scheduler(0) as cluster:
        address = cluster.scheduler_address
        path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard"]
        worker = subprocess.Popen(
            [*command, "--nthreads", "1"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}
        )
        try:
            there = study(tmp_path / "marker", "engine.kind=dask", f"engine.address={address}")
            with pytest.raises(EngineError, match=r"is refused.*recsys \w+ where this machine"):
                recsys.run(there)
        finally:
            worker.terminate()
            worker.wait(30)
    assert not (tmp_path / "marker").exists()


def test_ray_refuses_a_worker_with_another_processor(tmp_path):
    with ray_nodes() as cluster:
        cluster.add_node(num_cpus=4, env_vars={"NUMBA_CPU_NAME": "generic"})
        there = study(tmp_path / "marker", "engine.kind=ray", f"engine.address={cluster.address}")
        with pytest.raises(EngineError, match="processor generic where this machine has"):
            recsys.run(there)


@pytest.mark.parametrize(
    ("kind", "package", "address"),
    [("ray", "ray", "127.0.0.1:9"), ("dask", "distributed", "tcp://127.0.0.1:9")],
)
def test_an_address_where_nothing_answers(kind, package, address, tmp_path, monkeypatch):
    pytest.importorskip(package, reason=f"recsys[{kind}] is not installed")
    monkeypatch.setattr("recsys.engines.dask_cluster._PATIENCE", 2)
    there = study(tmp_path / "marker", f"engine.kind={kind}", f"engine.address={address}")
    with pytest.raises(EngineError, match=rf"engine\.address: no \w+ of {kind.title()} answers"):
        recsys.run(there)
