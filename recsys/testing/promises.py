"""What contracts are made of: promises, and errors that say which promise is broken.

A contract is a class; each of its methods `test_…` tests one promise. pytest runs these methods if
somebody subclasses the contract; `check` runs them without pytest.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.logs.log import InteractionLog
from recsys.recommenders.base import Users
from recsys.recommenders.ranking import Ranking

Feed = list[tuple[Any, int]]


class ContractError(AssertionError):
    """A class does not do what its contract promises; the message says which promise it breaks."""


def promise(holds: object, message: str) -> None:
    """Raises a `ContractError` with a message unless something holds.

    Args:
        holds: what must be true, such as `scores.shape == (3, 20)`.
        message: what is wrong if it is not, such as "scores have another shape".

    >>> promise(1 + 1 == 2, "sums are wrong")
    """
    if not holds:
        raise ContractError(message)


def same_array(got: NDArray[Any], expected: NDArray[Any], message: str) -> None:
    """Raises a `ContractError` unless two arrays are equal; NaN equals NaN.

    Args:
        got: the actual array.
        expected: the array that it must equal.
        message: what is wrong if they differ, such as "scores moved".

    >>> same_array(np.array([1, 2]), np.array([1, 3]), "numbers moved")
    Traceback (most recent call last):
    recsys.testing.promises.ContractError: numbers moved: 1 of 2 values differ, the first is 2
    instead of 3
    """
    if got.shape != expected.shape:
        raise ContractError(f"{message}: the shape is {got.shape} instead of {expected.shape}")
    differs = got != expected
    if got.dtype.kind == "f":
        differs &= ~(np.isnan(got) & np.isnan(expected))
    if differs.any():
        place = tuple(int(index[0]) for index in np.nonzero(differs))
        raise ContractError(
            f"{message}: {differs.sum()} of {differs.size} values differ, the first is "
            f"{got[place]} instead of {expected[place]}"
        )


def same_ranking(got: Ranking, expected: Ranking, message: str) -> None:
    """Raises a `ContractError` unless two rankings are equal to the bit.

    Args:
        got: the actual ranking.
        expected: the ranking that it must equal.
        message: what is wrong if they differ, such as "two fits differ".
    """
    same_array(got.item_ids, expected.item_ids, f"{message} (items)")
    bits = got.scores.view(np.uint32), expected.scores.view(np.uint32)
    same_array(*bits, f"{message} (bits of the scores)")
    same_array(got.sources, expected.sources, f"{message} (sources)")


def feeds_by_id(log: InteractionLog, ranking: Ranking, users: Users) -> dict[Any, Feed]:
    """Rankings under the log's own ids, so that logs with other dense ids can be compared.

    Args:
        log: whose ids they are.
        ranking: a row a user.
        users: dense ids of the rows, none of them -1.

    Returns:
        User id: list of (item id, bits of the float32 score), without empty slots.
    """
    ids = log.items["item_id"].to_list()
    return {
        user: [
            (ids[item], score)
            for item, score in zip(items, scores.view(np.uint32).tolist(), strict=True)
            if item >= 0
        ]
        for user, items, scores in zip(
            log.users["user_id"].gather(users),
            ranking.item_ids.tolist(),
            ranking.scores,
            strict=True,
        )
    }


def same_feeds(got: Mapping[Any, Feed], expected: Mapping[Any, Feed], message: str) -> None:
    """Raises a `ContractError` unless the same users have the same feeds, scores to the bit.

    Args:
        got: the actual feeds, from `feeds_by_id`.
        expected: the feeds that they must equal, from `feeds_by_id`.
        message: what is wrong if they differ, such as "inert users move feeds".
    """
    promise(got.keys() == expected.keys(), f"{message}: other users were served")
    moved = [user for user in expected if got[user] != expected[user]]
    if moved:
        user = moved[0]
        items = [[item for item, _ in feeds[user]][:5] for feeds in (got, expected)]
        raise ContractError(
            f"{message}: {len(moved)} of {len(expected)} feeds differ; that of user {user!r} "
            f"begins with {items[0]} instead of {items[1]}"
            + (" (same items, other scores)" if items[0] == items[1] else "")
        )


def rows_of(ids: pl.Series, wanted: pl.Series) -> NDArray[np.int64]:
    """Dense ids of users or items.

    Args:
        ids: all ids of a log, in the order of their dense ids.
        wanted: the ids whose dense ids are asked for.
    """
    place = {name: row for row, name in enumerate(ids)}
    return np.array([place[name] for name in wanted])


@contextmanager
def refused(
    what: str, errors: type[Exception] | tuple[type[Exception], ...], match: str = ""
) -> Iterator[None]:
    """Raises a `ContractError` unless the block raises an error of some class and message.

    Args:
        what: what must be refused, such as "a depth of 0".
        errors: the class or classes of the error, such as `ValueError`.
        match: a regular expression that must be found in the message, such as "k must be 1 to 5".

    >>> with refused("letters", ValueError, match="invalid literal"):
    ...     int("x")
    """
    try:
        yield
    except errors as error:
        promise(
            re.search(match, str(error)),
            f"the error about {what} should say {match!r}; it says: {error}",
        )
        return
    raise ContractError(f"{what} must be refused by an error, and was accepted")


def promises_of(contract: object) -> list[str]:
    """Names of the methods that hold a contract's promises, in the order they are written.

    Args:
        contract: an instance of a contract.
    """
    names: dict[str, None] = {}
    for layer in reversed(type(contract).__mro__):
        names |= dict.fromkeys(name for name in vars(layer) if name.startswith("test_"))
    return list(names)


def check(contract: object, what: str) -> None:
    """Tests every promise of a contract, and reports all broken ones at once.

    Args:
        contract: an instance of a contract whose attributes are set.
        what: name of what is tested, for the message, such as "measure 'jaccard'".

    Raises:
        ContractError: a line for each broken promise.
    """
    names = promises_of(contract)
    broken: dict[str, Exception] = {}
    for name in names:
        try:
            getattr(contract, name)()
        except Exception as error:
            broken[name] = error
    if broken:
        lines = [f"  {name}: {_in_a_line(error)}" for name, error in broken.items()]
        raise ContractError(
            "\n".join([f"{what} breaks {len(broken)} of {len(names)} promises:", *lines])
        ) from next(iter(broken.values()))


def _in_a_line(error: Exception) -> str:
    """The message of a broken promise; of any other error, its type too."""
    text = str(error)
    return text if isinstance(error, ContractError) else f"{type(error).__name__}: {text}"
