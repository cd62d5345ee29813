"""The journal of a search: what is believed of it after a crash or a flipped bit."""

from pathlib import Path

import pytest

from pipelines.storage import files
from pipelines.storage.files import StorageError
from pipelines.storage.journal import Journal

ENTRIES = [{"op": n, "value": 0.5 + n} for n in range(6)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    journal = Journal(tmp_path / "journal.log")
    journal.append_logs(ENTRIES[:2])
    for entry in ENTRIES[2:]:
        journal.append_logs([entry])
    return tmp_path / "journal.log"


def entries(path: Path) -> list[dict[str, object]]:
    return list(Journal(path).read_logs(0))


def test_entries_come_back(path: Path) -> None:
    assert entries(path) == ENTRIES
    assert Journal(path).dropped == 0
    assert list(Journal(path).read_logs(4)) == ENTRIES[4:]
    assert [p.name for p in path.parent.iterdir()] == ["journal.log"]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_end_is_dropped_and_the_journal_goes_on(cut: int, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(path)
    kept = list(journal.read_logs(0))
    assert kept == ENTRIES[: len(kept)]
    assert len(kept) >= 4
    journal.append_logs([{"op": "new"}])
    assert entries(path) == [*kept, {"op": "new"}]


def test_no_changed_bit_is_believed(path: Path) -> None:
    sound = path.read_bytes()
    for place in range(0, len(sound), 5):
        damaged = bytearray(sound)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        found = entries(path)
        line = sound[:place].count(b"\n")
        assert found == ENTRIES[:line]


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [*lines[:2], *lines[3:]],  # one is missing
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],  # two have changed places
        lambda lines: [*lines[:2], b"\0" * 50 + b"\n", *lines[3:]],  # after a power cut
    ],
)
def test_only_what_comes_before_the_damage_is_believed(damage, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    changed = b"".join(damage(lines))
    path.write_bytes(changed)
    journal = Journal(path)
    assert list(journal.read_logs(0)) == ENTRIES[:2]
    assert journal.dropped > 0
    (aside,) = path.parent.glob("journal.log.damaged-*")
    assert path.read_bytes() + aside.read_bytes() == changed, "nothing is thrown away"


def test_entries_are_on_the_disk_when_they_are_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(files.os, "fsync", synced.append)
    Journal(tmp_path / "journal.log").append_logs(ENTRIES)
    assert len(synced) == 1


def test_a_journal_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot write to"):
        Journal(tmp_path / "file" / "journal.log")
