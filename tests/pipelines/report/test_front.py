"""A study with mitigations from the command line: what is printed, written and recorded."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient

import recsys
from pipelines.report.labels import Scale, placed, width_of
from pipelines.run import main
from tests.kit.tiny import WORLD


def test_no_name_covers_another_or_leaves_the_plot() -> None:
    rng = np.random.default_rng(0)
    names = [f"mitigation {n}" for n in range(12)]
    for spread in (0.0, 5.0, 40.0):
        points = [(100 + spread * a, 120 + spread * b) for a, b in rng.normal(size=(12, 2))]
        places = placed(points, names, 240)
        for number, place in enumerate(places):
            assert 6 <= place.y <= 234
            assert place.x > points[number][0]
            for other in places[number + 1 :]:
                apart = abs(place.x - other.x) >= width_of(names[0]) - 10
                assert apart or abs(place.y - other.y) >= 11
    alone = placed([(10.0, 50.0)], ["cap"], 240)
    assert alone[0].y == 50


def test_a_scale_leaves_room() -> None:
    scale = Scale.around([2.0, 4.0], 300, 20, 80)
    assert [round(scale.pixel(value), 9) for value in (2, 4)] == [20, 220]
    assert scale.value(20) == pytest.approx(2)
    assert Scale.around([3.0], 100, 10, 10).pixel(3.0) == 50


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
    assert main(["tiny.yaml", "--full"]) == 0
    return capsys.readouterr().out


def test_a_study_with_mitigations(place: Path, printed: str) -> None:
    for name in NAMES:
        assert f"\n{name}" in printed
    assert "How stable are long-time users' feeds under each mitigation?" in printed
    assert "Which mitigations can be left out?" in printed
    folder = next((place / "data/studies").iterdir())
    front = pl.read_csv(folder / "front.csv")
    assert front["mitigation"].unique(maintain_order=True).to_list() == [
        "none",
        "cap",
        "anchor + wall",
    ]
    assert (folder / "dominated.csv").exists()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not (folder / "front.html").exists()
    assert "als: which mitigation keeps feeds stable, at what cost?" in page
    assert "anchor + wall" in page
    assert recsys.load_study(folder / "config.yaml") == recsys.load_study(place / "tiny.yaml")
    client = MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    runs = client.search_runs(["1"], "tags.role = 'recommender'")
    assert {run.info.run_name for run in runs} == set(NAMES)
    params = {run.info.run_name: run.data.params for run in runs}
    assert params["als + anchor + wall"]["mitigation"] == "anchor + wall"
    assert params["als + anchor + wall"]["anchor.mu"] == "50.0"
