"""The state before the influx, kept on disk while arms go on from it.

Every arm starts with a copy of the state of all people. In a world of millions that state is the
largest thing in memory, and between two starts nobody reads it.
"""

import tempfile
import weakref
from typing import IO

import numpy as np

from recsys.world.people.user_states import UserStates

_LARGE = 2**30
"""Bytes from which on a state is put on disk: a smaller one takes little memory."""


class Parked:
    """The state of people, in memory if it is small and else in a file that has no name.

    A file without a name goes with the process, however it ends. It lies in the folder for
    temporary files (`TMPDIR`); where there is no room for it, the state stays in memory.

    Args:
        states: the state of people; it must not be changed afterwards.

    >>> from recsys.config import Influx, World
    >>> from recsys.world.simulate import Shared
    >>> small = World(incumbents=200, days_before=2, days_after=1, influx=Influx(
    ...     newcomers=20, arrivals=(1.0,)))
    >>> run = Shared(small).before
    >>> Parked(run.states).states.visits.shape
    (200,)
    """

    def __init__(self, states: UserStates) -> None:
        """Puts the state on disk, if it is large."""
        self._shapes = [(array.dtype, array.shape) for array in states]
        self._states: UserStates | None = states
        self._file: IO[bytes] | None = None
        if sum(array.nbytes for array in states) < _LARGE:
            return
        try:
            self._file = _written(states)
        except OSError:
            return
        weakref.finalize(self, self._file.close)
        self._states = None

    @property
    def states(self) -> UserStates:
        """The state; its arrays are views of the file, so they cost memory as far as they are read.

        Hold it no longer than it takes to copy it.
        """
        if self._states is not None:
            return self._states
        assert self._file is not None
        arrays, offset = [], 0
        for dtype, shape in self._shapes:
            array = np.memmap(self._file, dtype, mode="r", offset=offset, shape=shape)
            arrays.append(np.asarray(array))
            offset += array.nbytes
        return UserStates._make(arrays)


def _written(states: UserStates) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is read until it goes
    try:
        for array in states:
            array.tofile(file)
        file.flush()
    except OSError:
        file.close()
        raise
    return file
