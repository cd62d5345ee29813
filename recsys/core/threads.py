"""Threads of fits: how many a fit may take, and that BLAS has one, whatever that number is.

Sums must not depend on how many threads share them, so BLAS has one thread inside a fit.

The limit of a BLAS library holds for the whole process. So blocks that are entered are counted:
entering one sets the limit again if a module has been loaded since, because it may have brought a
BLAS of its own; leaving the last one lifts all limits.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

_spare: ContextVar[int] = ContextVar("threads that a fit may take", default=1)
_lock = Lock()
_inside = 0
_limits: list[Any] = []
_modules = 0
"""Number of modules loaded when a limit was last set."""
_libraries: tuple[int, Any] = (0, None)
"""Number of modules loaded when the BLAS libraries were last looked for, and their controller.
Finding them takes milliseconds, and every ranking sets a limit."""


@contextmanager
def spare_threads(threads: int) -> Iterator[None]:
    """Lets fits within the block, in this thread, take several threads; no bit depends on it.

    Args:
        threads: such as 2.

    >>> with spare_threads(2):
    ...     threads_to_take()
    2
    """
    before = _spare.set(threads)
    try:
        yield
    finally:
        _spare.reset(before)


def threads_to_take() -> int:
    """How many threads a fit may take here: 1 unless `spare_threads` says otherwise."""
    return _spare.get()


def over_blocks(work: Callable[[slice], None], rows: int, threads: int, size: int) -> None:
    """Runs work on all rows, block by block.

    Args:
        work: called with a slice of rows; it may write to these rows alone.
        rows: number of rows, such as 5000.
        threads: number of blocks that are worked on at once, such as 2.
        size: number of rows in a block, such as 4096; it does not depend on `threads`.

    >>> done = []
    >>> over_blocks(done.append, rows=5, threads=1, size=3)
    >>> done
    [slice(0, 3, None), slice(3, 5, None)]
    """
    blocks = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    if threads == 1 or len(blocks) == 1:
        for block in blocks:
            work(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limits BLAS to one thread within the block. Blocks may be nested and may run in many threads.

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
    """Limits OpenMP to one thread within the block, for the calling thread alone.

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
    """Lets this thread set the limit: threadpoolctl allows only the first one that did.

    The lock of this module makes sure that only one thread does so at a time.
    """
    from threadpoolctl import OpenBLASController

    release = getattr(OpenBLASController, "clear_controlling_thread", None)  # since 3.7
    if release is not None:
        release(force=True)
