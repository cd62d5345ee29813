"""Finished studies on disk, which a second run prints without making them again."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

import polars as pl

import pipelines
from pipelines.storage.files import is_leftover, whole, written_in
from pipelines.storage.results import STUDIES, study_folder, written_tables
from recsys.config import Study
from recsys.statistics.arrivals import Wave
from recsys.study.result import StudyResult
from recsys.study.tables.registry import TABLES
from recsys.study.tables.table import Table

FINISHED = "finished.json"
"""Lists the files of a finished study with their checksums; it is written last."""
_DRAWING = ("altair", "jinja2", "vl-convert-python")
"""Libraries that make the page."""


def mark_finished(result: StudyResult, folder: Path) -> None:
    """Writes that all files of a study are there: its tables, page and record.

    Args:
        result: the finished study.
        folder: the folder of its files.

    Raises:
        StorageError: if the folder cannot be written.
    """
    content = {
        "made_by": _made_by(result.study),
        "tables": [table.name for table in written_tables(result)],
        "notes": result.notes,
        "arrived": None if result.arrived is None else result.arrived.isoformat(),
        "wave": None if result.wave is None else vars(result.wave),
        "sha256": {path.name: _checksum(path) for path in _files(folder)},
    }
    with written_in(folder), whole(folder / FINISHED) as part:
        part.write_text(json.dumps(content, indent=2), encoding="utf-8")


def load_finished(study: Study, root: Path = STUDIES) -> StudyResult | None:
    """The result of a study whose files are all as this version of recsys would write them.

    Args:
        study: from `recsys.load_study`.
        root: the folder of all studies.

    Returns:
        The result, whose tables are read when they are asked for; None if the study is not
        finished, or if a file was changed, or if the code that writes the files is another.
    """
    folder = study_folder(study, root)
    try:
        content = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
        if content["made_by"] != _made_by(study) or not _as_listed(folder, content["sha256"]):
            return None
        return StudyResult(
            study,
            _Tables(folder, frozenset(content["tables"])),
            tuple(content["notes"]),
            None if content["arrived"] is None else date.fromisoformat(content["arrived"]),
            None if content["wave"] is None else Wave(**content["wave"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Tables(Mapping[str, pl.DataFrame]):
    """The tables in a folder, each read once."""

    def __init__(self, folder: Path, written: frozenset[str]) -> None:
        self._folder, self._written = folder, written
        self._read: dict[str, pl.DataFrame] = {}

    def __getitem__(self, name: str) -> pl.DataFrame:
        if name not in self._read:
            table = TABLES[name]
            self._read[name] = self._frame(table) if name in self._written else table.empty()
        return self._read[name]

    def _frame(self, table: Table) -> pl.DataFrame:
        path = self._folder / f"{table.name}.{table.files[0]}"
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        ids = pl.read_parquet_schema(self._folder / "per_user.parquet")["user_id"]
        types = {name: column.type or ids for name, column in table.columns.items()}
        return pl.read_csv(path, schema_overrides=types)

    def __iter__(self) -> Iterator[str]:
        return iter(TABLES)

    def __len__(self) -> int:
        return len(TABLES)


def _files(folder: Path) -> list[Path]:
    """The files of a study, without the list of them and what killed programs left."""
    paths = [path for path in sorted(folder.iterdir()) if path.name != FINISHED]
    return [path for path in paths if path.is_file() and not is_leftover(path)]


def _as_listed(folder: Path, checksums: Mapping[str, str]) -> bool:
    """Whether a folder holds all listed files as they were written; it may hold others too."""
    there = {path.name: path for path in _files(folder)}
    return checksums.keys() <= there.keys() and all(
        _checksum(there[name]) == checksum for name, checksum in checksums.items()
    )


def _made_by(study: Study) -> str:
    """A hash of what the files depend on beside the figures: code, libraries and tracking."""
    tracking = study.tracking.model_dump_json(exclude={"enabled"})
    return hashlib.sha256(f"{_code()} {tracking}".encode()).hexdigest()


@cache
def _code() -> str:
    root = Path(pipelines.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    names = [f"{path.relative_to(root)} {_checksum(path)}" for path in files]
    return " ".join([*names, *map(version, _DRAWING)])


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
