"""Values that several threads share: made once for each key, and only so many are kept."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The value of a key, made when it is first asked for.

    A value is made under a lock and must be made quickly: let its costly parts be `lazy`, so that
    threads that ask for different keys work side by side.

    >>> kept = Kept[str, list[int]](most=2)
    >>> kept("a", lambda: [1]) is kept("a", lambda: [2])
    True
    """

    def __init__(self, most: int | None = None) -> None:
        """Keeps nothing yet.

        Args:
            most: how many values are kept, at least 1, such as 2: beyond it the value that was made
                first is forgotten; None keeps all.
        """
        self._most = most
        self._values: dict[K, V] = {}
        self._lock = Lock()

    def __call__(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key.

        Args:
            key: such as the seed of a world.
            make: makes the value where none is kept.
        """
        with self._lock:
            if key not in self._values:
                while self._most is not None and len(self._values) >= self._most:
                    del self._values[next(iter(self._values))]
                self._values[key] = make()
            return self._values[key]
