"""Frames from files: Parquet and CSV. No other module of the library reads data from files.

A CSV file has no types. Its ids and names are read as texts, and are integers only if nothing is
lost by it; the type of other columns is inferred from the first rows, or from all where that fails.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from recsys.core.errors import ConfigError
from recsys.logs.files import PARQUET, files_at, unchanged
from recsys.logs.foreign import FOREIGN, explained
from recsys.logs.ids import from_texts

ID_COLUMNS = ("user_id", "item_id", "creator_id")
"""Columns of ids; where one file holds texts in one of them, CSV files hold texts in it too."""

_ROWS_TO_INFER = 10_000


def read_frames(
    paths: Mapping[str, str],
    ids: Sequence[str],
    names: Mapping[str, Sequence[str]],
    where: str,
    otherwise: str,
) -> dict[str, pl.DataFrame]:
    """Reads several files, in which an id has the same type.

    Args:
        paths: by name of the frame, such as {"events": "data/events.csv"}.
        ids: columns of ids as the files call them, such as ["user_id", "video"].
        names: by name of the frame, its columns of other names, such as {"items": ["topic"]}.
        where: the key or option of each path, such as "log.{}".
        otherwise: how to name another file, with the frame and the file, "log.{}=path/to/{}".

    Raises:
        ConfigError: a file is not there.
        LogError: a file cannot be read, or changes while it is read.
    """
    keys = {name: where.format(name) for name in paths}
    hints = {name: otherwise.format(name, Path(path).name) for name, path in paths.items()}
    for name, path in paths.items():
        files_at(path, keys[name], hints[name])
    with unchanged(paths, keys):
        frames = {
            name: read_frame(path, keys[name], hints[name], [*ids, *names.get(name, ())])
            for name, path in paths.items()
        }
    for column in ids:
        having = [name for name, frame in frames.items() if column in frame.columns]
        if any(frames[name].schema[column] == pl.String for name in having):
            for name in having:
                if not paths[name].endswith(PARQUET):
                    frames[name] = frames[name].with_columns(pl.col(column).cast(pl.String))
    return frames


def read_frame(path: str, where: str, otherwise: str, names: Sequence[str] = ()) -> pl.DataFrame:
    """Reads Parquet or CSV: a file, all files of a folder, or all of a pattern.

    Args:
        path: such as "data/events.csv", "data/events" or "data/2025-*.parquet"; a file that does
            not end in .parquet is read as CSV.
        where: the config key or option that names the file, for messages, such as "log.events".
        otherwise: how to name another file, for messages, such as "log.events=path/to/file.csv".
        names: columns of ids and names; a CSV keeps them as texts, unless all of them are written
            as integers.

    Raises:
        ConfigError: the file is not there.
        LogError: the file cannot be read.
    """
    files = files_at(path, where, otherwise)
    frames = [_read(file, where, names) for file in files]
    with explained(f"{where}: the files of {path} do not fit together", "give all the same types"):
        frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")
    if all(file.suffix == PARQUET for file in files):
        return frame
    texts = [name for name in names if frame.schema.get(name) == pl.String]
    return frame.with_columns(from_texts(frame[name]) for name in texts)


def _read(file: Path, where: str, names: Sequence[str]) -> pl.DataFrame:
    kind = file.suffix or "CSV"
    with explained(f"{where}: {file} cannot be read as {kind}", "write it anew or name another"):
        if file.suffix == PARQUET:
            return pl.read_parquet(file, hive_partitioning=False, glob=False)
        return _read_csv(file, names)


def _read_csv(file: Path, names: Sequence[str]) -> pl.DataFrame:
    """A CSV file with names as texts; dates that do not begin with the year stay texts too."""
    header = pl.read_csv(file, n_rows=0, infer_schema=False, glob=False).columns
    texts = {name: pl.String for name in names if name in header}
    frame = _inferred(file, texts)
    unclear = [name for name in _of_dates(frame) if not _year_first(file, name)]
    return _inferred(file, {**texts, **dict.fromkeys(unclear, pl.String)}) if unclear else frame


def _inferred(file: Path, types: Mapping[str, type[pl.String]]) -> pl.DataFrame:
    """The file with types from its first rows, or from all rows where some later value differs."""
    options: dict[str, Any] = {"try_parse_dates": True, "schema_overrides": types, "glob": False}
    try:
        return pl.read_csv(file, infer_schema_length=_ROWS_TO_INFER, **options)
    except FOREIGN:
        return pl.read_csv(file, infer_schema_length=None, **options)


def _of_dates(frame: pl.DataFrame) -> list[str]:
    return [name for name, kind in frame.schema.items() if kind.is_temporal() and kind != pl.Time]


def _year_first(file: Path, column: str) -> bool:
    """Whether the dates of a column begin with the year; 01/02/2025 has two meanings."""
    raw = pl.scan_csv(file, infer_schema=False, glob=False).select(column)
    first = raw.drop_nulls().head(1).collect()
    return first.is_empty() or first.item().strip()[:4].isdigit()


def renamed(
    frames: Mapping[str, pl.DataFrame], columns: Mapping[str, str], where: str = "columns"
) -> dict[str, pl.DataFrame]:
    """Renames the columns of frames to the names that recsys uses.

    Args:
        frames: frames by the name that messages call them, such as "events".
        columns: the file's name of a column by ours, such as {"user_id": "member"}. A column is
            renamed in each frame that has it.
        where: the config key that holds the mapping, for messages, such as "log.columns".

    Raises:
        ConfigError: no frame has a column that is named.

    >>> renamed({"a": pl.DataFrame({"member": [1]})}, {"user_id": "member"})["a"].columns
    ['user_id']
    """
    for our_name, file_name in columns.items():
        if not any(file_name in frame.columns for frame in frames.values()):
            have = "; ".join(f"{name}: {', '.join(f.columns)}" for name, f in frames.items())
            raise ConfigError(
                f"{where}.{our_name}: no file has a column {file_name!r}. The files have {have}"
            )
    return {name: _renamed(frame, columns) for name, frame in frames.items()}


def _renamed(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """One frame with our names; a column of the file that has such a name already is dropped.

    A column of the file may get two of our names, and two columns may swap theirs.
    """
    names: dict[str, list[str]] = {}
    for ours, theirs in columns.items():
        if theirs in frame.columns:
            names.setdefault(theirs, []).append(ours)
    taken = {ours for several in names.values() for ours in several}
    return frame.select(
        pl.col(column).alias(name)
        for column in frame.columns
        for name in names.get(column, [] if column in taken else [column])
    )
