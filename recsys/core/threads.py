"""One BLAS thread inside a fit: sums must not depend on how many threads share them.

The limit of a BLAS library holds for the whole process. So entries are counted: each one sets the
limit (a library may have been loaded since the last), and the last one out lifts all of them.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

_lock = Lock()
_inside = 0
_limits: list[Any] = []
_modules = 0
"""How many were loaded when a limit was last set."""
_libraries: tuple[int, Any] = (0, None)
"""How many modules were loaded when libraries were last looked for, and what was found then:
looking for them takes milliseconds, and every ranking sets a limit."""


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limits BLAS to one thread within the block, re-entrantly and across threads.

    Import a library that brings a BLAS of its own before the block, not inside it.

    >>> with single_threaded_blas():
    ...     pass
    """
    global _inside, _modules
    with _lock:
        if _inside == 0 or _modules != len(sys.modules):
            _take_control()
            _limits.append(_loaded_libraries().limit(limits=1, user_api="blas"))
            _modules = len(sys.modules)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            _take_control()
            while _inside == 0 and _limits:
                _limits.pop().restore_original_limits()


@contextmanager
def single_threaded_openmp() -> Iterator[None]:
    """Limits OpenMP to one thread within the block; the limit is the calling thread's own.

    >>> with single_threaded_openmp():
    ...     pass
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="openmp"):
        yield


def _loaded_libraries() -> Any:
    """threadpoolctl's controller of the libraries, looked for anew once more modules are loaded."""
    from threadpoolctl import ThreadpoolController

    global _libraries
    if _libraries[0] != len(sys.modules):
        controller = ThreadpoolController()
        _libraries = (len(sys.modules), controller)
    return _libraries[1]


def _take_control() -> None:
    """threadpoolctl obeys one thread alone, the first that asked; the lock makes that needless."""
    from threadpoolctl import OpenBLASController

    release = getattr(OpenBLASController, "clear_controlling_thread", None)  # since 3.7
    if release is not None:
        release(force=True)
