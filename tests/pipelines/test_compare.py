"""`recsys compare`: text, page and run; refused between different worlds."""

import json
from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient

from pipelines import cli
from pipelines.report.compared import sentences_of
from recsys.study.compare import COLUMNS
from recsys.study.tables.table import schema_of

OFF = "tracking.enabled=false"


def _ran(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(list(words)) == 0
    return capsys.readouterr().out


def test_two_studies_of_one_world(resumed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = _ran(capsys, "run", "tiny.yaml", "--quiet", OFF).strip()
    second = _ran(capsys, "run", "tiny.yaml", "--quiet", OFF, "name=again").strip()
    text = _ran(capsys, "compare", first, second, "--no-tracking")
    assert "With trending both studies change the same posts." in text
    assert "  utility" in text
    assert "language:en" not in text
    assert "language:en" in _ran(capsys, "compare", first, second, "--no-tracking", "--full")
    found = json.loads(_ran(capsys, "compare", first, second, "--json"))
    client = MlflowClient(f"sqlite:///{resumed}/mlruns/mlflow.db")
    metrics = client.get_run(found["mlflow_run_id"]).data.metrics
    assert metrics["net_difference_points/trending"] == 0
    assert len(metrics) <= 40
    assert found["headline"][0]["measure"] == "net"
    folder = Path(found["folder"])
    assert {path.name for path in folder.iterdir()} == {
        "report.html",
        "differences.csv",
        "record.json",
    }
    assert "both studies change the same posts" in (folder / "report.html").read_text()


def test_another_world_is_refused(resumed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = _ran(capsys, "run", "tiny.yaml", "--quiet", OFF).strip()
    config = Path(first, "config.yaml").read_text()
    other = Path("data/studies/other-0")
    other.mkdir()
    start, _, digest = config.rstrip().rpartition("# world_digest: ")
    assert len(digest) == 64
    (other / "config.yaml").write_text(f"{start}# world_digest: {digest[::-1]}\n")
    (other / "per_user.parquet").write_bytes(Path(first, "per_user.parquet").read_bytes())
    assert cli.main(["compare", first, str(other), "--no-tracking"]) == 2
    message = capsys.readouterr().err
    assert "met different worlds or logs" in message
    (other / "config.yaml").write_text(start.replace("newcomers: 40", "newcomers: 41"))
    assert cli.main(["compare", first, str(other), "--no-tracking"]) == 2  # digest of the config
    assert "met different worlds or logs" in capsys.readouterr().err


def test_what_is_no_study_is_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "holds no finished study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            (0.05, 0.02, 0.08),
            "With als the second study changes 5 of 100 posts more than the first ",
        ),
        ((-0.12, -0.2, -0.04), "changes 12 of 100 posts fewer than the first (between 4 and 20)."),
        (
            (0.01, -0.02, 0.04),
            "no difference can be told: it is between 2 of 100 posts fewer and 4",
        ),
        ((0.05, None, None), "which one seed cannot tell from luck"),
    ],
)
def test_sentences(values: tuple[float | None, ...], words: str) -> None:
    names = ("difference", "ci_low", "ci_high")
    row = {"recommender": "als", "mitigation": "none", "measure": "net"}
    row |= dict(zip(names, values, strict=True))  # type: ignore[arg-type]
    schema = schema_of(COLUMNS)
    table = pl.DataFrame([{name: row.get(name) for name in schema}], schema)
    (said,) = sentences_of(table)
    assert words in said
