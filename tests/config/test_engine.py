"""How many threads run a study, and where else it may run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.storage.digests import study_digest
from pipelines.storage.results import config_text
from recsys import load_study, load_training
from recsys.core.errors import ConfigError

WORLD = {"world": {"influx": {"kind": "rednote_2025", "newcomers": 10}}, "name": "x"}
COUNT = "from recsys.config.engine import threads_of; print(threads_of('auto'))"


def study(*overrides):
    return load_study({**WORLD, "recommenders": ["trending"]}, overrides)


def test_auto_is_the_default_and_a_number_is_that_number():
    training = load_training({**WORLD, "recommender": "trending"})
    assert study().workers == training.workers == "auto"
    assert study().threads == training.threads >= 1
    assert study("workers=7").threads == 7


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_auto_counts_the_processors_that_this_process_may_use():
    allowed = sorted(os.sched_getaffinity(0))
    environment = {k: v for k, v in os.environ.items() if k != "POLARS_MAX_THREADS"}
    for most in {1, len(allowed)}:
        few = f"import os; os.sched_setaffinity(0, {allowed[:most]}); {COUNT}"
        done = subprocess.run(
            [sys.executable, "-c", few], capture_output=True, text=True, check=True, env=environment
        )
        assert 1 <= int(done.stdout) <= most


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("workers=0", "workers: input should be greater than or equal to 1, but it is 0"),
        ("workers=257", "workers: input should be less than or equal to 256"),
        ("workers=all", "workers: input should be 'auto', but it is 'all'"),
        ("workers=null", "workers: input should be a valid integer"),
        ("engine.kind=spark", "engine.kind: input should be 'local', 'ray' or 'dask'"),
        ("engine.storage=/mnt", "engine: storage: kind local has none"),
        ("engine.address=auto", "engine: address: kind local has none"),
        ("engine.adress=auto", "did you mean 'address'"),
    ],
)
def test_mistakes_are_told(override, message):
    with pytest.raises(ConfigError) as told:
        study(override)
    assert message in str(told.value)


def test_where_a_study_runs_is_no_part_of_its_results():
    there = study("workers=3", "engine.kind=ray", "engine.address=auto", "engine.storage=/mnt")
    assert study_digest(there) == study_digest(study())
    assert "engine" not in config_text(there, Path("data"))


def test_a_search_has_no_storage():
    words = ["engine.kind=dask", "engine.storage=/mnt"]
    with pytest.raises(ConfigError, match=r"engine\.storage: a search keeps .*data/tuning"):
        load_training({**WORLD, "recommender": "trending"}, words)


@pytest.mark.parametrize("load", ["study", "training"])
@pytest.mark.parametrize("place", ["address=tcp://1.2.3.4:8786", "storage=s3://bucket"])
def test_a_config_that_is_not_trusted_names_no_cluster(load, place):
    part = {"recommenders": ["trending"]} if load == "study" else {"recommender": "trending"}
    read = {"study": load_study, "training": load_training}[load]
    words = ["engine.kind=dask", f"engine.{place}"]
    if (load, place[0]) != ("training", "s"):
        assert read({**WORLD, **part}, words).engine.kind == "dask"
    assert read({**WORLD, **part}, words[:1], trust=False).engine.kind == "dask"
    with pytest.raises(ConfigError, match=r"engine\.\w+: .* can run code here; .*--trust-config"):
        read({**WORLD, **part}, words, trust=False)
