"""A cluster for fast tests: all that goes to its processes and back is pickled, but they are one.

Its calls end in the reverse order, so that nothing can count on an order.
"""

import pickle
from contextlib import contextmanager
from pathlib import Path

from recsys.engines.cluster import Cluster
from recsys.recommenders import Trending


class Here(Cluster):
    """A cluster of `workers` processors in this process."""

    @contextmanager
    def connected(self):
        self.processors, self.sent = self._workers, 0
        yield self

    def completed(self, function, calls):
        self.sent = len(calls)
        for number, call in reversed(list(enumerate(calls))):
            given = function(*pickle.loads(pickle.dumps(call)))
            yield number, pickle.loads(pickle.dumps(given))


class Fatal(Trending):
    """Trending whose first fit of all kills the process that it runs in."""

    marker: str
    """File that tells that it has happened."""

    def fit(self, log, seed=0, previous=None):
        if not Path(self.marker).exists():
            Path(self.marker).touch()
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(log, seed, previous)


def assert_same_tables(result, other):
    """Two results of studies have the same bits in all tables but that of seconds."""
    assert list(result.tables) == list(other.tables)
    for name, frame in result.tables.items():
        assert name == "timings" or frame.equals(other.tables[name], null_equal=True), name
