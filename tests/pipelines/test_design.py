"""`recsys design`: trials on the terminal and in files, and mistakes."""

import json

import polars as pl
import pytest

from pipelines import design
from pipelines.design import main
from recsys.checks.designs import DESIGNS, OUTCOMES
from recsys.core.errors import ConfigError

CONFIG = """
name: tiny
loop: closed
world:
  incumbents: 150
  influx: {newcomers: 40, arrivals: [1.0]}
  days_before: 2
  days_after: 4
  burn_in_days: 1
recommenders: [trending]
evaluation: {days: [1, 3], k: 8, panel: 40, training_days: 5}
seeds: 1
workers: 1
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_designs_are_printed_and_written(config, tmp_path, capsys):
    assert main([str(config), "--effect", "0.05"]) == 0
    printed = capsys.readouterr().out
    for name, each in DESIGNS.items():
        assert f"{name}: {each.estimator.split()[0]}" in printed
    assert "to see a change of 0.05" in printed
    assert "a part of the day with" in printed  # of two days one is on, and one is off
    (folder,) = (tmp_path / "data/designs").glob("tiny-*")
    table = pl.read_csv(folder / "designs.csv")
    assert table.height == len(DESIGNS) * len(OUTCOMES)
    assert (folder / "config.yaml").read_text().startswith("# .venv/bin/recsys design data/")
    (kept,) = (tmp_path / "data/designs/parts").iterdir()
    before = kept.stat().st_mtime_ns
    assert main([str(config), "--json"]) == 0  # another effect runs no part again
    told = json.loads(capsys.readouterr().out)
    assert told["effect"] == 0.01
    assert kept.stat().st_mtime_ns == before


def test_parts_are_kept_where_the_engine_stores_them(config, tmp_path, monkeypatch):
    """No cluster runs here: what is asked is where finished parts go."""
    stores = []

    def recorded(study, effect, progress, store):
        stores.append(store)
        raise ConfigError("seen")

    monkeypatch.setattr(design, "run_designs", recorded)
    shared = ["engine.kind=ray", f"engine.storage={tmp_path / 'shared'}", "--trust-config"]
    assert main([str(config), *shared]) == 2
    stores[0]["{}"] = pl.DataFrame({"a": [1]})
    (kept,) = (tmp_path / "shared").rglob("*.parquet")
    assert kept.parts[-3:-1] == ("designs", "parts")
    assert stores[0].shared


def test_mistakes_are_told(config, capsys):
    assert main([str(config), "world.influx.newcomers=0"]) == 2
    assert "two or more newcomers" in capsys.readouterr().err
