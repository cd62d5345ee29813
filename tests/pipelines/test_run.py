"""The main program: files out, resuming, exit codes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest

import recsys
from pipelines.run import main
from pipelines.storage.finished import load_finished
from recsys.study.arms.result import CellResult
from recsys.study.cell import Cell
from recsys.study.sources import Sources

FILES = {
    "config.yaml",
    "drift.csv",
    "drift.parquet",
    "exposure.csv",
    "exposure.parquet",
    "feeds.parquet",
    "finished.json",
    "headline.csv",
    "headline.parquet",
    "life.csv",
    "life.parquet",
    "measures.csv",
    "measures.parquet",
    "notes.txt",
    "per_user.parquet",
    "power.csv",
    "quantiles.csv",
    "quantiles.parquet",
    "record.json",
    "report.html",
    "shown_posts.parquet",
    "shown_users.csv",
    "summary.csv",
    "summary.parquet",
    "timings.parquet",
    "wins.csv",
    "wins.parquet",
}
SAME = FILES - {
    "timings.parquet",
    "config.yaml",
    "record.json",
    "finished.json",
}  # of another command
QUIET = "tracking.enabled=false"


def _study_folder(place: Path) -> Path:
    (folder,) = (place / "data/studies").iterdir()
    return folder


def _bytes(place: Path) -> dict[str, bytes]:
    return {name: (_study_folder(place) / name).read_bytes() for name in SAME}


def _counting(monkeypatch: pytest.MonkeyPatch, stop_after: float = float("inf")) -> list[str]:
    """Names of the cells that are really run; Ctrl-C comes after so many."""
    ran: list[str] = []
    run_cell: Callable[[Cell, Sources], CellResult] = import_module("recsys.study.run").run_cell

    def counted(cell: Cell, sources: Sources) -> CellResult:
        if len(ran) >= stop_after:
            raise KeyboardInterrupt
        result = run_cell(cell, sources)
        ran.append(cell.name)
        return result

    monkeypatch.setattr(import_module("recsys.study.run"), "run_cell", counted)
    return ran


def test_writes_every_file_and_nothing_half_done(finished: Path) -> None:
    folder = _study_folder(finished)
    assert {path.name for path in folder.iterdir()} == FILES
    assert len(list((finished / "data/cells").iterdir())) == 4
    assert not list(finished.rglob(".part-*"))
    assert (
        pl.read_csv(folder / "drift.csv").height == pl.read_parquet(folder / "drift.parquet").height
    )


def test_config_on_disk_is_the_study(finished: Path) -> None:
    resolved = recsys.load_study(_study_folder(finished) / "config.yaml")
    assert resolved == recsys.load_study(finished / "tiny.yaml")


def test_second_run_reuses_every_cell(resumed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _bytes(resumed)
    shutil.rmtree(_study_folder(resumed))
    ran = _counting(monkeypatch, stop_after=0)
    assert main(["tiny.yaml", QUIET]) == 0
    assert ran == []
    assert _bytes(resumed) == before


def test_finished_study_needs_no_cells(
    resumed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (_study_folder(resumed) / "finished.json").unlink()
    assert main(["tiny.yaml", QUIET, "--full"]) == 0
    before, said = _bytes(resumed), capsys.readouterr().out
    shutil.rmtree(resumed / "data/cells")
    _counting(monkeypatch, stop_after=0)
    assert main(["tiny.yaml", QUIET, "--full"]) == 0
    assert capsys.readouterr().out == said
    assert _bytes(resumed) == before


@pytest.mark.parametrize("name", sorted(SAME))
def test_changed_file_of_a_finished_study_is_made_again(
    name: str, resumed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = recsys.load_study("tiny.yaml")
    assert load_finished(study) is not None
    file = _study_folder(resumed) / name
    file.write_bytes(file.read_bytes() + b" ")
    assert load_finished(study) is None
    file.unlink()
    assert load_finished(study) is None
    file.mkdir()
    assert load_finished(study) is None


def test_what_somebody_puts_beside_the_files_does_no_harm(resumed: Path) -> None:
    folder = _study_folder(resumed)
    (folder / "mine").mkdir()
    (folder / "mine.txt").write_text("mine")
    assert load_finished(recsys.load_study("tiny.yaml")) is not None
    (folder / "finished.json").unlink()
    assert main(["tiny.yaml", QUIET]) == 0
    assert load_finished(recsys.load_study("tiny.yaml")) is not None


def test_new_recommender_recomputes_no_other(
    resumed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = _counting(monkeypatch)
    assert main(["tiny.yaml", QUIET, "recommenders=[trending,random]", "seeds=1"]) == 0
    assert ran == ["random-seed-0"]


def test_same_config_gives_same_bytes_from_scratch(finished: Path, fresh: Path) -> None:
    assert main(["tiny.yaml", QUIET, "workers=1"]) == 0
    assert _bytes(fresh) == _bytes(finished)
    assert _study_folder(fresh).name == _study_folder(finished).name


@pytest.mark.parametrize(
    "damage", ["truncated", "changed", "no record", "other cell", "frame missing", "sum missing"]
)
def test_damaged_cell_is_computed_again(
    damage: str, resumed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _bytes(resumed)
    (_study_folder(resumed) / "finished.json").unlink()
    first, second, *_ = sorted((resumed / "data/cells").iterdir())
    frame = first / ("life.parquet" if damage == "changed" else "per_user.parquet")
    content = bytearray(frame.read_bytes())
    if damage == "truncated":
        frame.write_bytes(content[:-100])
    elif damage == "changed":
        content[len(content) // 2] ^= 1
        frame.write_bytes(content)
    elif damage == "no record":
        (first / "cell.json").unlink()
    elif damage == "frame missing":
        (first / "life.parquet").unlink()
    elif damage == "sum missing":
        record = json.loads((first / "cell.json").read_text())
        del record["sha256"]["life.parquet"]
        (first / "cell.json").write_text(json.dumps(record))
    else:
        for file in second.iterdir():
            (first / file.name).write_bytes(file.read_bytes())
    ran = _counting(monkeypatch)
    assert main(["tiny.yaml", QUIET]) == 0
    assert len(ran) == 1
    assert _bytes(resumed) == before


def test_feeds_are_written_if_asked_for(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = ["tiny.yaml", QUIET, "evaluation.snapshots=true", "seeds=1"]
    assert main(keep) == 0
    folder = _study_folder(fresh)
    assert {path.name for path in folder.iterdir()} == FILES - {"power.csv"}
    feeds = pl.read_parquet(folder / "feeds.parquet")
    assert feeds["recommender"].cast(pl.String).unique(maintain_order=True).to_list() == [
        "trending",
        "als",
    ]
    before = (folder / "feeds.parquet").read_bytes()
    (folder / "feeds.parquet").unlink()
    ran = _counting(monkeypatch, stop_after=0)
    assert main(keep) == 0
    assert ran == []
    assert (folder / "feeds.parquet").read_bytes() == before


def test_interrupted_study_goes_on_where_it_stopped(
    finished: Path,
    fresh: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        ran = _counting(patch, stop_after=3)
        assert main(["tiny.yaml", QUIET, "workers=1"]) == 130
    assert len(ran) == 3
    message = capsys.readouterr().err
    assert "3 of 4 cells" in message
    assert ".venv/bin/recsys run tiny.yaml tracking.enabled=false workers=1" in message
    assert not (fresh / "data/studies").exists()
    rest = _counting(monkeypatch)
    assert main(["tiny.yaml", QUIET]) == 0
    assert rest == ["als-seed-1"]
    assert _bytes(fresh) == _bytes(finished)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.yaml"], "nowhere.yaml: there is no such file"),
        (["broken.yaml"], "broken.yaml: cannot be read as YAML"),
        (["tiny.yaml", "seeds"], "not of the form key=value"),
        (["tiny.yaml", "sedes=3"], "did you mean 'seeds'"),
        (["tiny.yaml", "world.incumbents=-1"], "world.incumbents"),
        (["tiny.yaml", "evaluation.panel=151"], "more than the 150 incumbents"),
        (
            ["tiny.yaml", "evaluation.k=200", "world.posts.per_creator_day=0.1"],
            "evaluation.k: 200 is more than",
        ),
        (["tiny.yaml", "recommenders=[alz]"], "no kind 'alz'"),
        (["tiny.yaml", "recommenders=[]"], "recommenders"),
        (["tiny.yaml", "name=../up"], "name"),
        (["log.yaml"], "no file at"),
    ],
)
def test_mistake_is_one_message_and_leaves_no_trace(
    arguments: list[str], words: str, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (fresh / "broken.yaml").write_text("name: [")
    (fresh / "log.yaml").write_text(
        "{name: x, log: {events: none.csv, newcomers: 'a < 1'}, recommenders: [trending], seeds: 1}"
    )
    before = sorted(fresh.iterdir())
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert words in streams.err
    assert "Traceback" not in streams.err
    assert streams.out == ""
    assert sorted(fresh.iterdir()) == before


def test_unwritable_place_is_a_message(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fresh / "data").write_text("a file where a directory should be")
    assert main(["tiny.yaml", QUIET, "seeds=1"]) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_help_names_the_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "CONFIG" in capsys.readouterr().out


def test_untracked_run_never_imports_mlflow(resumed: Path) -> None:
    code = (
        "import sys; from pipelines.run import main; "
        f"code = main(['tiny.yaml', '{QUIET}', 'name=untracked']); "
        "sys.exit(code or 'mlflow' in sys.modules)"
    )
    roots = [str(Path(recsys.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, roots))}
    before = (resumed / "mlruns/mlflow.db").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (resumed / "mlruns/mlflow.db").read_bytes() == before
    assert "MLflow" not in done.stdout


def test_untracked_run_makes_no_mlruns(log_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(log_place)
    assert main(["log.yaml"]) == 0
    assert not (log_place / "mlruns").exists()
