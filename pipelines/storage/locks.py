"""Locks that end with the process that holds them, however it ends: nothing stale stays behind."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TURN = 600.0
"""Seconds that a program waits for others by default."""


@contextmanager
def locked(path: Path, patience: float = TURN) -> Iterator[None]:
    """Lets in one program at a time; it has no effect on Windows, or where files have no locks.

    Args:
        path: a folder, or a file, which is made if it is missing and not changed otherwise.
        patience: seconds to wait for another program.

    Raises:
        TimeoutError: if another program stays in for longer.
    """
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:
        yield
        return
    until = time.monotonic() + patience
    handle = os.open(path, os.O_RDONLY | (0 if path.is_dir() else os.O_CREAT), 0o666)
    try:
        while True:
            try:
                flock(handle, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise TimeoutError(
                        f"another program has held {path} for {patience:.0f} s"
                    ) from None
                time.sleep(0.05)
            except OSError:  # a disk without locks
                break
        yield
    finally:
        os.close(handle)
