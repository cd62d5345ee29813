"""Where numba keeps compiled code, if neither the package nor the home folder can be written to."""

import atexit
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_SETTING = "NUMBA_CACHE_DIR"
"""The environment variable by which numba is told."""


def keep_compiled_code(package: Path) -> None:
    """Names a folder of this user below the system's temporary folder, where numba has no other.

    Without one numba refuses to load a cached function at all, as for a read-only installation. A
    folder that somebody else owns, or could write to, is not used: what lies there is run.

    Args:
        package: the folder of the code.
    """
    if _SETTING in os.environ or os.access(package, os.W_OK):
        return
    home = Path.home() if os.environ.get("HOME") else None
    if home is not None and os.access(home, os.W_OK):
        return
    with suppress(OSError):  # nowhere to write: numba says so when it is asked
        place = Path(tempfile.gettempdir()) / f"recsys-compiled-{_user()}"
        if not _is_ours(place):
            place = Path(tempfile.mkdtemp())
            atexit.register(shutil.rmtree, place, ignore_errors=True)
        os.environ[_SETTING] = str(place)


def _is_ours(place: Path) -> bool:
    """Whether a folder is there, or can be made, to which nobody else can write."""
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == _user()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _user() -> int:
    """The number of this user; 0 where the system knows none, as on Windows."""
    return os.getuid() if hasattr(os, "getuid") else 0
