"""Writing files so that they are whole or absent, even after a power cut or on a full disk.

This is the only place that knows how to write safely. Everything that is stored uses it:

    with explained(root):                      # system errors become one StorageError
        with whole(root / "a.parquet") as part:    # one file
            frame.write_parquet(part)
        with whole_folder(root / "cell") as part:  # files that belong together
            write_all(part)
    sweep(root)                                # what killed programs left behind, a day later

A block writes under the name `.part-…` beside the target. At its end the bytes are forced to the
disk (fsync), the part is renamed, and the rename is forced to the disk too. Checksums, where there
are some, are computed and written inside the block.
"""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from polars.exceptions import PolarsError

from recsys.core.errors import UserError

_PART, _OLD = ".part-", ".old-"
_LEFTOVER = re.compile(r"\.(part|old)-[0-9a-f]{32}(\.\w+)?")
_DAY = 86_400.0
_FULL = 2**20
"""With fewer bytes free than this, a file that cannot be written is taken for a full disk."""


class StorageError(UserError):
    """Results cannot be written to a folder."""


def remove(place: Path) -> None:
    """Deletes a file or folder in one step; another process may have deleted it before."""
    aside = place.with_name(f"{_OLD}{uuid4().hex}")
    with suppress(FileNotFoundError):
        os.replace(place, aside)
    _delete(aside)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to; the file appears at `path` complete at the end of the block.

    Args:
        path: the file. It is replaced if it exists.
    """
    part = path.with_name(f"{_PART}{uuid4().hex}{path.suffix}")
    try:
        with _told_if_full(path.parent):
            yield part
        force(part)
        os.replace(part, path)
        force(path.parent)
    finally:
        _delete(part)


@contextmanager
def whole_folder(place: Path, stays: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """An empty folder to write to; it appears at `place` complete at the end of the block.

    Args:
        place: the folder. Its parents are made; a folder that is there is replaced.
        stays: whether what is at `place` by now is as good, so that the new folder is dropped.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{_PART}{uuid4().hex}")
    part.mkdir()
    try:
        with _told_if_full(place.parent):
            yield part
        for path in (*part.rglob("*"), part):
            force(path)
        _rename(part, place, stays)
        force(place.parent)
    finally:
        _delete(part)


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turns the error of a full disk or a forbidden folder into a `StorageError`.

    Args:
        place: the folder that the block writes to. The message names another one if the system
            says that the trouble is there.
    """
    try:
        yield
    except (OSError, PolarsError) as error:
        code = _code(error)
        if isinstance(error, PolarsError) and code is None:
            raise
        reason = os.strerror(code) if code else str(error)
        raise StorageError(
            f"cannot write to {_folder(error, place)}: {reason}; {_advice(code)}"
        ) from error


@contextmanager
def written_in(place: Path) -> Iterator[None]:
    """A folder of results to write in: it is made if needed, leftovers go, errors are explained."""
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        sweep(place)
        yield


def sweep(root: Path, age: float = _DAY) -> None:
    """Deletes what killed programs left in a folder; it never fails.

    Args:
        root: the folder. Folders in it are not searched.
        age: the seconds for which nothing of a leftover has changed, so that nobody writes to it.
    """
    with suppress(OSError):
        for path in [path for path in root.iterdir() if is_leftover(path)]:
            with suppress(OSError):
                changed = max(p.lstat().st_mtime for p in (path, *path.rglob("*")))
                if time.time() - changed > age:
                    _delete(path)


def is_leftover(path: Path) -> bool:
    """Whether a file or folder is one that is being written, or that a killed program left.

    >>> is_leftover(Path("data/.part-8a1f7b0e5d2c4f6b9a3e1c7d5b2f4a6e"))
    True
    """
    return _LEFTOVER.fullmatch(path.name) is not None


@contextmanager
def _told_if_full(place: Path) -> Iterator[None]:
    """Names a full disk where polars does not, as when it writes the end of a Parquet file."""
    try:
        yield
    except PolarsError as error:
        if _code(error) is None and shutil.disk_usage(place).free < _FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place)) from error
        raise


def _rename(part: Path, place: Path, stays: Callable[[], bool]) -> None:
    """Puts a folder into place; another process may do the same at this moment."""
    aside = place.with_name(f"{_OLD}{uuid4().hex}")
    while True:
        try:
            os.replace(part, place)
            return _delete(aside)
        except OSError:
            if stays():
                return
            if not place.exists():
                raise
            with suppress(FileNotFoundError):
                os.replace(place, aside)


def _delete(path: Path) -> None:
    """Deletes a file or folder that may be gone already, as far as the system allows it."""
    with suppress(OSError):
        path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)


def force(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    is_folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        if not is_folder:  # Windows and some network disks cannot do it for folders
            raise


def _code(error: Exception) -> int | None:
    """The number of a system error, also of one that polars tells of in words."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return None if found is None else int(found[1])


def _folder(error: Exception, place: Path) -> str:
    """The folder where the trouble is, absolute even if the working directory is gone."""
    name = getattr(error, "filename", None)
    if isinstance(name, str | bytes) and name:
        named = Path(os.fsdecode(name))
        if place not in (named, *named.parents):
            place = named if named.is_dir() else named.parent
    with suppress(OSError):
        return str(place.resolve())
    return str(place)


def _advice(code: int | None) -> str:
    if code in (errno.ENOSPC, errno.EDQUOT):
        return "free space there, or run from a folder on another disk"
    if code in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "run from a folder that you may write to"
    if code in (errno.EEXIST, errno.ENOTDIR):
        return "there is a file where a folder should be; move it away"
    if code == errno.ENOENT:
        return "the folder was removed; make it again, and run the same command in it"
    return "free space there, or run from a folder that you may write to"
