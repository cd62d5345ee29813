"""The local database of runs, `mlruns/mlflow.db`: made whole, checked, mended; without MLflow.

MLflow takes seconds to import and minutes to give up, so what can go wrong with a file is found
here with sqlite3 in milliseconds, before a program begins its work.
"""

import importlib.util
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pipelines.storage.locks import TURN, locked
from pipelines.tracking.addresses import DATABASE, LOCAL

PATIENCE = 60.0
"""Seconds that a program waits for a database that another one has locked."""
_LARGE = 2**24
"""Bytes from which on a database is not read through before each program."""
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Columns that hold the absolute places of files."""


class Found(NamedTuple):
    """What a look at the database found.

    Attributes:
        trouble: why nothing can be recorded, and what to do; None if it can.
        damaged: what is wrong with a database that no program can use; None if it is sound.
        moved_from: the folder that the project was in when the database last knew its place.
    """

    trouble: str | None = None
    damaged: str | None = None
    moved_from: str | None = None


def look(experiment: str | None) -> Found:
    """Looks at the database, and changes nothing.

    Args:
        experiment: the experiment that is to be written to; None if runs are only read.
    """
    if experiment is not None and (closed := _closed()) is not None:
        return Found(closed)
    if not DATABASE.exists():
        return Found()
    try:
        with closing(_open()) as database:
            if (damage := _damage(database)) is not None:
                return Found(damaged=damage)
            return Found(_trouble(database, experiment), moved_from=_moved_from(database))
    except sqlite3.OperationalError as error:
        if "locked" in str(error):  # another program writes; who records waits for it
            return Found()
        return Found(trouble=f"{DATABASE} cannot be opened: {error}")
    except sqlite3.DatabaseError as error:
        return Found(damaged=str(error))


def mended(found: Found) -> str | None:
    """Sets a damaged database aside, or tells one of a moved project its new place.

    Args:
        found: what `look` found. The caller is alone with the database (`alone`).

    Returns:
        What the user should know of it.
    """
    if found.damaged is not None:
        aside = _set_aside()
        return (
            f"{DATABASE} is damaged ({found.damaged}). It is kept as {aside}, and a new one is "
            "made. The files of results are not touched; recsys track FOLDER records them again."
        )
    if found.moved_from is not None:
        _move(found.moved_from)
    return None


def experiments(tag: str) -> list[tuple[str, str]]:
    """Ids and names of the experiments that have a tag, newest first; none if there is no database.

    Args:
        tag: the name of the tag.
    """
    if not DATABASE.exists():
        return []
    try:
        with closing(_open()) as database:
            rows = database.execute(
                "SELECT experiment_id, name FROM experiments JOIN experiment_tags "
                "USING (experiment_id) WHERE lifecycle_stage = 'active' AND key = ? "
                "ORDER BY last_update_time DESC",
                (tag,),
            ).fetchall()
    except sqlite3.DatabaseError:  # what is wrong with it is said elsewhere
        return []
    return [(str(number), str(name)) for number, name in rows]


@contextmanager
def alone(patience: float = TURN) -> Iterator[None]:
    """Lets in one program at a time; it has no effect on Windows, or where files have no locks.

    Args:
        patience: seconds to wait for another program.

    Raises:
        TimeoutError: if another program stays in for longer.
    """
    LOCAL.mkdir(exist_ok=True)
    with locked(LOCAL / ".lock", patience):
        yield


def end_lost_runs() -> None:
    """Marks runs of ours as KILLED that a killed program left at work; the caller is alone."""
    with closing(_open(PATIENCE)) as database:
        database.execute(
            "UPDATE runs SET status = 'KILLED' WHERE status = 'RUNNING' "
            "AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'version.recsys')"
        )


def wait_until_unlocked(patience: float = PATIENCE) -> None:
    """Waits while another program, such as MLflow's pages, writes to the database.

    Raises:
        TimeoutError: if it is locked for longer than `patience` seconds.
    """
    try:
        with closing(_open(patience)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise TimeoutError(
            f"{DATABASE} has been locked by another program for {patience:.0f} s"
        ) from error


def _open(timeout: float = 1.0) -> sqlite3.Connection:
    """For reading and writing if that is allowed, as a killed program's journal is played back."""
    mode = "rw" if os.access(DATABASE, os.W_OK) and os.access(LOCAL, os.W_OK) else "ro"
    uri = f"{DATABASE.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, timeout=timeout, isolation_level=None, uri=True)


