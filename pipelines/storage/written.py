"""Files that recsys wrote and reads again as somebody's log: the data sets of `recsys simulate`."""

from functools import cache
from pathlib import Path

from recsys.core.errors import LogError
from recsys.core.sums import SUMS, digest_of, read_sums


def check_written(path: Path) -> None:
    """Compares a file with the checksum that `recsys simulate` wrote beside it.

    Args:
        path: a file of a log, a folder of files, or a pattern such as `events/*.parquet`, for which
            the whole folder is checked. What no `SHA256SUMS` names is not checked.

    Raises:
        LogError: a file has changed since it was written, or is missing.
    """
    while any(mark in part for part in path.parts for mark in "*?["):
        path = path.parent
    here = path.resolve()
    for root in (here, *here.parents[:2]):
        if not (root / SUMS).is_file():
            continue
        try:
            sums = read_sums(root)
        except (OSError, ValueError) as error:
            raise LogError(f"{root / SUMS}: cannot be read: {error}; {_advice()}") from error
        for name, digest in sums.items():
            file = root / name
            if here in (file, *file.parents) and _digest(file) != digest:
                raise LogError(
                    f"{file}: is not as recsys wrote it, as {SUMS} beside it says; {_advice()}"
                )


def _advice() -> str:
    return f"write the data set again, or delete {SUMS} if you changed it on purpose"


def _digest(file: Path) -> str | None:
    """The SHA-256 of a file, computed again only if its size or time is new; None if missing."""
    if not file.is_file():
        return None
    status = file.stat()
    return _kept_digest(file, status.st_size, status.st_mtime_ns)


@cache
def _kept_digest(file: Path, size: int, changed_ns: int) -> str:
    return digest_of(file)
