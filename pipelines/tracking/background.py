"""Work in a thread that can be given up, since what a server does cannot be stopped.

Threads that MLflow starts itself keep Python from ending; so does a request in one. A program that
has given up on one ends with `leave`.
"""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

_given_up = threading.Event()


def begun(work: Callable[[], T]) -> "Future[T]":
    """Begins work in a thread of its own.

    Args:
        work: what to do.

    >>> begun(lambda: 2 + 2).result()
    4
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="tracking", daemon=True).start()
    return future


def waited(
    future: "Future[T]", seconds: float | None, moved: Callable[[], float] | None = None
) -> T:
    """The result of work, if it comes in time; else the work is given up.

    Args:
        future: the work.
        seconds: how long it may take; None waits for ever.
        moved: the last time (`time.monotonic`) that the work got on; the seconds count from there.

    Raises:
        TimeoutError: if it takes longer.
    """
    start = time.monotonic()
    try:
        while True:
            try:
                return future.result(None if seconds is None else 0.1)
            except FutureTimeoutError:
                if future.done():  # the work itself raised it
                    raise
                since = start if moved is None else max(start, moved())
                if seconds is not None and time.monotonic() - since > seconds:
                    raise TimeoutError(f"not done after {seconds:.0f} s") from None
    except BaseException:
        if not future.done():
            _given_up.set()
        raise


def leave(code: int) -> None:
    """Ends the process, also while work that was given up still waits for a server.

    Python looks for circles of objects as it ends, for a second or more with MLflow and polars
    loaded; frozen objects are left out of that, and go with the process.

    Args:
        code: the exit code.
    """
    if _given_up.is_set():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    gc.freeze()
    sys.exit(code)
