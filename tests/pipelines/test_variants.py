"""A config with variants, run as one: files, resuming, the comparison, MLflow runs."""

import contextlib
import dataclasses
import io
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient
from rich.console import Console

import recsys
from pipelines import simulate
from pipelines.report.terminal import print_comparison
from pipelines.run import main
from pipelines.storage.cells import CellStore
from recsys.study.arms.result import CellResult
from recsys.study.cell import Cell
from recsys.study.result import StudyResult
from recsys.study.sources import Sources

QUIET = "tracking.enabled=false"
VARIANTS = """
variants:
  calm: {world: {influx: {newcomers: 40}}}
  busy: {world: {platform: tiktok}}
"""


@pytest.fixture(scope="session")
def compared(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run of both variants; to be read only."""
    place = tmp_path_factory.mktemp("compared") / "place"
    shutil.copytree(finished, place)
    one = (place / "tiny.yaml").read_text()
    (place / "both.yaml").write_text(one.replace("tiny", "both") + VARIANTS)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(place):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert main(["both.yaml"]) == 0
    return place


@pytest.fixture
def fresh_both(compared: Path, fresh: Path) -> Path:
    """An empty working directory with the config of both variants."""
    (fresh / "both.yaml").write_bytes((compared / "both.yaml").read_bytes())
    return fresh


@pytest.fixture(scope="session")
def results(compared: Path) -> list[StudyResult]:
    studies = recsys.load_studies(compared / "both.yaml")
    return [recsys.run(s, store=CellStore(s, compared / "data/cells")) for s in studies]


def _ran(monkeypatch: pytest.MonkeyPatch, stop_after: float = float("inf")) -> list[str]:
    """Studies and cells that are really run; Ctrl-C comes after so many."""
    ran: list[str] = []
    run_cell: Callable[[Cell, Sources], CellResult] = import_module("recsys.study.run").run_cell

    def counted(cell: Cell, sources: Sources) -> CellResult:
        if len(ran) >= stop_after:
            raise KeyboardInterrupt
        result = run_cell(cell, sources)
        ran.append(f"{cell.study.name} {cell.name}")
        return result

    monkeypatch.setattr(import_module("recsys.study.run"), "run_cell", counted)
    return ran


def _folders(place: Path) -> dict[str, Path]:
    return {path.name.rpartition("-")[0]: path for path in (place / "data/studies").iterdir()}


def _bytes(place: Path) -> dict[str, bytes]:
    """Of all files of the group and its variants that hold neither times nor their own place.

    `finished.json` holds checksums of those that do.
    """
    others = {"timings.parquet", "config.yaml", "record.json", "finished.json"}
    return {
        f"{name}/{path.name}": path.read_bytes()
        for name, folder in _folders(place).items()
        if name.startswith("both")
        for path in folder.iterdir()
        if path.name not in others
    }


def _printed(results: list[StudyResult]) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False, emoji=False, markup=False)
    print_comparison(console, results, [recsys.verdict(result) for result in results])
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_each_variant_is_saved_as_any_study(compared: Path) -> None:
    folders = _folders(compared)
    assert folders.keys() == {"tiny", "both", "both-calm", "both-busy"}
    assert [path.name for path in folders["both"].iterdir()] == ["comparison.csv"]
    for name in ("both-calm", "both-busy"):
        files = {path.name for path in folders[name].iterdir()}
        assert files == {path.name for path in folders["tiny"].iterdir()}
        resolved = recsys.load_study(folders[name] / "config.yaml")
        assert resolved in recsys.load_studies(compared / "both.yaml")


def test_comparison_is_the_drift_of_all(compared: Path) -> None:
    folders = _folders(compared)
    table = pl.read_csv(folders["both"] / "comparison.csv", infer_schema=False)
    assert table["variant"].unique(maintain_order=True).to_list() == ["calm", "busy"]
    for (variant,), rows in table.group_by("variant"):
        drift = pl.read_csv(folders[f"both-{variant}"] / "drift.csv", infer_schema=False)
        assert rows.drop("variant").equals(drift)


def test_a_variant_that_is_a_finished_study_runs_no_cell(
    compared: Path, resumed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`calm` sets what the tiny study has: all its cells are there."""
    shutil.copy(compared / "both.yaml", resumed)
    ran = _ran(monkeypatch)
    assert main(["both.yaml", QUIET, "workers=1"]) == 0
    assert ran == [f"both-busy {name}-seed-{s}" for s in (0, 1) for name in ("trending", "als")]


@pytest.mark.slow  # of one study: tests/pipelines/test_run.py
def test_interrupted_comparison_goes_on_where_it_stopped(
    compared: Path,
    fresh_both: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        _ran(patch, stop_after=5)
        assert main(["both.yaml", QUIET, "workers=1", "--each"]) == 130
    message = capsys.readouterr().err
    assert "4/8 cells" in message
    assert ": calm: als-seed-1" in message
    assert ": busy: trending-seed-0" in message
    assert "Interrupted with 5 of 8 cells done" in message
    assert f".venv/bin/recsys run both.yaml {QUIET} workers=1 --each" in message
    assert _folders(fresh_both).keys() == {"both-calm"}
    rest = _ran(monkeypatch)
    assert main(["both.yaml", QUIET]) == 0
    assert len(rest) == 3
    assert _bytes(fresh_both) == _bytes(compared)
    assert _folders(fresh_both).keys() == _folders(compared).keys() - {"tiny"}


def test_one_chosen_variant_is_a_study(
    compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    place = tmp_path / "one"
    shutil.copytree(compared, place)
    monkeypatch.chdir(place)
    assert main(["both.yaml", QUIET, "variants=busy"]) == 0
    assert capsys.readouterr().out.startswith(
        "both-busy: 40 newcomers joined 150 long-time users\n"
    )
    assert _bytes(place) == _bytes(compared)


def test_each_prints_the_summaries_too(
    compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    place = tmp_path / "each"
    shutil.copytree(compared, place)
    monkeypatch.chdir(place)
    outputs = []
    for flags in ([], ["--each"]):
        assert main([*flags, "both.yaml", QUIET]) == 0
        outputs.append(capsys.readouterr().out)
    comparison, every = outputs
    assert comparison.startswith("both: 2 variants\n")
    assert every.startswith("both-calm: 40 newcomers")
    assert "\nboth-busy: 40 newcomers" in every
    assert every.endswith(comparison)
    named = {word.rstrip("/") for word in comparison.split() if word.startswith("data/studies/")}
    assert named == {str(f.relative_to(place)) for n, f in _folders(place).items() if n != "tiny"}


def test_comparison_has_a_row_a_recommender_and_variant(results: list[StudyResult]) -> None:
    lines = _printed(results).splitlines()
    assert max(len(line) for line in lines) <= 100
    starts = [line.split()[0] for line in lines if line.strip()]
    for name, times in {"trending": 2, "als": 2, "calm": 5, "busy": 5}.items():
        assert starts.count(name) == times
    assert "40 newcomers joined 150 long-time users" in lines
    assert (
        "Measured on days 1, 2 (0: first arrivals): the first 5 slots of 40 long-time users'"
        in _printed(results)
    )
    assert _printed(results).count("Note: With 2 seeds") == 1


def test_what_variants_do_not_share_is_told_of_each(results: list[StudyResult]) -> None:
    calm, busy = results
    study = busy.study.model_copy(update={"seeds": 8, "recommenders": busy.study.recommenders[:1]})
    drift = busy.drift.filter(pl.col("recommender") == "trending")
    new = dataclasses.replace(busy, study=study, notes=("New.",)).with_tables(drift=drift)
    text = _printed([calm, new])
    assert "over 2 seeds" not in text
    assert "Note: calm: With 2 seeds" in text
    assert "Note: busy: New." in text
    starts = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert (starts.count("calm"), starts.count("busy")) == (5, 3)


def test_logs_compare_by_their_placebos(log_result: StudyResult) -> None:
    names = {"group": "tiny", "name": "tiny-log"}
    study = log_result.study.model_copy(update=names)
    other = study.model_copy(update={"name": "tiny-other"})
    text = _printed([dataclasses.replace(log_result, study=s) for s in (study, other)])
    assert "90 % of them" in text
    starts = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert starts.count("log") == starts.count("other") == 3


def test_runs_are_found_by_group_and_variant(compared: Path) -> None:
    client = MlflowClient(f"sqlite:///{compared}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("recsys")
    assert experiment is not None
    query = "tags.group = 'both' and tags.role = 'study'"
    runs = client.search_runs([experiment.experiment_id], query)
    found = {(run.info.run_name, run.data.tags["variant"], run.info.status) for run in runs}
    assert found == {("both-calm", "calm", "FINISHED"), ("both-busy", "busy", "FINISHED")}
    below = client.search_runs(
        [experiment.experiment_id], "tags.variant = 'busy' and tags.role = 'recommender'"
    )
    assert sorted(run.info.run_name for run in below) == ["als", "trending"]
    alone = client.search_runs([experiment.experiment_id], "tags.study = 'tiny'")
    assert not any("group" in run.data.tags for run in alone)


def test_mlflow_that_takes_nothing_stops_no_variant(
    compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    place = tmp_path / "untaken"
    shutil.copytree(compared / "data", place / "data")
    shutil.copy(compared / "both.yaml", place)
    (place / "mlruns").write_text("a file where a directory should be")
    monkeypatch.chdir(place)
    assert main(["both.yaml"]) == 3
    streams = capsys.readouterr()
    assert streams.out.startswith("both: 2 variants")
    assert "mlruns is a file, not a folder; move it away" in streams.err.splitlines()[0]
    assert streams.err.count("did not take the results") == 1
    assert streams.err.count("data/studies/both-") == 2  # what to record later


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["world.platform=rednote"], "both.yaml: override world.platform: "),
        (["variants=bussy"], "both.yaml: variants: there is no 'bussy'; did you mean 'busy'?"),
        (
            ["variants.busy.evaluation.k=200", "world.posts.per_creator_day=0.1"],
            "both-busy: evaluation.k: 200 is more than",
        ),
    ],
)
def test_mistake_is_one_message_before_anything_runs(
    overrides: list[str], words: str, fresh_both: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(fresh_both.iterdir())
    assert main(["both.yaml", *overrides]) == 2
    streams = capsys.readouterr()
    assert words in streams.err
    assert streams.out == ""
    assert sorted(fresh_both.iterdir()) == before


def test_a_log_is_simulated_of_one_variant(
    fresh_both: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate.main(["both.yaml"]) == 2
    assert "variants=NAME" in capsys.readouterr().err
    assert simulate.main(["both.yaml", "variants=busy"]) == 0
    assert (fresh_both / "data/both-busy-influx-seed-0/events").is_dir()
