"""Figures and lists as words, for sentences without symbols."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

_MOST_NAMES = 4
"""Names that a list spells out; of more, all but the last three are counted."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def of_100(share: float) -> str:
    """A share as a number out of 100: whole from 10 up, with one decimal below.

    >>> of_100(0.129), of_100(0.0134), of_100(0.02), of_100(0.0001), of_100(0.0)
    ('13', '1.3', '2', 'almost none', 'none')
    """
    number = 100 * share
    if abs(number) < 0.05:
        return "none" if number == 0 else "almost none"
    if abs(number) >= 9.95:
        return f"{number:.0f}"
    return f"{number:.1f}".removesuffix(".0")


def between(low: float | None, high: float | None) -> str:
    """An interval of a share, cut at what is possible; empty if there is none.

    >>> between(0.051, 0.207), between(-0.2, 0.44), between(None, None)
    (' (between 5.1 and 21)', ' (between 0 and 44)', '')
    """
    if low is None or high is None:
        return ""
    ends = (of_100(min(max(end, 0.0), 1.0)).replace("almost none", "0") for end in (low, high))
    return " (between {} and {})".format(*(end.replace("none", "0") for end in ends))


def spread(shares: Sequence[float]) -> str:
    """Several shares as a range out of 100.

    >>> spread([0.12, 0.18, 0.14]), spread([0.12]), spread([0.0, 0.02])
    ('12 to 18', '12', '0 to 2')
    """
    low, high = of_100(min(shares)), of_100(max(shares))
    if low == high:
        return low
    return f"{low.replace('almost none', '0').replace('none', '0')} to {high}"


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence; many are counted.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(list("abcdef"))
    ('a', 'a, b and c', 'a, b, c and 3 others')
    """
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def where(names: Sequence[str], everybody: Sequence[object]) -> str:
    """The recommenders that a clause is about; nothing if they are all.

    >>> where(["a"], ["a", "b"]), where(["a", "b"], ["a", "b"])
    (' with a', '')
    """
    return "" if len(names) == len(everybody) else f" with {listed(names)}"


def by(key: Callable[[T], K], things: Sequence[T]) -> Mapping[K, list[T]]:
    """Things by a property of theirs, in the order in which the properties are first met.

    >>> by(len, ["a", "bb", "c"])
    {1: ['a', 'c'], 2: ['bb']}
    """
    found: dict[K, list[T]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return found


def sentence(text: str) -> str:
    """A sentence: a capital letter in front and a full stop behind.

    >>> sentence("als changes least")
    'Als changes least.'
    """
    return f"{text[:1].upper()}{text[1:]}."
