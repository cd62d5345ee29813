"""Small steps of a long computation, told to whoever listens: no figure depends on them.

The days of a world are simulated deep below the function that runs a study, in several threads. A
step says what a thread begins, so that a program can show it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIMULATING, MEASURING, MAKING_TABLES = "simulating", "measuring", "making tables"
"""The phases of a study."""
CLUSTER = "on the cluster"
"""The phase of jobs that run elsewhere, whose steps are not told."""

Listener = Callable[[str, str], None]
"""Called as listener(phase, what) in the thread that begins the step."""

_listeners: list[Listener] = []


def step(phase: str, what: str) -> None:
    """Tells that this thread begins a step.

    Args:
        phase: such as `SIMULATING`.
        what: the step for people, such as "seed 0: influx, day 3".
    """
    for listener in tuple(_listeners):
        listener(phase, what)


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Tells all steps that begin inside the block, in whatever thread.

    Args:
        listener: what is told.

    >>> heard = []
    >>> with told_to(lambda phase, what: heard.append(what)):
    ...     step(MEASURING, "als: influx, day 3")
    >>> step(MEASURING, "nobody listens")
    >>> heard
    ['als: influx, day 3']
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
