"""A study with mitigations from the command line: what is printed, written and recorded."""

from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient

import recsys
from pipelines.run import main
from tests.pipelines.conftest import WORLD

MITIGATED = (
    WORLD
    + """
mitigations:
  - [cap]
  - {parts: [{kind: anchor, mu: 50}, {kind: cap, share: 0, name: wall}], only: [als]}
"""
)
NAMES = ["trending", "trending + cap", "als", "als + cap", "als + anchor + wall"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("mitigated")
    (where / "tiny.yaml").write_text(MITIGATED)
    return where


@pytest.fixture
def printed(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.chdir(place)
    assert main(["tiny.yaml"]) == 0
    return capsys.readouterr().out


def test_a_study_with_mitigations(place: Path, printed: str) -> None:
    for name in NAMES:
        assert f"\n{name}" in printed
    assert "How stable are the incumbents' feeds under each mitigation?" in printed
    assert "Which can be left out?" in printed
    folder = next((place / "data/studies").iterdir())
    front = pl.read_csv(folder / "front.csv")
    assert front["mitigation"].unique(maintain_order=True).to_list() == [
        "none", "cap", "anchor + wall",
    ]  # fmt: skip
    assert (folder / "dominated.csv").exists()
    page = (folder / "front.html").read_text(encoding="utf-8")
    assert "anchor + wall" in page
    assert "<script src" not in page  # it needs no network
    assert recsys.load_study(folder / "config.yaml") == recsys.load_study(place / "tiny.yaml")
    client = MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    runs = client.search_runs(["1"], "tags.role = 'recommender'")
    assert {run.info.run_name for run in runs} == set(NAMES)
    params = {run.info.run_name: run.data.params for run in runs}
    assert params["als + anchor + wall"]["mitigation"] == "anchor + wall"
    assert params["als + anchor + wall"]["anchor.mu"] == "50.0"
    parent = client.search_runs(["1"], "tags.role = 'study'")[0].info.run_id
    assert "front.html" in {artifact.path for artifact in client.list_artifacts(parent)}
