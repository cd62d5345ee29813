"""Writing whole or not at all: errors that name the folder, leftovers, what reaches the disk."""

import contextlib
import errno
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from polars.exceptions import ColumnNotFoundError, ComputeError

from pipelines.storage import files
from pipelines.storage.files import (
    StorageError,
    explained,
    is_leftover,
    remove,
    sweep,
    whole,
    whole_folder,
)

LEFT = ".part-" + "0123456789abcdef" * 2


def old(path: Path, seconds: float) -> Path:
    """Makes a file, or all of a folder, look as if nothing had changed for so long."""
    for each in (path, *path.rglob("*")):
        stamp = each.stat().st_mtime - seconds
        os.utime(each, (stamp, stamp))
    return path


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole(path) as part:
        part.write_text("first")
        assert not path.exists()
    with contextlib.suppress(KeyboardInterrupt), whole(path) as part:
        part.write_text("sec")
        raise KeyboardInterrupt
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    place = tmp_path / "deep/cell"
    for text in ("first", "second"):
        with whole_folder(place) as part:
            (part / "below").mkdir()
            (part / "below/a.txt").write_text(text)
    with contextlib.suppress(KeyboardInterrupt), whole_folder(place) as part:
        (part / "b.txt").write_text("third")
        raise KeyboardInterrupt
    assert (place / "below/a.txt").read_text() == "second"
    assert [p.name for p in place.parent.iterdir()] == ["cell"]


def test_a_folder_that_is_as_good_may_stay(tmp_path: Path) -> None:
    place = tmp_path / "cell"
    for text, stays in (("first", False), ("second", True)):
        with whole_folder(place, lambda stays=stays: stays) as part:
            (part / "a.txt").write_text(text)
    assert (place / "a.txt").read_text() == "first"
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / "cell").write_text("no folder")
    with whole_folder(tmp_path / "cell") as part:
        (part / "a.txt").write_text("a")
    assert [p.name for p in tmp_path.iterdir()] == ["cell"]
    remove(tmp_path / "cell")
    remove(tmp_path / "cell")
    assert list(tmp_path.iterdir()) == []


def test_bytes_reach_the_disk_before_their_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def synced(handle: int) -> None:
        steps.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        sync(handle)

    def renamed(source: Path, target: Path) -> None:
        steps.append(f"{Path(source).name} -> {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(files.os, "replace", renamed)
    with whole(tmp_path / "a.txt") as part:
        part.write_text("a")
    assert steps == [part.name, f"{part.name} -> a.txt", tmp_path.name]
    steps.clear()
    with whole_folder(tmp_path / "cell") as part:
        for name in ("a", "b"):
            (part / name).write_text(name)
    assert sorted(steps[:2]) == ["a", "b"]
    assert steps[2:] == [part.name, f"{part.name} -> cell", tmp_path.name]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; free space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "quota exceeded; free space there"),
        (OSError(errno.EROFS, "Read-only file system"), "run from a folder that you may write to"),
        (ComputeError("parquet: No space left on device (os error 28)"), "free space there"),
        (OSError("No space left on device (os error 28)"), "free space there, or run"),
        (OSError("4096 requested and 12 written"), "4096 requested and 12 written; free space"),
    ],
)
def test_errors_of_the_system_name_the_folder(error: Exception, words: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, explained(tmp_path / "cells"):
        raise error
    assert str(caught.value).startswith(f"cannot write to {tmp_path / 'cells'}: ")
    assert words in str(caught.value)


def test_the_folder_is_the_one_where_the_trouble_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with pytest.raises(StorageError) as caught, explained(tmp_path / "cells"):
        (elsewhere / "x.txt").write_text("x")
    assert f"cannot write to {elsewhere}: No such file" in str(caught.value)
    assert "the folder was removed" in str(caught.value)


def test_a_removed_working_directory_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    shutil.rmtree(gone)
    with (
        pytest.raises(StorageError, match="the folder was removed"),
        explained(Path("data")),
        whole_folder(Path("data/cell")),
    ):
        pass
    monkeypatch.chdir(tmp_path)


def test_errors_of_the_data_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ColumnNotFoundError), explained(tmp_path):
        pl.DataFrame({"a": [1]}).select("b")


def test_leftovers_go_after_a_day(tmp_path: Path) -> None:
    (tmp_path / LEFT).mkdir()
    (tmp_path / LEFT / "x.parquet").write_text("x")
    (tmp_path / f"{LEFT}.csv").write_text("x")
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "somebody may be writing them"
    old(tmp_path / LEFT, 90_000)
    old(tmp_path / f"{LEFT}.csv", 90_000)
    (tmp_path / LEFT / "new.parquet").write_text("of a long run that is still going on")
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [LEFT]
    old(tmp_path / LEFT, 90_000)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
    sweep(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [".part-1", ".old-notes", ".part-" + "g" * 32, "part-" + "0" * 32])
def test_files_of_others_are_no_leftovers(name: str, tmp_path: Path) -> None:
    old((tmp_path / name).parent, 0)
    (tmp_path / name).write_text("mine")
    old(tmp_path / name, 1e6)
    sweep(tmp_path)
    assert (tmp_path / name).exists()
    assert not is_leftover(tmp_path / name)


@pytest.mark.parametrize("free", [0, 2**30])
def test_a_full_disk_that_polars_does_not_name_is_named(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda place: usage._replace(free=free))
    named = pytest.raises(StorageError, match="No space left on device; free space there")
    raised = named if free == 0 else pytest.raises(ComputeError)
    with raised, explained(tmp_path), whole(tmp_path / "a.parquet"):
        raise ComputeError("Invalid thrift: transport error")
    assert list(tmp_path.iterdir()) == []
