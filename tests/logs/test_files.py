"""Files of a log: found, hashed once, and held to the content that was read."""

import os

import polars as pl
import pytest

import recsys
from pipelines.storage.digests import data_digest
from recsys.core.errors import ConfigError, LogError
from recsys.logs.files import content_digest, files_at, steady
from recsys.logs.frames import read_frame, read_frames, renamed

FRAME = pl.DataFrame({"user_id": [1, 2], "item_id": [7, 8]})


def csv(folder, name, text):
    (folder / name).write_text(text)
    return str(folder / name)


# Folders and patterns


@pytest.mark.parametrize("path", ["log", "log/*.parquet", "log/**/*.parquet"])
def test_folders_and_patterns(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log/later").mkdir(parents=True)
    FRAME.write_parquet("log/b.parquet")
    FRAME.with_columns(user_id=pl.lit(5)).write_parquet("log/a.parquet")
    FRAME.write_parquet("log/.part-1.parquet")
    FRAME.write_csv("log/notes.csv")
    got = read_frame(path, "log.events", "x")
    assert got["user_id"].to_list() == [5, 5, 1, 2]
    assert len(content_digest(path)) == 64
    assert content_digest(path) != content_digest("log/a.parquet")


def test_a_folder_of_csv_files_has_one_type_of_ids(tmp_path):
    csv(tmp_path, "1.csv", "user_id,item_id\n7,1\n")
    csv(tmp_path, "2.csv", "user_id,item_id\n07,1\n")
    got = read_frame(str(tmp_path), "log.events", "x", ["user_id"])
    assert got["user_id"].to_list() == ["7", "07"]


def test_a_name_with_signs_of_patterns_is_a_name(tmp_path):
    FRAME.write_parquet(tmp_path / "a[1]*.parquet")
    assert read_frame(str(tmp_path / "a[1]*.parquet"), "log.events", "x").height == 2
    csv(tmp_path, "a[1]*.csv", "user_id\n1\n")
    assert read_frame(str(tmp_path / "a[1]*.csv"), "log.events", "x").height == 1


@pytest.mark.parametrize("path", ["", "nothing/*.csv", "x" * 300, "empty"])
def test_nothing_there(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"^log\.events: "):
        files_at(path, "log.events", "log.events=FILE")


def test_files_that_do_not_fit_together(tmp_path):
    FRAME.write_parquet(tmp_path / "a.parquet")
    FRAME.with_columns(user_id=pl.lit([1])).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(LogError, match="do not fit together"):
        read_frame(str(tmp_path), "log.events", "x")


# CSV without types


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["7", "8"], [7, 8]),
        (["7.0", "8.0"], [7, 8]),  # as pandas writes a column with missing values
        (["7", "07"], ["7", "07"]),
        (["7", "+7"], ["7", "+7"]),
        ([str(2**63), "1"], [2**63, 1]),
        ([str(2**64), "1"], [str(2**64), "1"]),
        (["9007199254740993.0", "1"], ["9007199254740993.0", "1"]),
    ],
)
def test_ids_of_a_csv(tmp_path, written, expected):
    path = csv(tmp_path, "e.csv", "user_id\n" + "".join(f"{text}\n" for text in written))
    assert read_frame(path, "log.events", "x", ["user_id"])["user_id"].to_list() == expected


def test_ids_of_several_csv_files_have_one_type(tmp_path):
    paths = {
        "events": csv(tmp_path, "e.csv", "user_id\n7\n8\n"),
        "users": csv(tmp_path, "u.csv", "user_id\n7\n8\n09\n"),
    }
    got = read_frames(paths, ["user_id"], {}, "log.{}", "log.{}={}")
    assert got["events"]["user_id"].to_list() == ["7", "8"]


def test_names_of_a_csv_keep_their_zeros(tmp_path):
    path = csv(tmp_path, "i.csv", "item_id,code,price\n1,01,2\n2,1,3\n")
    got = read_frame(path, "log.items", "x", ["item_id", "code"])
    assert got.rows() == [(1, "01", 2), (2, "1", 3)]


