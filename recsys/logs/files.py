"""The files of a user's data: found by path, folder or pattern, hashed once, and held to that.

What is stored under the hash of a file must have been computed from that very content. So inside
`steady`, in which programs and studies run, a file that changes is an error.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from glob import glob
from pathlib import Path

from recsys.core.errors import ConfigError, LogError
from recsys.logs.foreign import explained

PARQUET = ".parquet"
_SUFFIXES = (PARQUET, ".csv")
"""Kinds of files that are looked for in a folder; the first of which there is any is read."""

_State = tuple[int, int, int, int]
"""Size, inode, and times of the last change of content and of status, in nanoseconds."""


def files_at(path: str, where: str, otherwise: str) -> tuple[Path, ...]:
    """The files that a path names: a file, all Parquet or CSV files of a folder, or of a pattern.

    Args:
        path: such as "data/events.csv", "data/events" or "data/events/2025-*.parquet".
        where: the config key or option that names it, for messages, such as "log.events".
        otherwise: how to name another file, such as "log.events=path/to/file.csv".

    Returns:
        The files in the order of their names, at least one.

    Raises:
        ConfigError: there is no such file.
    """
    place = Path(path)
    with explained(f"{where}: {path} cannot be opened", otherwise, ConfigError):
        if place.is_file():
            return (place,)
        if place.is_dir():
            found = _in_folder(place)
        else:
            found = tuple(sorted(Path(name) for name in glob(path, recursive=True)))
            found = tuple(file for file in found if file.is_file())
    if not found:
        raise ConfigError(
            f"{where}: no file at {place.absolute()}; put a Parquet or CSV file there, "
            f"or name another place: {otherwise}"
        )
    return found


def content_digest(path: str, where: str = "file") -> str:
    """The SHA-256 of a file, or of the names and contents of the files of a folder or pattern.

    Args:
        path: as in `files_at`.
        where: the config key that names it, for messages.

    Raises:
        LogError: a file has changed since it was first hashed inside `steady`.
    """
    files = files_at(path, where, f"{where}=PATH")
    digests = [_digest(file, where) for file in files]
    if len(files) == 1 and files[0] == Path(path):
        return digests[0]
    lines = (f"{file.name} {digest}\n" for file, digest in zip(files, digests, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def steady() -> Iterator[None]:
    """Holds all data files to the content with which they are first hashed inside.

    It may be nested, and entered by several threads; the outermost forgets what was hashed.
    """
    with _LOCK:
        _steady.depth += 1
    try:
        yield
    finally:
        with _LOCK:
            _steady.depth -= 1
            if not _steady.depth:
                _steady.known.clear()


@contextmanager
def unchanged(paths: Mapping[str, str], where: Mapping[str, str]) -> Iterator[None]:
    """Raises LogError if files change while they are read inside.

    Args:
        paths: as in `files_at`, by any name.
        where: the config key that names each of them, by the same names.
    """
    before = {name: content_digest(path, where[name]) for name, path in paths.items()}
    yield
    for name, path in paths.items():
        if content_digest(path, where[name]) != before[name]:
            raise _changed(Path(path), where[name])


class _Steady:
    """Files and their hashes, as long as any `steady` is open."""

    def __init__(self) -> None:
        self.depth = 0
        self.known: dict[Path, str] = {}


_LOCK = threading.Lock()
_steady = _Steady()


def _digest(file: Path, where: str) -> str:
    """The hash of a file, which is hashed again only if its size or a time of change is new."""
    with explained(f"{where}: {file} cannot be read", "give another file or its permissions"):
        state = _state_of(file)
        digest = _cached(file.resolve(), state)
        if _state_of(file) != state:
            raise _changed(file, where)
    with _LOCK:
        known = _steady.known.setdefault(file.resolve(), digest) if _steady.depth else digest
    if known != digest:
        raise _changed(file, where)
    return digest


def _state_of(file: Path) -> _State:
    status = file.stat()
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=1000)
def _cached(file: Path, state: _State) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _changed(file: Path, where: str) -> LogError:
    return LogError(
        f"{where}: {file} has changed since it was read, so nothing more is stored or reused; run "
        "again when it is complete, best on a copy that nobody writes to"
    )


def _in_folder(folder: Path) -> tuple[Path, ...]:
    """The Parquet files of a folder and its folders, or else its CSV files; hidden ones are not."""
    for suffix in _SUFFIXES:
        names = sorted(folder.rglob(f"*{suffix}"))
        shown = [
            file
            for file in names
            if file.is_file()
            and not any(part[0] in "._" for part in file.relative_to(folder).parts)
        ]
        if shown:
            return tuple(shown)
    return ()
