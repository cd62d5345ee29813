"""Runs jobs on a cluster: groups them by what they share, sends them, and takes the results."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from recsys.core.alike import machinery
from recsys.core.errors import EngineError
from recsys.core.jobs import J, R
from recsys.core.steps import CLUSTER, step
from recsys.engines.there import carry_out

C = TypeVar("C")


class Link(Protocol):
    """A connection to a cluster."""

    @property
    def processors(self) -> int:
        """Number of jobs that the cluster runs at once, at least 1."""

    def completed(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """Calls a function in the cluster's processes; a call whose process dies is made again.

        Args:
            function: found by its name in the cluster's processes.
            calls: arguments of each call.

        Yields:
            The number of a call and what it gave, in the order in which calls end. What a call
            raises is raised.
        """


class Cluster(ABC):
    """An engine that runs jobs in the processes of a cluster.

    Args:
        address: of the cluster; None starts one on this machine.
        workers: number of processes of one that is started.
    """

    def __init__(self, address: str | None, workers: int) -> None:
        self._address, self._workers = address, workers

    @abstractmethod
    def connected(self) -> "AbstractContextManager[Link, bool | None]":
        """Connects to the cluster, or starts one, for the block.

        Raises:
            EngineError: no cluster answers, or it has no worker.
        """

    def carry_out(
        self,
        jobs: Sequence[J],
        work: Callable[[J], R],
        finished: Callable[[J], None],
        store: MutableMapping[str, R],
        together: Callable[[J], Hashable],
    ) -> list[R]:
        """As in `Engine`; results go by way of the store if it is `shared`, else by the network."""
        results: dict[int, R] = {}
        for place, job in enumerate(jobs):
            if (kept := store.get(job.identity)) is not None:
                results[place] = kept
                finished(job)
        left = [place for place in range(len(jobs)) if place not in results]
        if left:
            for place, result in self._run(jobs, left, work, store, together):
                results[place] = result
                finished(jobs[place])
        return [results[place] for place in range(len(jobs))]

    def _run(
        self,
        jobs: Sequence[J],
        left: Sequence[int],
        work: Callable[[J], R],
        store: MutableMapping[str, R],
        together: Callable[[J], Hashable],
    ) -> Iterator[tuple[int, R]]:
        """The places of jobs and their results, as they come."""
        shared = store if getattr(store, "shared", False) else None
        step(CLUSTER, "connecting")
        with self.connected() as link:
            groups = groups_of(left, [together(jobs[place]) for place in left], link.processors)
            step(CLUSTER, f"{len(left)} jobs on {link.processors} processors")
            calls = [
                (dict(machinery()), pickle.dumps(([jobs[place] for place in group], work, shared)))
                for group in groups
            ]
            for number, results in link.completed(carry_out, calls):
                for place, result in zip(groups[number], results, strict=True):
                    identity = jobs[place].identity
                    if shared is None:
                        store[identity] = result
                    yield place, result if shared is None else _fetched(shared, identity)


def _fetched(shared: MutableMapping[str, R], identity: str) -> R:
    try:
        return shared[identity]
    except KeyError as error:
        raise EngineError(
            "engine.storage: a worker has written a result there which this machine does not find; "
            "name a place that all machines see under the same address"
        ) from error


def groups_of(items: Sequence[C], keys: Sequence[Hashable], processors: int) -> list[list[C]]:
    """Groups items by key; where there are more processors than keys, groups are divided.

    What the members of a group share is made once for each part of it: that costs work and saves
    time.

    Args:
        items: such as numbers of jobs.
        keys: what each item shares with others, such as the seed of its world.
        processors: number of groups that can run at once, at least 1.

    >>> groups_of([0, 1, 2, 3], ["a", "a", "b", "b"], processors=2)
    [[0, 1], [2, 3]]
    >>> groups_of([0, 1, 2], ["a", "a", "a"], processors=2)
    [[0, 1], [2]]
    """
    by_key: dict[Hashable, list[C]] = {}
    for item, key in zip(items, keys, strict=True):
        by_key.setdefault(key, []).append(item)
    parts = max(1, processors // max(1, len(by_key)))
    return [
        members[start : start + size]
        for members in by_key.values()
        for size in (-(-len(members) // parts),)
        for start in range(0, len(members), size)
    ]