def test_columns_that_nobody_uses_refuse_no_file(tmp_path):
    rows = "".join(f"{row},1,{'4' if row < 10_500 else '-'},{row}\n" for row in range(11_000))
    got = read_frame(csv(tmp_path, "e.csv", f"user_id,item_id,stars,n\n{rows}"), "log.events", "x")
    assert got.height == 11_000
    assert got["n"].dtype == pl.Int64


# Names


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ({"b": "a", "c": "b"}, ["b", "c", "z"]),  # a chain
        ({"a": "b", "b": "a"}, ["b", "a", "z"]),  # a swap
        ({"u": "a", "v": "a"}, ["u", "v", "b", "z"]),  # one column, two names
        ({"z": "a"}, ["z", "b"]),  # the file's own z gives way
        ({"a": "a"}, ["a", "b", "z"]),
    ],
)
def test_renaming(columns, names):
    frame = pl.DataFrame({"a": [1], "b": [2], "z": [3]})
    assert renamed({"x": frame}, columns)["x"].columns == names


# Content that changes


def test_a_file_that_changes(tmp_path):
    path = csv(tmp_path, "e.csv", "user_id\n1\n")
    before = content_digest(path)
    csv(tmp_path, "e.csv", "user_id\n2\n")
    assert content_digest(path) != before
    with steady():
        held = content_digest(path)
        os.utime(path, ns=(1, 1))
        assert content_digest(path) == held  # touched, and the same
        csv(tmp_path, "e.csv", "user_id\n3\n")
        with pytest.raises(LogError, match=r"e\.csv has changed since it was read, so nothing"):
            content_digest(path)
    assert content_digest(path) not in (before, held)


def test_a_swap_with_the_same_size_and_time_is_seen(tmp_path):
    path = csv(tmp_path, "e.csv", "user_id\n1\n")
    with steady():
        content_digest(path)
        status = os.stat(path)
        csv(tmp_path, "new.csv", "user_id\n2\n")
        os.utime(tmp_path / "new.csv", ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(tmp_path / "new.csv", path)
        with pytest.raises(LogError, match="has changed"):
            content_digest(path)


class Kept(dict):
    """A store of cells that changes the log when the first cell comes in."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def __setitem__(self, identity, result):
        super().__setitem__(identity, result)
        self.change()


@pytest.mark.parametrize("name", ["events", "users"])
def test_a_study_stores_and_reuses_nothing_once_its_log_changed(tmp_path, name):
    rows = [(user, (user * 7 + step * step) % 30) for user in range(80) for step in range(6)]
    events = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
    users = pl.DataFrame({"user_id": range(80), "days": [900] * 72 + [3] * 8})
    for frame, place in ((events, "events"), (users, "users")):
        frame.write_parquet(tmp_path / f"{place}.parquet")
    log = {place: str(tmp_path / f"{place}.parquet") for place in ("events", "users")}
    study = recsys.load_study(
        {
            "name": "x",
            "log": {**log, "newcomers": "days < 30", "placebo_draws": 30},
            "recommenders": ["trending", "item_knn"],
            "evaluation": {"panel": 20, "k": 5},
            "workers": 1,
        }
    )
    frame = {"events": events, "users": users}[name]
    store = Kept(lambda: frame.reverse().write_parquet(tmp_path / f"{name}.parquet"))
    with pytest.raises(LogError, match=rf"log\.{name}: .*{name}\.parquet has changed"):
        recsys.run(study, store=store)
    assert len(store) == 1
    recsys.run(study)  # a new run reads the log as it is now


def test_nothing_of_another_log_is_found_in_the_store_of_cells(tmp_path):
    FRAME.write_parquet(tmp_path / "e.parquet")
    study = recsys.load_study(
        {"name": "x", "log": {"events": str(tmp_path / "e.parquet"), "newcomers": "auto"},
         "recommenders": ["trending"]}
    )  # fmt: skip
    before = data_digest(study)
    FRAME.reverse().write_parquet(tmp_path / "e.parquet")
    assert data_digest(study) != before
    with steady():
        data_digest(study)
        FRAME.write_parquet(tmp_path / "e.parquet")
        with pytest.raises(LogError, match="has changed since it was read"):
            data_digest(study)
