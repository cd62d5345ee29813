"""Files are written whole under another name and then renamed; errors say which folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from recsys.core.errors import UserError


class StorageError(UserError):
    """A place that results cannot be written to."""


def _remove(place: Path) -> None:
    """Takes an entry out of sight in one step, then deletes it; another process may be faster."""
    aside = place.with_name(f".old-{uuid4().hex}")
    with suppress(FileNotFoundError):
        os.replace(place, aside)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to; what was written appears at `path` at the end of the block."""
    part = path.with_name(f".part-{uuid4().hex}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turns a full disk or a forbidden directory into a message."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write to {place.resolve()}: {error.strerror or error}; "
            "free space there, or run from a directory that you may write to"
        ) from error
