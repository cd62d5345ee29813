"""`recsys prove`: claims on the terminal, in files, plots and MLflow; stopped and resumed."""

import polars as pl
import pytest
from mlflow import MlflowClient

from pipelines.prove import main
from pipelines.storage.figures import RowStore
from recsys.checks.proof.claims import TITLES

CONFIG = """
name: tiny
loop: closed
world:
  incumbents: 150
  influx: {newcomers: 30, arrivals: [1.0]}
  days_before: 2
  days_after: 3
  burn_in_days: 1
recommenders: [trending]
evaluation: {days: [2], k: 8, panel: 40, training_days: 5}
workers: 2
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_a_claim_is_printed_written_and_logged(config, tmp_path, capsys):
    assert main([str(config), "--quick", "--parts", "dose"]) == 0
    printed = capsys.readouterr().out
    for number, title in TITLES.items():
        assert (f"{number}. {title}" in printed) == (number == 2)
    (folder,) = (tmp_path / "data/proofs").glob("tiny-*")
    assert {"verdicts.csv", "doses.csv"} <= {path.name for path in folder.iterdir()}
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("recsys").experiment_id])
    assert run.data.tags["role"] == "proof"


@pytest.mark.slow
def test_claims_are_printed_written_drawn_and_logged(config, tmp_path, capsys):
    words = [str(config), "--quick", "--parts", "offline,dose"]
    assert main(words) == 0
    first = capsys.readouterr()
    for number, title in TITLES.items():
        assert (f"{number}. {title}" in first.out) == (number in (2, 3))
    (folder,) = (tmp_path / "data/proofs").glob("tiny-*")
    names = {path.name for path in folder.iterdir()}
    tables = {"verdicts", "cells", "agreement", "offline", "doses"}
    assert names >= {f"{name}.csv" for name in tables} | {"config.yaml"}
    plots = {"offline-cells.svg", "offline-sizes.svg", "offline-composition.svg"}
    assert names >= plots
    assert all((folder / name).read_text(encoding="utf-8").startswith("<svg") for name in plots)
    verdicts = pl.read_csv(folder / "verdicts.csv")
    assert set(verdicts["check"]) == {2, 3}
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("recsys").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["role"] == "proof"
    assert run.data.tags["mlflow.source.name"] == "recsys prove"
    assert run.data.metrics.keys() == {"holds", "fails", "unclear"}
    assert run.data.metrics["holds"] == (verdicts["verdict"] == "holds").sum()

    parts = sorted((tmp_path / "data/proofs/parts").iterdir())
    before = {path: path.stat().st_mtime_ns for path in parts}
    parts[0].unlink()
    parts[1].write_text("{", encoding="utf-8")
    assert main([*words, "tracking.enabled=false"]) == 0
    told = capsys.readouterr().out.partition("\n\n\n")[0]
    assert told.splitlines()[:20] == first.out.splitlines()[:20]
    again = {path: path.stat().st_mtime_ns for path in parts}
    assert [path for path in parts if again[path] != before[path]] == parts[:2]


def test_mistakes_are_told(config, capsys):
    assert main([str(config), "--parts", "ofline"]) == 2
    assert "no part 'ofline' of the proof; known: coverage" in capsys.readouterr().err


def test_a_store_holds_what_was_put_into_it(tmp_path):
    store = RowStore(tmp_path)
    rows = pl.DataFrame({"x": [0.1, None]})
    store['{"a": 1}'] = rows
    assert store['{"a": 1}'].equals(rows)
    assert list(store) == ['{"a": 1}']
    del store['{"a": 1}']
    assert len(store) == 0
    with pytest.raises(KeyError):
        store['{"a": 1}']
