"""Writing files: complete under another name and then renamed, with errors that name the folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from recsys.core.errors import UserError


class StorageError(UserError):
    """Results cannot be written to a folder."""


def remove(place: Path) -> None:
    """Deletes a folder, which is gone in one step; another process may have deleted it before."""
    aside = place.with_name(f".old-{uuid4().hex}")
    with suppress(FileNotFoundError):
        os.replace(place, aside)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to; the file appears at `path` complete at the end of the block."""
    part = path.with_name(f".part-{uuid4().hex}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turns the error of a full disk or a forbidden folder into a `StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write to {place.resolve()}: {error.strerror or error}; "
            "free space there, or run from a folder that you may write to"
        ) from error
