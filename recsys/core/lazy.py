"""Attributes that are computed at first use, once for each instance."""

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")
_LOCK = "_lazy_lock"


class lazy(Generic[T]):  # noqa: N801
    """A property that is computed once and kept; other threads that need it meanwhile wait.

    `functools.cached_property` of Python 3.11 holds one lock for *all* instances while it computes
    a value, so cells of a study would run one after the other. Here each instance has a lock.

    >>> class Deep:
    ...     @lazy
    ...     def thought(self):
    ...         print("thinking")
    ...         return 42
    >>> deep = Deep()
    >>> deep.thought, deep.thought
    thinking
    (42, 42)
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "lazy[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> "lazy[T] | T":
        """The value. Python calls this only until the instance itself holds the attribute."""
        if instance is None:
            return self
        values = instance.__dict__
        with values.setdefault(_LOCK, RLock()):
            if self._name not in values:
                values[self._name] = self._make(instance)
            value: T = values[self._name]
            return value
