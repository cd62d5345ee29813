"""Compiled code has a place though nothing of ours can be written to, and never somebody else's."""

import atexit
import os
import stat
import tempfile
from pathlib import Path

import pytest

from recsys.core import compiled
from recsys.core.compiled import keep_compiled_code


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the system; no other can be written to."""
    writable = tmp_path.joinpath
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(
        compiled.os, "access", lambda place, mode: writable() in Path(place).parents
    )
    return tmp_path


def test_without_another_place_a_folder_of_this_user_is_taken(nowhere: Path) -> None:
    for _ in range(2):
        keep_compiled_code(Path("/usr/lib"))
        place = Path(os.environ.pop("NUMBA_CACHE_DIR"))
        assert place == nowhere / f"recsys-compiled-{os.getuid()}"
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


@pytest.mark.parametrize("how", ["others write", "a link", "a file"])
def test_a_folder_that_others_could_fill_is_not_used(
    how: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = nowhere / f"recsys-compiled-{os.getuid()}"
    if how == "others write":
        place.mkdir()
        place.chmod(0o777)
    elif how == "a link":
        (nowhere / "theirs").mkdir()
        place.symlink_to(nowhere / "theirs")
    else:
        place.write_text("")
    registered = []
    monkeypatch.setattr(atexit, "register", lambda *call, **more: registered.append((call, more)))
    keep_compiled_code(Path("/usr/lib"))
    used = Path(os.environ.pop("NUMBA_CACHE_DIR"))
    assert used != place
    assert used.is_dir()
    for (function, *arguments), more in registered:
        function(*arguments, **more)
    assert not used.exists()


def test_where_nothing_at_all_can_be_written_numba_is_left_to_say_so(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(nowhere / "not there"))
    keep_compiled_code(Path("/usr/lib"))
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_nothing_is_set_where_the_code_can_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    keep_compiled_code(tmp_path)
    assert "NUMBA_CACHE_DIR" not in os.environ
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    keep_compiled_code(Path("/nowhere"))
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"
