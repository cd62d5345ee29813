"""Data sets that recsys wrote are believed only as they were written."""

import os

import polars as pl
import pytest

from pipelines.storage.digests import data_digest
from pipelines.storage.written import check_written
from recsys.core.errors import LogError
from recsys.core.sums import write_sums
from recsys.study.load import load_study


@pytest.fixture
def data(tmp_path):
    """A data set: events in a folder, users beside it."""
    (tmp_path / "events").mkdir()
    pl.DataFrame({"user_id": [1, 2], "item_id": [7, 7]}).write_parquet(
        tmp_path / "events" / "2025-01-12.parquet"
    )
    pl.DataFrame({"user_id": [1, 2], "new": [True, False]}).write_parquet(
        tmp_path / "users.parquet"
    )
    write_sums(tmp_path)
    return tmp_path


PARTS = ["events", "events/*.parquet", "events/2025-01-12.parquet", "users.parquet"]


@pytest.mark.parametrize("part", PARTS)
def test_as_it_was_written_it_is_believed(data, part):
    check_written(data / part)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_otherwise_it_is_refused(data, part, harm):
    file = data / part if part == "users.parquet" else data / "events" / "2025-01-12.parquet"
    if harm == "changed":
        file.write_bytes(file.read_bytes()[:-9] + b"something")
    else:
        file.unlink()
    with pytest.raises(LogError, match=r"is not as recsys wrote it.*or delete SHA256SUMS"):
        check_written(data / part)
    other = next(name for name in PARTS if name.split("/")[0] != part.split("/")[0])
    check_written(data / other)


def test_a_study_of_a_changed_data_set_does_not_start(data):
    log = {
        "events": str(data / "events" / "2025-01-12.parquet"),
        "users": str(data / "users.parquet"),
    }
    study = load_study(
        {"name": "x", "log": {**log, "newcomers": "new"}, "recommenders": ["trending"]}
    )
    before = data_digest(study)
    os.utime(data / "users.parquet", (1, 1))
    assert data_digest(study) == before
    pl.DataFrame({"user_id": [1, 2], "new": [False, False]}).write_parquet(data / "users.parquet")
    with pytest.raises(LogError, match=r"users\.parquet: is not as recsys wrote it"):
        data_digest(study)


def test_other_folders_have_no_sums(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    check_written(tmp_path / "a.csv")
    (tmp_path / "SHA256SUMS").write_text("nonsense")
    with pytest.raises(LogError, match="cannot be read"):
        check_written(tmp_path / "a.csv")
