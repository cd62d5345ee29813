"""`recsys validate`: verdicts on the terminal, in files and in MLflow; stopped and resumed."""

import polars as pl
import pytest
from mlflow import MlflowClient

from pipelines.storage.figures import FigureStore
from pipelines.tracking import figures
from pipelines.validate import main
from recsys.checks.verdicts import CHECKS

CONFIG = """
name: tiny
loop: closed
world:
  incumbents: 150
  influx: {kind: rednote_2025, newcomers: 20}
  days_before: 2
  days_after: 16
  burn_in_days: 1
recommenders: [trending]
evaluation: {days: [1], panel: 50}
seeds: 1
workers: 2
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_verdicts_are_printed_written_and_logged(config, tmp_path, capsys):
    assert main([str(config)]) == 0
    printed = capsys.readouterr().out
    for number, title in CHECKS.items():
        assert (f"{number}. {title}" in printed) == (number != 7)  # trending has no training seed
    lines = [line for line in printed.splitlines() if not line.startswith("MLflow")]
    assert max(len(line) for line in lines if "  " in line) <= 100
    (folder,) = (tmp_path / "data/validations").glob("tiny-*")
    verdicts = pl.read_csv(folder / "verdicts.csv")
    assert set(verdicts["verdict"]) <= {"holds", "fails", "unclear"}
    measured = pl.read_csv(folder / "measured.csv")
    means = measured.group_by("quantity", "served_by").agg(pl.col("value").mean())
    joined = verdicts.join(means, on=["quantity", "served_by"])
    assert joined.height == verdicts.height
    assert (joined["mean"] - joined["value"]).abs().max() < 1e-9
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("recsys").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["role"] == "validation"
    assert run.data.metrics.keys() == {"holds", "fails", "unclear"}
    assert run.data.metrics["holds"] == (verdicts["verdict"] == "holds").sum()
    assert run.inputs.dataset_inputs[0].dataset.name.endswith(" world")
    first = verdicts.row(0, named=True)
    every = {value.name: value.value for value in figures.verdict_values(verdicts)}
    name = "check_1/Zipf slope of clicks top 1000/house"
    assert every[name] == pytest.approx(first["mean"])


@pytest.mark.slow  # figures of a store that is whole or damaged: tests/pipelines/storage
def test_what_is_done_is_not_done_again(config, tmp_path, capsys):
    words = [str(config), "tracking.enabled=false"]
    assert main(words) == 0
    first = capsys.readouterr()
    parts = sorted((tmp_path / "data/validations/parts").iterdir())
    before = {path: path.stat().st_mtime_ns for path in parts}
    parts[0].unlink()
    parts[1].write_text("{", encoding="utf-8")
    assert main(words) == 0
    assert capsys.readouterr().out == first.out
    again = {path: path.stat().st_mtime_ns for path in parts}
    assert [path for path in parts if again[path] != before[path]] == parts[:2]


def test_a_log_cannot_be_validated(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.yaml").write_text(
        "name: log\nlog: {events: e.csv, newcomers: a = 1}\nrecommenders: [trending]\nseeds: 1\n",
        encoding="utf-8",
    )
    assert main(["log.yaml"]) == 2
    assert "only a world can be validated" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_store_holds_what_was_put_into_it(tmp_path):
    store = FigureStore(tmp_path)
    store['{"a": 1}'] = {"x": 0.1, "y": float("nan")}
    assert store['{"a": 1}']["x"] == 0.1
    assert list(store) == ['{"a": 1}']
    del store['{"a": 1}']
    assert len(store) == 0
    with pytest.raises(KeyError):
        store['{"a": 1}']
