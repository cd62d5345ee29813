"""The local database: made whole, damage set aside, troubles said at once, moved projects."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipelines.tracking import local, mlflow_store
from pipelines.tracking.addresses import DATABASE, LOCAL
from pipelines.tracking.mlflow_store import StoreError, connect, open_client


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database with an experiment and a run."""
    place = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(place)
        client, experiment = connect("recsys")
        client.create_run(experiment)
        assert not list(LOCAL.glob(".part-*"))
        return DATABASE.read_bytes()


@pytest.fixture
def here(template: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    LOCAL.mkdir()
    DATABASE.write_bytes(template)
    local.mended(local.look("recsys"))  # it was made in another folder
    return tmp_path


def changed(statement: str) -> None:
    with closing(sqlite3.connect(DATABASE)) as database, database:
        database.execute(statement)


def test_a_sound_database_has_no_trouble(here: Path) -> None:
    found = local.look("recsys")
    assert (found.trouble, found.damaged) == (None, None)
    assert local.look("another").trouble is None


def test_a_look_takes_no_time(here: Path) -> None:
    start = time.perf_counter()
    local.look("recsys")
    assert time.perf_counter() - start < 0.5  # usually some 20 ms


DAMAGES = {
    "no database": lambda content: b"no database" * 1000,
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "a page of zeros": lambda content: content[:4096] + bytes(8192) + content[12288:],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_database_is_set_aside_and_never_fatal(name: str, here: Path, capsys) -> None:
    content = DAMAGES[name](DATABASE.read_bytes())
    DATABASE.write_bytes(content)
    assert local.look("recsys").damaged is not None
    with pytest.raises(StoreError, match="damaged"):
        open_client()  # reading sets nothing aside
    client, _ = connect("recsys")
    assert client.search_experiments()
    (aside,) = LOCAL.glob("mlflow.db.damaged-*")
    assert aside.read_bytes() == content
    assert local.look("recsys").damaged is None


def test_a_half_made_database_is_made_again(here: Path) -> None:
    """As a program that was killed while MLflow made its tables left it."""
    changed("DELETE FROM runs")
    changed("UPDATE alembic_version SET version_num = '451aebb31d03'")
    assert local.look("recsys").damaged == "its tables were never finished"
    connect("recsys")
    assert local.look("recsys").damaged is None


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE alembic_version SET version_num = '451aebb31d03'", "mlflow db upgrade sqlite:///"),
        ("UPDATE alembic_version SET version_num = 'abcdefabcdef'", "made by a newer MLflow"),
        ("UPDATE experiments SET lifecycle_stage = 'deleted'", "mlflow experiments restore"),
    ],
)
def test_troubles_are_said_at_once_and_nothing_is_changed(
    statement: str, words: str, here: Path
) -> None:
    changed(statement)
    before = DATABASE.read_bytes()
    assert words in str(local.look("recsys").trouble)
    with pytest.raises(StoreError, match=words):
        connect("recsys")
    assert DATABASE.read_bytes() == before
    assert not list(LOCAL.glob("*damaged*"))


def test_what_cannot_be_written_is_said_at_once(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere, so the system's answer is planted."""
    monkeypatch.setattr(local.os, "access", lambda path, mode: Path(path) != DATABASE)
    assert (
        local.look("recsys").trouble == f"{DATABASE} may not be written to; change its permissions"
    )
    assert local.look(None).trouble is None, "it can be read"


def test_a_killed_program_that_was_writing_is_played_back(here: Path) -> None:
    code = (
        "import os, sqlite3; d = sqlite3.connect('mlruns/mlflow.db', isolation_level=None);"
        "d.execute('PRAGMA cache_size=1'); d.execute('BEGIN');"
        'd.execute("UPDATE runs SET name = hex(randomblob(200000))"); os.kill(os.getpid(), 9)'
    )
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=False)
    assert (LOCAL / "mlflow.db-journal").exists()
    found = local.look("recsys")
    assert (found.trouble, found.damaged) == (None, None)


@contextmanager
def writing(seconds: float) -> Iterator[None]:
    """Another program has the database to itself for a while."""
    database = sqlite3.connect(DATABASE, isolation_level=None, check_same_thread=False)
    database.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(seconds, lambda: database.execute("ROLLBACK"))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        database.close()


def test_a_locked_database_is_waited_for(here: Path) -> None:
    with writing(1.5):
        assert local.look("recsys").trouble is None
        start = time.monotonic()
        connect("recsys")
        assert time.monotonic() - start > 0.3
    with writing(1.0), pytest.raises(TimeoutError, match="locked by another program"):
        local.wait_until_unlocked(0.2)


def test_a_moved_project_has_its_files_where_it_is(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = "file:///gone/a%20b/mlruns"
    changed(f"UPDATE experiments SET artifact_location = '{old}/artifacts' WHERE name = 'recsys'")
    changed(f"UPDATE runs SET artifact_uri = '{old}/artifacts/1/artifacts'")
    changed(
        "INSERT INTO experiments (experiment_id, name, lifecycle_stage, artifact_location) "
        "VALUES (77, 'bucket', 'active', 's3://bucket/mlruns/artifacts')"
    )
    assert local.look("recsys").moved_from == "/gone/a b/mlruns"
    connect("recsys")
    new = LOCAL.absolute().as_uri()
    with closing(sqlite3.connect(DATABASE)) as database:
        runs = database.execute("SELECT artifact_uri FROM runs").fetchall()
        places = dict(database.execute("SELECT name, artifact_location FROM experiments"))
    assert runs == [(f"{new}/artifacts/1/artifacts",)]
    assert places["recsys"] == f"{new}/artifacts"
    assert places["bucket"] == "s3://bucket/mlruns/artifacts", "not ours"
    assert local.look("recsys").moved_from is None


def test_another_way_to_the_same_folder_is_no_move(here: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(here)
    changed(f"UPDATE experiments SET artifact_location = '{(link / 'mlruns/artifacts').as_uri()}'")
    assert local.look("recsys").moved_from is None


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///x/mlruns", "nonsense://x"])
def test_what_is_no_address_is_said(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert "neither a server" in str(mlflow_store.unusable())
    with pytest.raises(StoreError, match="MLFLOW_TRACKING_URI"):
        connect("recsys")


def test_reading_makes_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"there is no mlruns.mlflow\.db here"):
        open_client()
    assert list(tmp_path.iterdir()) == []
