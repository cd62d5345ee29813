"""`recsys evaluate`: served feeds in; a report, files and an MLflow run out."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from mlflow import MlflowClient

from pipelines.evaluate import main

WORDS = ["--a", "a.parquet", "--b", "b.csv", "--reference", "c.parquet"]
QUIET = [*WORDS, "--no-tracking"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Feeds of 60 users on two days, B's with a third of the slots swapped, as files."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    users, days, k = 60, 2, 5
    user, day, rank = (axis.ravel() for axis in np.indices((users, days, k)))
    base = (7 * user + 3 * day + rank) % 100

    def feeds(swapped: float) -> pl.DataFrame:
        item = np.where(random.random(base.size) < swapped, 100 + rank, base)
        return pl.DataFrame({"member": user, "day": day, "rank": rank + 1, "item_id": item}).rename(
            {"member": "user_id"}
        )

    feeds(0).write_parquet("a.parquet")
    feeds(0.3).write_csv("b.csv")
    feeds(0.1).write_parquet("c.parquet")
    cohort = np.where(np.arange(users) < 40, "incumbent", "newcomer")
    pl.DataFrame({"user_id": range(users), "cohort": cohort, "age": range(users)}).write_csv(
        "u.csv"
    )
    kinds = np.where(np.arange(105) % 2, "video", "image")
    pl.DataFrame({"item_id": range(105), "kind": kinds}).write_csv("i.csv")
    return tmp_path


def _folder(place: Path) -> Path:
    (folder,) = (place / "data/evaluations").iterdir()
    return folder


def test_report_files_and_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--users", "u.csv", "--items", "i.csv", "--attributes", "format=kind"]
    assert main([*WORDS, *more, "--groups", "age", "--name", "swap", "--k", "5"]) == 0
    printed = capsys.readouterr().out
    assert "swap: how far are B's feeds from A's?" in printed
    assert "Floor (what changes anyway): the reference's drift from A." in printed
    assert "age low: up to 19" in printed
    assert "cohort newcomer" in printed
    assert max(map(len, printed.splitlines())) <= 100 or "MLflow" in printed
    folder = _folder(place)
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml",
        "drift.csv",
        "groups.csv",
        "measures.csv",
        "notes.txt",
        "per_user.parquet",
        "quantiles.csv",
        "record.json",
        "report.html",
        "summary.csv",
    }
    drift = pl.read_csv(folder / "drift.csv").filter(
        pl.col("day").is_null(), cohort="all", measure="slots_changed"
    )
    per_user = pl.read_parquet(folder / "per_user.parquet").filter(pl.col("day").is_null())
    means = dict(per_user.group_by("feeds").agg(pl.col("slots_changed").mean()).iter_rows())
    row = drift.row(0, named=True)
    assert row["drift"] == pytest.approx(means["b"], abs=1e-12)
    assert row["floor"] == pytest.approx(means["floor"], abs=1e-12)
    assert 0.2 < row["drift"] < 0.4  # .3 of 600 slots: within 5 standard deviations of .019
    client = MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("recsys").experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "swap")
    assert run.data.tags["role"] == "evaluation"
    assert run.data.tags["mlflow.source.name"] == "recsys evaluate"
    assert run.data.params["b"] == "b.csv"
    assert run.data.params["attributes.format"] == "kind"
    assert len(run.data.metrics) <= 40
    for name, part in (("changed", "drift"), ("floor", "floor"), ("excess", "excess")):
        assert run.data.metrics[f"{name}_pct"] == round(100 * row[part], 2)
    assert {"n_users", "floor_pct", "posts_pct", "posts_excess_pct"} <= run.data.metrics.keys()
    history = client.get_metric_history(run.info.run_id, "changed_pct_by_day")
    assert [m.step for m in history] == [1, 2]
    artifacts = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert {"drift.csv", "per_user.parquet", "config.yaml"} <= artifacts


def test_the_same_frames_give_the_same_bytes(place: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in _folder(place).iterdir()}

    assert main(QUIET) == 0
    first = contents()
    assert main(QUIET) == 0
    assert contents() == first
    assert not (place / "mlruns").exists()
    b = pl.read_csv("b.csv").with_columns(
        item_id=pl.col("item_id").reverse() % 7 + pl.col("rank") * 9
    )
    b.write_csv("b.csv")
    assert main(QUIET) == 0
    assert len(list((place / "data/evaluations").iterdir())) == 2


def test_the_command_in_the_config_makes_it_again(place: Path) -> None:
    assert main([*QUIET, "--columns", "item_id=item_id", "--k", "3"]) == 0
    text = (_folder(place) / "config.yaml").read_text()
    words = text.splitlines()[0].removeprefix("# .venv/bin/recsys evaluate ").split()
    before = (_folder(place) / "drift.csv").read_bytes()
    assert main([*words, "--no-tracking"]) == 0
    assert (_folder(place) / "drift.csv").read_bytes() == before
    content = yaml.safe_load(text)
    assert (content["k"], content["floor"], content["b"]) == (3, "reference", "b.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--a", "a.parquet", "--b", "none.parquet"], "--b: no file at"),
        ([*WORDS, "--columns", "user_id"], "--columns: 'user_id' is not of the form ours=theirs"),
        ([*WORDS, "--attributes", "=x"], "--attributes: '=x' is not of the form"),
        ([*WORDS, "--name", "../up"], "--name: '../up' cannot be the name of a folder"),
        ([*WORDS, "--groups", "age"], "groups: users have no 'age'"),
        (["--a", "a.parquet", "--b", "i.csv"], "b: no column 'user_id', 'rank'"),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(
    words: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--no-tracking"]) == 2
    streams = capsys.readouterr()
    assert message in streams.err
    assert "Traceback" not in streams.err
    assert not (place / "data").exists()


def test_mlflow_out_of_reach_is_exit_3_and_the_files_are_there(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "file").write_text("no folder")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/file/mlflow.db")
    assert main(WORDS) == 3
    assert "did not take" in capsys.readouterr().err
    assert (_folder(place) / "drift.csv").exists()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "--reference" in capsys.readouterr().out
