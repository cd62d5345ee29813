"""A tiny study of a world and one of a log, each run once and shared by the tests."""

import contextlib
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys
from pipelines.run import main
from pipelines.storage.cells import CellStore
from recsys.study.result import StudyResult

WORLD = """
name: tiny
world:
  incumbents: 150
  influx: {kind: rednote_2025, newcomers: 40}
  days_before: 3
  days_after: 3
recommenders:
  - trending
  - {kind: als, factors: 4}
evaluation: {days: [1, 2], k: 5, panel: 40}
seeds: 2
"""

LOG = """
name: tiny_log
log:
  events: events.csv
  users: users.csv
  newcomers: days <= 30
  holdout_share: 0.2
  placebo_draws: 20
recommenders: [trending, item_knn]
evaluation: {k: 5, panel: 20}
seeds: 1
tracking: {enabled: false}
"""


@pytest.fixture(autouse=True)
def _local_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the developer's own MLflow server is, tests leave it alone."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run of the tiny world; to be read only."""
    place = tmp_path_factory.mktemp("finished")
    (place / "tiny.yaml").write_text(WORLD)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(place):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert main(["tiny.yaml"]) == 0
    return place


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the tiny config."""
    (tmp_path / "tiny.yaml").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def resumed(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of one's own in which the tiny study is finished already."""
    place = tmp_path / "resumed"
    shutil.copytree(finished, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="session")
def world_result(finished: Path) -> StudyResult:
    study = recsys.load_study(finished / "tiny.yaml")
    return recsys.run(study, store=CellStore(study, finished / "data/cells"))


@pytest.fixture(scope="session")
def course_result(world_result: StudyResult) -> StudyResult:
    """The result with day 1 repeated: five days, enough for a course."""
    return with_days(world_result, (1, 3, 7, 14, 27))


def with_days(result: StudyResult, days: tuple[int, ...]) -> StudyResult:
    """A result with day 1 repeated."""
    evaluation = result.study.evaluation.model_copy(update={"days": days})

    def repeated(frame: pl.DataFrame) -> pl.DataFrame:
        first = frame.filter(pl.col("day") == 1)
        dated = [first.with_columns(day=pl.lit(day, pl.Int32)) for day in days]
        return pl.concat([frame.filter(pl.col("day").is_null()), *dated])

    study = result.study.model_copy(update={"evaluation": evaluation})
    return dataclasses.replace(result, study=study).with_tables(
        drift=repeated(result.drift), quantiles=repeated(result.quantiles)
    )


@pytest.fixture(scope="session")
def log_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a log of 200 users who click on 60 items at random, and its config."""
    place = tmp_path_factory.mktemp("log")
    random = np.random.default_rng(0)
    n_users, n_events = 200, 4000
    users = pl.DataFrame({"user_id": np.arange(n_users), "days": 100 * (np.arange(n_users) > 20)})
    events = {"user_id": random.integers(0, n_users, n_events)}
    events["item_id"] = (60 * random.random(n_events) ** 2).astype(int)
    users.write_csv(place / "users.csv")
    pl.DataFrame(events).unique(maintain_order=True).write_csv(place / "events.csv")
    (place / "log.yaml").write_text(LOG)
    return place


@pytest.fixture(scope="session")
def log_result(log_place: Path) -> StudyResult:
    with contextlib.chdir(log_place):
        study = recsys.load_study("log.yaml")
        return recsys.run(study, store=CellStore(study))
