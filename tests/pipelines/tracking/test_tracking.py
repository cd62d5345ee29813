"""What MLflow holds after a study: runs, params, metrics, tags, artifacts, data."""

import contextlib
import dataclasses
import json
import math
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

import recsys
from pipelines import cli
from pipelines.run import main
from pipelines.storage import provenance
from pipelines.storage.cells import CellStore
from pipelines.storage.digests import world_digest
from pipelines.tracking import mlflow_store, records, send
from recsys.config import Chain
from recsys.study.arms.result import CellResult
from recsys.study.cell import Cell
from recsys.study.result import StudyResult
from recsys.study.sources import Sources


def _client(place: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")


def _runs(client: MlflowClient) -> dict[str, list[Run]]:
    """Runs of the experiment by role."""
    experiment = client.get_experiment_by_name("recsys")
    assert experiment is not None
    runs: dict[str, list[Run]] = {"study": [], "recommender": [], "seed": []}
    for run in client.search_runs([experiment.experiment_id]):
        runs[run.data.tags["role"]].append(run)
    return runs


@pytest.fixture(scope="module")
def detailed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a study that was recorded in brief, and again with all detail."""
    place = tmp_path_factory.mktemp("detailed") / "work"
    shutil.copytree(finished, place)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(place):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert main(["tiny.yaml", "tracking.detail=full"]) == 0
    return place


@pytest.fixture(scope="module")
def client(detailed: Path) -> MlflowClient:
    return _client(detailed)


@pytest.fixture(scope="module")
def runs(client: MlflowClient) -> dict[str, list[Run]]:
    return _runs(client)


def test_runs_form_a_tree_and_are_finished(runs: dict[str, list[Run]]) -> None:
    (study,) = runs["study"]
    names = {run.info.run_id: run.info.run_name for run in runs["recommender"]}
    assert sorted(names.values()) == ["als", "trending"]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs["recommender"]} == {
        study.info.run_id
    }
    below = sorted(
        (names[r.data.tags["mlflow.parentRunId"]], r.info.run_name) for r in runs["seed"]
    )
    assert below == [
        (name, f"{name} seed {seed}") for name in ("als", "trending") for seed in (0, 1)
    ]
    assert {run.info.status for group in runs.values() for run in group} == {"FINISHED"}


def test_more_detail_is_added_to_the_runs_of_before(
    runs: dict[str, list[Run]], finished: Path
) -> None:
    before = _runs(_client(finished))
    assert before["seed"] == []
    for role in ("study", "recommender"):
        old, new = ({run.info.run_id: run.data for run in every[role]} for every in (before, runs))
        assert old.keys() == new.keys()
        for name, data in old.items():
            assert len(data.metrics) <= 40
            assert data.metrics.items() < new[name].metrics.items()
            assert data.params == new[name].params


def _told(place: Path) -> tuple[list[tuple[str, str]], int]:
    """The runs of a database with their statuses, and how many metrics were ever sent."""
    with contextlib.closing(sqlite3.connect(place / "mlruns/mlflow.db")) as database:
        rows = database.execute("SELECT run_uuid, status FROM runs ORDER BY run_uuid").fetchall()
        return rows, database.execute("SELECT count(*) FROM metrics").fetchone()[0]


def test_the_same_study_again_has_the_same_runs(
    resumed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _told(resumed)
    assert main(["tiny.yaml", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert _told(resumed) == before
    assert said["mlflow_run_id"] in {name for name, _ in before[0]}
    assert "viewStateShareKey=tiny&workflowType=machine_learning" in said["mlflow_url"]
    assert "compareRunsMode=CHART" in said["mlflow_charts_url"]
    assert main(["tiny.yaml", "tracking.experiment=other"]) == 0
    assert len(_told(resumed)[0]) == 2 * len(before[0])


def test_a_changed_page_is_sent_again(resumed: Path) -> None:
    (folder,) = (resumed / "data/studies").glob("tiny-*")
    client = _client(resumed)
    (study,) = _runs(client)["study"]
    report = Path(study.info.artifact_uri.removeprefix("file://")) / "report.html"
    report.write_text("another")
    client.set_tag(study.info.run_id, "recsys.files", "another")
    assert main(["tiny.yaml"]) == 0
    assert report.read_bytes() == (folder / "report.html").read_bytes()


def test_the_experiment_opens_on_runs_and_has_its_views(client: MlflowClient) -> None:
    experiment = client.get_experiment_by_name("recsys")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    keys = {name for name in experiment.tags if name.startswith("mlflow.sharedViewState.")}
    assert {name.removeprefix("mlflow.sharedViewState.") for name in keys} == {
        "recsys.all",
        "recsys.training",
        "tiny",
        "tiny.charts",
    }


def test_an_older_experiment_gets_kind_and_views(resumed: Path) -> None:
    client = _client(resumed)
    number = client.create_experiment("older", (resumed / "mlruns/artifacts").as_uri())
    assert mlflow_store.connect("older")[1] == number
    tags = client.get_experiment(number).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "mlflow.sharedViewState.recsys.all" in tags


def test_the_description_begins_with_the_verdict(
    runs: dict[str, list[Run]], world_result: StudyResult
) -> None:
    (study,) = runs["study"]
    said = "\n\n".join(recsys.verdict(world_result).sentences)
    assert study.data.tags["mlflow.note.content"].startswith(said)


def test_params_are_the_resolved_config(runs: dict[str, list[Run]]) -> None:
    params = runs["study"][0].data.params
    assert params["world.incumbents"] == "150"
    assert params["evaluation.days"] == "[1, 2]"
    assert params["recommenders.1.options.factors"] == "4"
    als = next(run for run in runs["recommender"] if run.info.run_name == "als")
    assert als.data.params["factors"] == "4"
    assert als.data.params["kind"] == "als"


def test_where_a_study_runs_is_no_param() -> None:
    words = ["engine.kind=dask", "engine.storage=sftp://ann:s3cret@host/recsys"]
    influx = {"kind": "rednote_2025", "newcomers": 40}
    world = {"incumbents": 150, "influx": influx, "days_before": 14, "days_after": 14}
    content = {"name": "tiny", "world": world, "recommenders": ["trending"]}
    content["evaluation"] = {"panel": 100}
    params = records.study_params(recsys.load_study(content, words))
    assert params["world.incumbents"] == "150"
    assert not [name for name in params if name.startswith("engine")]
    assert "s3cret" not in str(params)


def test_metrics_by_day_are_those_of_the_drift_frame(
    client: MlflowClient, runs: dict[str, list[Run]], world_result: StudyResult
) -> None:
    als = next(run for run in runs["recommender"] if run.info.run_name == "als")
    history = client.get_metric_history(als.info.run_id, "drift/incumbent/posts/composition")
    rows = world_result.drift.filter(
        pl.col("recommender") == "als", pl.col("measure") == "posts", pl.col("day").is_not_null()
    )
    assert {m.step: m.value for m in history} == dict(rows.select("day", "composition").iter_rows())
    assert "quality/newcomer/utility" in als.data.metrics
    assert "drift/incumbent/slots_changed/volume_ci_low" in als.data.metrics


def test_life_is_by_day_of_the_world_and_the_studys(
    client: MlflowClient, runs: dict[str, list[Run]], world_result: StudyResult
) -> None:
    (study,) = runs["study"]
    history = client.get_metric_history(study.info.run_id, "life/influx/incumbent/click_rate")
    rates = world_result.life.filter(pl.col("arm") == "influx", pl.col("cohort") == "incumbent")
    by_day = rates.select(pl.col("click_rate").mean().over("day"), "day").unique()
    assert {m.step for m in history} == set(range(-3, 3))
    for metric in history:
        expected = by_day.filter(pl.col("day") == metric.step)["click_rate"][0]
        assert metric.value == pytest.approx(expected, abs=1e-12)
    newcomers = {name for name in study.data.metrics if "/newcomer/" in name}
    assert "life/influx/newcomer/satisfaction" in newcomers
    assert not {name for name in newcomers if name.startswith("life/control")}
    of_others = [
        name for role in ("recommender", "seed") for r in runs[role] for name in r.data.metrics
    ]
    assert not [name for name in of_others if name.startswith("life/")]


def test_life_in_a_closed_loop_is_the_recommenders(world_result: StudyResult) -> None:
    study = world_result.study.model_copy(update={"loop": "closed"})
    life = world_result.life.with_columns(recommender=pl.lit("als"))
    closed = dataclasses.replace(world_result, study=study).with_tables(life=life)
    assert records.study_values(closed) == ()
    of = {
        name: {v.name for v in records.child_values(closed, name, "none") if "life/" in v.name}
        for name in ("als", "trending")
    }
    assert "life/placebo/newcomer/left" in of["als"]
    assert of["trending"] == set()


def test_headline_is_the_mean_over_days(
    runs: dict[str, list[Run]], world_result: StudyResult
) -> None:
    als = next(run for run in runs["recommender"] if run.info.run_name == "als")
    row = world_result.drift.row(
        by_predicate=(pl.col("recommender") == "als")
        & (pl.col("measure") == "slots_changed")
        & pl.col("day").is_null(),
        named=True,
    )
    assert als.data.metrics["headline/slots_changed"] == row["influx"]
    assert als.data.metrics["headline/slots_changed_total"] == row["total"]
    net = world_result.headline.filter(pl.col("day").is_null(), recommender="als")
    row = net.filter(group="all").row(0, named=True)
    for name in ("net", "net_ci_low", "displaced", "reshuffled", "floor", "plain", "locals"):
        assert als.data.metrics[f"headline/{name}"] == row[name]
    assert als.data.metrics["headline/english_points"] == row["english"]
    assert als.data.metrics["headline/utility_change"] == row["utility"]
    row = net.filter(group="fresh slots").row(0, named=True)
    assert als.data.metrics["net/fresh slots/net"] == row["net"]
    assert "headline/newcomer_slots" in als.data.metrics


def test_wins_groups_and_exposure_are_recorded(world_result: StudyResult, finished: Path) -> None:
    study = recsys.load_study(finished / "tiny.yaml", ["evaluation.groups=[activity]"])
    result = recsys.run(study, store=CellStore(study, finished / "data/cells"))
    found = {v.name: v.value for v in records.child_values(result, "als", "none")}
    wins = result.wins.filter(
        pl.col("day").is_null(), recommender="als", measure="utility", against="retrain"
    ).row(0, named=True)
    assert found["wins/utility/retrain/balance"] == wins["balance"]
    assert found["wins/utility/retrain/balance_ci_low"] == wins["balance_ci_low"]
    gini = result.exposure.filter(
        pl.col("day").is_null(),
        recommender="als",
        arm="influx",
        measure="gini_posts",
        cohort="newcomer",
    )
    assert found["exposure/influx/newcomer/gini_posts"] == gini["mean"][0]
    groups = result.groups.filter(recommender="als", measure="posts", attribute="activity")
    low = groups.filter(pl.col("group").str.starts_with("low: ")).row(0, named=True)
    assert found[f"groups/activity/{low['group']}/posts/composition"] == low["composition"]
    assert not any(
        name.startswith("groups/")
        for name in (v.name for v in records.child_values(world_result, "als", "none"))
    )


def test_seed_runs_average_to_the_headline(runs: dict[str, list[Run]]) -> None:
    """Every user of the panel has a value on both days of both seeds, so means of means agree."""
    als = next(run for run in runs["recommender"] if run.info.run_name == "als")
    name = "mean/influx/incumbent/slots_changed"
    seeds = [
        run.data.metrics[name]
        for run in runs["seed"]
        if run.data.tags["mlflow.parentRunId"] == als.info.run_id
    ]
    assert sum(seeds) / 2 == pytest.approx(als.data.metrics["headline/slots_changed"], abs=1e-12)


def test_every_metric_is_finite(runs: dict[str, list[Run]]) -> None:
    values = [v for group in runs.values() for run in group for v in run.data.metrics.values()]
    assert values
    assert all(math.isfinite(value) for value in values)


def test_tags_say_which_code_and_which_world(
    runs: dict[str, list[Run]], world_result: StudyResult
) -> None:
    for group in runs.values():
        for run in group:
            assert run.data.tags["world_digest"] == world_digest(world_result.study)[:32]
            assert {"version.recsys", "version.python", "version.polars"} <= run.data.tags.keys()


def test_parent_has_the_files_and_the_data(
    client: MlflowClient, runs: dict[str, list[Run]], world_result: StudyResult
) -> None:
    (study,) = runs["study"]
    found = {entry.path for entry in client.list_artifacts(study.info.run_id)}
    assert found == {
        "config.yaml",
        "report.html",
        "per_user.parquet",
        "shown_users.csv",
        "headline.csv",
        "summary.csv",
        "drift.csv",
        "quantiles.csv",
        "wins.csv",
        "exposure.csv",
        "measures.csv",
        "life.csv",
        "power.csv",
    }
    (data,) = study.inputs.dataset_inputs
    assert data.dataset.digest == world_digest(world_result.study)[:16]
    assert data.dataset.name == "tiny world"


def test_environment_names_another_store(
    resumed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/elsewhere.db"
    before = (resumed / "mlruns/mlflow.db").read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert main(["tiny.yaml"]) == 0
    assert len(_runs(MlflowClient(uri))["recommender"]) == 2
    assert (resumed / "mlruns/mlflow.db").read_bytes() == before


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [(KeyboardInterrupt, 130, "KILLED"), (ArithmeticError, 70, "FAILED")],
)
def test_stopped_study_leaves_no_running_run(
    error: type[BaseException],
    code: int,
    status: str,
    resumed: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(cell: Cell, sources: Sources) -> CellResult:
        raise error("planted")

    monkeypatch.setattr(sys.modules["recsys.study.run"], "run_cell", fail)
    assert main(["tiny.yaml", "first_seed=7"]) == code
    runs = _runs(_client(resumed))
    assert sorted(run.info.status for run in runs["study"]) == sorted(["FINISHED", status])
    assert len(runs["recommender"]) == 2


def test_study_is_shown_when_mlflow_fails(
    resumed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> None:
        raise ConnectionError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(send.Sender, "_fill", fail)
        assert main(["tiny.yaml", "name=late"]) == 3
    streams = capsys.readouterr()
    assert "recommender" in streams.out
    assert "did not take the results: planted" in streams.err
    (later,) = (line for line in streams.err.splitlines() if " track " in line)
    studies = _runs(_client(resumed))["study"]
    assert sorted(run.info.status for run in studies) == ["FAILED", "FINISHED"]
    assert cli.main(shlex.split(later.partition("recsys ")[2])) == 0
    assert "recorded" in capsys.readouterr().out
    assert cli.main(shlex.split(later.partition("recsys ")[2])) == 0
    assert "recorded before, and not again" in capsys.readouterr().out
    runs = _runs(_client(resumed))
    assert [len(runs[role]) for role in ("study", "recommender", "seed")] == [2, 4, 0]
    assert {run.info.status for group in runs.values() for run in group} == {"FINISHED"}
    first, second = (run.data for run in runs["study"])
    assert first.metrics == second.metrics
    assert dict(first.params, name="") == dict(second.params, name="")


def test_log_is_recorded_with_its_data(
    log_place: Path, resumed: Path, log_result: StudyResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("events.csv", "users.csv", "log.yaml"):
        (resumed / name).write_bytes((log_place / name).read_bytes())
    assert main(["log.yaml", "tracking.enabled=true", "tracking.detail=full"]) == 0
    runs = _runs(_client(resumed))
    study = next(run for run in runs["study"] if run.info.run_name == "tiny_log")
    assert study.inputs.dataset_inputs[0].dataset.name == "tiny_log log"
    knn = next(run for run in runs["recommender"] if run.info.run_name == "item_knn")
    assert {"headline/slots_changed_p", "headline/posts_p"} <= knn.data.metrics.keys()
    assert "headline/ndcg" in knn.data.metrics
    assert {
        "changed_pct",
        "placebo_pct",
        "retrain_pct",
        "p_value",
        "ndcg",
    } <= knn.data.metrics.keys()
    assert runs["seed"] == []  # a log has none


def test_what_only_a_log_has_is_recorded(
    log_place: Path, resumed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An own log with a wave: its date, arrivals, view by exposure and exact removal."""
    random = np.random.default_rng(0)
    people = [(user, 0, 60, 24) for user in range(200)]
    people += [(user, 45 + user % 4, 60, 12) for user in range(200, 260)]
    rows = [
        (user, int(random.integers(first, last)), int(60 * random.random() ** 2))
        for user, first, last, n in people
        for _ in range(n)
    ]
    table = pl.DataFrame(rows, schema=["user_id", "day", "item_id"], orient="row")
    seconds = 1_735_689_600 + 86_400 * table["day"] + random.integers(0, 86_400, table.height)
    table.select("user_id", "item_id", timestamp=seconds).write_csv(resumed / "events.csv")
    items = {"item_id": range(60), "topic": [f"topic {item // 10}" for item in range(60)]}
    pl.DataFrame(items).write_csv(resumed / "items.csv")
    (resumed / "wave.yaml").write_text("""
name: wave
log:
  events: events.csv
  items: items.csv
  newcomers: auto
  attributes: {topic: topic}
  placebo_draws: 20
  panel_min_events: 1
recommenders: [ease]
evaluation: {k: 5, panel: 40}
seeds: 1
""")
    assert main(["wave.yaml", "tracking.detail=full"]) == 0
    client = _client(resumed)
    runs = _runs(client)
    study = next(run for run in runs["study"] if run.info.run_name == "wave")
    assert study.data.tags["arrived"] == "2025-02-15"
    metrics = study.data.metrics
    for name in (
        "arrivals/first_seen",
        "arrivals/p_value",
        "exposed/topic/difference",
        "exposed/topic/check/ci_low",
    ):
        assert name in metrics
    (folder,) = (resumed / "data/studies").glob("wave-*")
    history = client.get_metric_history(study.info.run_id, "arrivals/first_seen")
    counts = pl.read_csv(folder / "arrivals.csv")["first_seen"]
    assert [point.value for point in sorted(history, key=lambda p: p.step)] == counts.to_list()
    found = {entry.path for entry in client.list_artifacts(study.info.run_id)}
    tables = {"arrivals.csv", "exposed.csv", "removals.csv"}
    assert tables <= found
    assert tables <= {path.name for path in folder.iterdir()}
    ease = next(r for r in runs["recommender"] if r.data.tags["study"] == "wave")
    assert ease.data.metrics["removal/slots_that_differ"] == 0
    assert ease.data.metrics["removal/largest_difference"] < 1e-12


def test_a_world_has_none_of_it(world_result: StudyResult) -> None:
    names = {value.name for value in records.study_values(world_result)}
    assert not {name for name in names if name.startswith(("arrivals/", "exposed/"))}
    assert records.study_tags(world_result) == {}


@pytest.mark.slow  # four programs that each load MLflow
def test_processes_can_make_the_database_at_once(fresh: Path) -> None:
    code = "from pipelines.tracking.mlflow_store import connect; print(connect('recsys')[1])"
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", code]
    root = Path(recsys.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ended = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    assert ended[0] == ended[1]
    assert ended[0][1] == b"", "MLflow is quiet while it makes a database"


def test_what_is_no_number_is_left_out(world_result: StudyResult) -> None:
    rows = world_result.per_user.with_columns(
        posts=pl.lit(float("nan")), jaccard=pl.lit(float("inf")), topic=pl.lit(None, pl.Float64)
    )
    names = {value.name.rpartition("/")[2] for value in records.seed_values(rows)}
    assert not names & {"posts", "jaccard", "topic"}
    assert "slots_changed" in names


def test_names_are_what_mlflow_takes(world_result: StudyResult) -> None:
    rows = world_result.per_user.rename({"posts": "odd @ name/../x", "topic": "language:xx"})
    names = {value.name for value in records.seed_values(rows)}
    assert "mean/influx/incumbent/language:xx" in names
    (odd,) = (name for name in names if name.startswith("mean/influx/incumbent/odd "))
    assert odd.count("/") == 3


def test_long_values_are_left_to_the_file(world_result: StudyResult) -> None:
    options = {"kind": "als", "name": "als", "options": {"long": "x" * 501, "short": "x" * 500}}
    spec = world_result.study.recommenders[0].model_copy(update=options)
    assert records.child_params(spec, Chain()).keys() == {
        "recommender",
        "kind",
        "mitigation",
        "short",
    }


def test_git_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance.git_tags() == {}
