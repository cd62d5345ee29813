"""Cells on disk: what is believed, where it lies, who may write at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

import recsys
from pipelines.storage import digests
from pipelines.storage.cells import CellStore
from recsys.core import alike
from recsys.core.errors import ConfigError
from recsys.study import plan
from recsys.study.arms.result import CellResult


@pytest.fixture
def store(finished: Path) -> CellStore:
    study = recsys.load_study(finished / "tiny.yaml")
    return CellStore(study, finished / "data/cells")


def test_cell_comes_back_as_it_was_written(
    store: CellStore, finished: Path, tmp_path: Path
) -> None:
    study = recsys.load_study(finished / "tiny.yaml")
    other = CellStore(study, tmp_path)
    for cell in plan(study):
        result = store[cell.identity]
        other[cell.identity] = result
        for frame in ("per_user", "timings", "life", "feeds", "removals"):
            assert_frame_equal(getattr(other[cell.identity], frame), getattr(result, frame))
    assert set(other) == {cell.identity for cell in plan(study)} == set(store)


def test_deleted_cell_is_gone(store: CellStore, finished: Path, tmp_path: Path) -> None:
    study = recsys.load_study(finished / "tiny.yaml")
    other = CellStore(study, tmp_path)
    identity = plan(study)[0].identity
    other[identity] = store[identity]
    del other[identity]
    assert identity not in other
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError):
        del other[identity]


def test_writers_at_once_leave_a_sound_entry(
    store: CellStore, finished: Path, tmp_path: Path
) -> None:
    study = recsys.load_study(finished / "tiny.yaml")
    other = CellStore(study, tmp_path)
    identity = plan(study)[0].identity
    result = store[identity]

    def write_and_read(turn: int) -> CellResult:
        other[identity] = result
        return other[identity]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(write_and_read, range(40)):
            assert_frame_equal(found.per_user, result.per_user)
    assert list(tmp_path.iterdir()) == [other.path(identity)]


def test_code_and_libraries_are_part_of_the_address(
    store: CellStore, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = plan(recsys.load_study(finished / "tiny.yaml"))[0].identity
    before = store.path(identity)
    monkeypatch.setattr(digests, "code_digest", lambda: "other code")
    assert store.path(identity) != before
    assert identity not in store


def test_data_is_part_of_a_logs_address(
    log_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("events.csv", "users.csv", "log.yaml"):
        (tmp_path / name).write_bytes((log_place / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    study = recsys.load_study("log.yaml")
    before = digests.study_digest(study)
    with Path("events.csv").open("a") as file:
        file.write("0,59\n")
    assert digests.study_digest(study) != before


def test_threads_and_tracking_are_no_part_of_it(finished: Path) -> None:
    of = [
        digests.study_digest(recsys.load_study(finished / "tiny.yaml", overrides))
        for overrides in ([], ["workers=1", "tracking.enabled=false"], ["first_seed=1"])
    ]
    assert of[0] == of[1] != of[2]


def test_recommender_from_elsewhere_counts_by_its_source(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "my_recommender_module.py"
    source.write_text("from recsys.recommenders import Trending\n\nclass Mine(Trending): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    study = recsys.load_study(
        finished / "tiny.yaml", ["recommenders=[{kind: 'my_recommender_module:Mine', name: mine}]"]
    )
    before = digests.study_digest(study)
    source.write_text(source.read_text() + "# changed\n")
    with pytest.raises(ConfigError, match="was changed after this process had loaded it"):
        digests.study_digest(study)
    alike._loaded.clear()  # as in a new process
    assert digests.study_digest(study) != before