def _closed() -> str | None:
    """Why nothing can be written, as far as files and folders show it."""
    if LOCAL.exists() and not LOCAL.is_dir():
        return f"{LOCAL} is a file, not a folder; move it away"
    needed = [LOCAL.absolute().parent]
    if LOCAL.exists():
        needed = [LOCAL, DATABASE, LOCAL / "artifacts", LOCAL / ".lock"]
    closed = [path for path in needed if path.exists() and not os.access(path, os.W_OK)]
    return f"{closed[0]} may not be written to; change its permissions" if closed else None


def _damage(database: sqlite3.Connection) -> str | None:
    """What is wrong with a database; also one that was never finished, which holds no run yet."""
    if DATABASE.stat().st_size < _LARGE:
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            return str(verdict).partition("\n")[0]
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    if not {"alembic_version", "experiments", "runs"} <= tables:
        return "its tables were never finished"
    heads, _ = _heads()
    has_runs = database.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is not None
    if _version(database) is None or (heads and _version(database) not in heads and not has_runs):
        return "its tables were never finished"
    return None


def _trouble(database: sqlite3.Connection, experiment: str | None) -> str | None:
    heads, known = _heads()
    version = _version(database)
    if heads and version not in heads:
        if version in known:
            return (
                f"{DATABASE} was made by an older MLflow; "
                f"`.venv/bin/mlflow db upgrade sqlite:///{DATABASE}` brings it up to date (keep a "
                "copy of the file)"
            )
        return f"{DATABASE} was made by a newer MLflow; install that version, or move the file away"
    row = database.execute(
        "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'deleted'",
        (experiment,),
    ).fetchone()
    return None if row is None else deleted(str(experiment), str(row[0]))


def deleted(experiment: str, identity: str) -> str:
    """What to do about an experiment that was deleted.

    Args:
        experiment: its name, such as `recsys`.
        identity: its id in MLflow.
    """
    return (
        f"the experiment {experiment} was deleted; restore it with `.venv/bin/mlflow experiments "
        f"restore --experiment-id {identity}` (with MLFLOW_TRACKING_URI set to the address), or "
        "name another with tracking.experiment=NAME (recsys evaluate: --experiment NAME)"
    )


def _version(database: sqlite3.Connection) -> str | None:
    row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _heads() -> tuple[set[str], set[str]]:
    """The newest version of the tables, and all versions, as the installed MLflow has them."""
    spec = importlib.util.find_spec("mlflow")
    places = spec.submodule_search_locations if spec is not None else None
    known: set[str] = set()
    older: set[str] = set()
    for folder in places or ():
        for file in Path(folder).glob("store/db_migrations/versions/*.py"):
            text = file.read_text(encoding="utf-8")
            known |= set(re.findall(r"^revision\b.*=\s*[\"'](\w+)", text, re.MULTILINE))
            for line in re.findall(r"^down_revision\b.*=(.+)", text, re.MULTILINE):
                older |= set(re.findall(r"[\"'](\w+)[\"']", line))
    return known - older, known


def _moved_from(database: sqlite3.Connection) -> str | None:
    """The folder `mlruns` that the places in a database begin with, unless it is this one."""
    here = LOCAL.absolute()
    rows = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    for (location,) in rows:
        place = re.fullmatch(r"(file://.*/mlruns)/artifacts", str(location))
        if place is not None and place[1] != here.as_uri():
            folder = _path(place[1])
            with suppress(OSError):
                if folder.samefile(here):
                    continue
            return str(folder)
    return None


def _path(uri: str) -> Path:
    from urllib.request import url2pathname

    return Path(url2pathname(uri.removeprefix("file://")))


def _move(folder: str) -> None:
    """Puts this project in the place of another folder, wherever the database names that."""
    old, new = Path(folder).as_uri(), LOCAL.absolute().as_uri()
    with closing(_open(PATIENCE)) as database:
        database.execute("BEGIN IMMEDIATE")
        for table, column in _PLACES:
            with suppress(sqlite3.OperationalError):  # a table that this version does not have
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )
        database.execute("COMMIT")


def _set_aside() -> Path:
    """Renames a database with the files that SQLite keeps beside it; its new name."""
    aside = DATABASE.with_name(f"{DATABASE.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for ending in ("-journal", "-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            os.replace(f"{DATABASE}{ending}", f"{aside}{ending}")
    return aside
