"""Imports that other threads must not see half done.

Altair asks whether pandas is loaded, and uses it if so; MLflow, in a thread of its own, loads it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()


@contextmanager
def alone() -> Iterator[None]:
    """Lets one thread at a time into such blocks: the import of MLflow, the drawing of a page."""
    with _lock:
        yield
