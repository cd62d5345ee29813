"""Disks that are full or cannot be written: a message with the right folder, and nothing half."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import recsys
from pipelines import cli
from pipelines.storage import files
from tests.kit.tiny import WORLD

ROOT = Path(recsys.__file__).parents[1]
TRAINING = """
name: small
world:
  incumbents: 150
  influx: {kind: rednote_2025, newcomers: 40}
  days_before: 3
  days_after: 3
recommender: {kind: item_knn, neighbours: 20}
k: 5
test_days: 1
tune: {space: {neighbours: [5, 20, 80]}, trials: 3}
"""
FEEDS = "user_id,rank,item_id\n1,1,7\n1,2,8\n2,1,7\n2,2,9\n"
WORDS = {
    "run": ["tiny.yaml", "seeds=1"],
    "train": ["t.yaml", "tune=null"],
    "tune": ["t.yaml"],
    "simulate": ["tiny.yaml"],
    "evaluate": ["--a", "a.csv", "--b", "a.csv", "--no-tracking"],
}


def project(place: Path) -> None:
    off = "tracking: {enabled: false}\n"
    (place / "tiny.yaml").write_text(WORLD + off)
    (place / "t.yaml").write_text(TRAINING + off)
    (place / "a.csv").write_text(FEEDS)


@contextlib.contextmanager
def disk(place: Path, size: str) -> Iterator[Path]:
    """A disk of its own."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(command, check=False).returncode
    ):
        pytest.skip("only root may mount a disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow  # five programs, twice, each in a process of its own
@pytest.mark.parametrize("size", ["20k", "64k"])
@pytest.mark.parametrize("name", WORDS)
def test_a_full_disk_is_a_message(name: str, size: str, tmp_path: Path) -> None:
    with disk(tmp_path / "disk", size) as place:
        project(place)
        ended = subprocess.run(
            [sys.executable, "-m", f"pipelines.{name}", *WORDS[name]],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert list(place.rglob(".part-*")) == []
        assert "Traceback" not in ended.stderr
        assert ended.returncode == 2 or (ended.returncode == 0 and size == "64k"), ended.stderr
        if ended.returncode:
            assert f"cannot write to {place}/data/" in ended.stderr
            assert "No space left on device; free space there" in ended.stderr


def test_cells_are_kept_when_the_disk_is_full(
    resumed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk is full when the tables are written, after the cells."""
    cells = sorted((resumed / "data/cells").iterdir())
    shutil.rmtree(resumed / "data/studies")
    force = files.force

    def full(path: Path) -> None:
        if "studies" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        force(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "force", full)
        assert cli.main(["run", "tiny.yaml", "tracking.enabled=false"]) == 2
    assert f"cannot write to {resumed}/data/studies/tiny-" in capsys.readouterr().err
    assert sorted((resumed / "data/cells").iterdir()) == cells
    (folder,) = (resumed / "data/studies").iterdir()
    assert list(folder.iterdir()) == []


def test_a_page_that_cannot_be_written_is_a_message(
    resumed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(result: object, path: Path) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded", str(path))

    (folder,) = (resumed / "data/studies").iterdir()
    (folder / "report.html").unlink()
    monkeypatch.setattr(sys.modules["pipelines.run"], "save_page", full)
    assert cli.main(["run", "tiny.yaml", "tracking.enabled=false"]) == 2
    assert "Disk quota exceeded; free space there" in capsys.readouterr().err
