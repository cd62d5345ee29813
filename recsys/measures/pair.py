"""`FeedPair` holds two feeds of each user; `Measure` makes one number for each user from it.

A measure of kind "drift" compares the feeds of an arm with those of the reference arm. A measure of
kind "level" describes the feeds of one arm; its drift is the difference between two arms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_OPTIONAL_FIELDS = (
    "from_newcomers",
    "creators",
    "popularity",
    "vectors",
    "reference_scores",
    "scores",
    "previous",
    "history",
    "relevance",
    "hits",
    "n_relevant",
    "without",
    "sources",
)

_PER_USER = (
    "reference",
    "feeds",
    "reference_scores",
    "scores",
    "previous",
    "relevance",
    "hits",
    "n_relevant",
    "without",
    "sources",
)
"""Fields with a row for each user. `history` is a dict of such arrays."""


@dataclass(frozen=True, eq=False)
class FeedPair:
    """The feeds of the same n users, on the same day, in two arms.

    Attributes:
        reference: feeds in the reference arm, int32 (n, k), item ids by rank, -1 for empty slots.
        feeds: feeds in the arm that is measured, int32 (n, k).
        attributes: by name, the code of each item, int32 (n_items,), from 0. An unknown value has a
            code as well.
        from_newcomers: bool (n_items,), True where a newcomer made the item. None if it is not
            known. The same holds for every field below except `examine`.
        examine: float64 (k,), probability that a user looks at the slot; the position weights.
        creators: int32 (n_items,), number of the item's creator, from 0. An item whose creator is
            unknown belongs to a creator of its own.
        popularity: float64 (n_items,), share of the users who liked the item before.
        vectors: float32 (n_items, d), embeddings of the items, the same for both arms.
        reference_scores, scores: float64 (n, k), what the slots of `reference` and of `feeds` were
            ranked by; NaN where there is no score. Neighbouring slots with equal scores are tied.
        previous: int32 (n, k), feeds of the same users in the same arm, one measured day before.
        history: by attribute, float64 (n, codes): the mix of what each user liked before the
            influx. A row sums to 1; it is NaN for a user who liked nothing.
        relevance: float32 (n, k), the user's probability to click each slot of `feeds`; only
            synthetic worlds know it.
        hits: bool (n, k), slots of `feeds` that the user clicked later; only own logs know it.
        n_relevant: int32 (n,), number of items the user clicked later, in the feed or not; only own
            logs know it.
        without: int32 (n, k), what `feeds` would be if the recommender were trained without the
            newcomers' events, and nothing else changed.
        sources: uint8 (n, k), what filled each slot of `feeds`: positions in
            `recsys.logs.schema.SOURCES`.

    Raises:
        ValueError: on shapes or dtypes other than these.

    Example:
        >>> feeds = np.array([[0, 1], [1, -1]], dtype=np.int32)
        >>> pair = FeedPair(feeds, feeds, {}, np.zeros(2, dtype=bool), np.array([1.0, 0.5]))
        >>> sorted(pair.provides)
        ['from_newcomers']
    """

    reference: NDArray[np.int32]
    feeds: NDArray[np.int32]
    attributes: Mapping[str, NDArray[np.int32]]
    from_newcomers: NDArray[np.bool_] | None
    examine: NDArray[np.float64]
    creators: NDArray[np.int32] | None = None
    popularity: NDArray[np.float64] | None = None
    vectors: NDArray[np.float32] | None = None
    reference_scores: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None
    previous: NDArray[np.int32] | None = None
    history: Mapping[str, NDArray[np.float64]] | None = None
    relevance: NDArray[np.float32] | None = None
    hits: NDArray[np.bool_] | None = None
    n_relevant: NDArray[np.int32] | None = None
    without: NDArray[np.int32] | None = None
    sources: NDArray[np.uint8] | None = None
    _made: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, repr=False)
    _of_items: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.feeds.ndim != 2:
            raise ValueError(f"feeds has shape {self.feeds.shape}; expected (n, k)")
        rows, depth = self.feeds.shape
        of_items = (self.from_newcomers, self.creators, self.popularity, self.vectors)
        described = [array for array in (*of_items, *self.attributes.values()) if array is not None]
        items = described[0].shape[:1] if described else ()
        _check("feeds", self.feeds, (rows, depth), "i")
        _check("reference", self.reference, (rows, depth), "i")
        _check("from_newcomers", self.from_newcomers, items, "b")
        _check("examine", self.examine, (depth,), "f")
        _check("creators", self.creators, items, "i")
        _check("popularity", self.popularity, items, "f")
        if self.vectors is not None:
            _check("vectors", self.vectors, (*items, self.vectors.shape[-1]), "f")
        _check("reference_scores", self.reference_scores, (rows, depth), "f")
        _check("scores", self.scores, (rows, depth), "f")
        _check("previous", self.previous, (rows, depth), "i")
        for name, mix in (self.history or {}).items():
            _check(f"history[{name!r}]", mix, (rows, mix.shape[-1]), "f")
        _check("relevance", self.relevance, (rows, depth), "f")
        _check("hits", self.hits, (rows, depth), "b")
        _check("n_relevant", self.n_relevant, (rows,), "i")
        _check("without", self.without, (rows, depth), "i")
        _check("sources", self.sources, (rows, depth), "i")
        for name, codes in self.attributes.items():
            _check(f"attributes[{name!r}]", codes, items, "i")

    def once(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        """A value that several measures need: made at the first call, then kept with the pair.

        Args:
            key: name of the value, such as ("counted",). A key always stands for the same value.
            make: makes the value.
        """
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])

    def once_for_items(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        """As `once`, for a value that depends on the items alone. All parts of a pair share it.

        Args:
            key: name of the value, such as ("joint", "language", "format").
            make: makes the value. Two threads that ask at the same time may both make it.
        """
        if key not in self._of_items:
            self._of_items[key] = make()
        return cast(T, self._of_items[key])

    def parts(self, size: int) -> Iterator[FeedPair]:
        """Cuts the pair into pairs of a few users each.

        A measure looks at one user at a time. So it gives the same values on the parts as on the
        whole pair, to the bit.

        Args:
            size: most users of a part, such as 8000; at least 1.

        Example:
            >>> feeds = np.zeros((5, 2), dtype=np.int32)
            >>> pair = FeedPair(feeds, feeds, {}, None, np.ones(2))
            >>> [part.feeds.shape[0] for part in pair.parts(2)]
            [2, 2, 1]
        """
        rows = self.feeds.shape[0]
        for start in range(0, rows, size):
            block = slice(start, start + size)
            cut: dict[str, Any] = {
                name: None if (own := getattr(self, name)) is None else own[block]
                for name in _PER_USER
            }
            if self.history is not None:
                cut["history"] = {name: mix[block] for name, mix in self.history.items()}
            part = replace(self, **cut)
            object.__setattr__(part, "_of_items", self._of_items)
            yield part

    def afresh(self) -> FeedPair:
        """A copy of the pair, with which `once` has kept no value yet.

        The values that `once` keeps with the copy are freed with the copy.
        """
        return replace(self)

    @property
    def provides(self) -> frozenset[str]:
        """Names of the inputs that this pair has for measures; see `Measure.needs`.

        These are the pair's attributes and its optional fields that are not None, and also
        "attributes" if the pair has several attributes.
        """
        present = {name for name in _OPTIONAL_FIELDS if getattr(self, name) is not None}
        if len(self.attributes) > 1:
            present.add("attributes")
        return frozenset(self.attributes) | present


@dataclass(frozen=True)
class Measure:
    """One number per user for a pair of feeds; call it with a `FeedPair`.

    Attributes:
        name: its key, as in configs and result frames.
        title: its name for people, as in charts.
        kind: "drift" compares with the reference; "level" describes the measured feeds alone.
        unit: what the number is counted in.
        formula: its formula, in one line.
        function: takes a pair and gives float64 (n,), NaN where the measure is undefined.
        needs: attributes or optional fields of `FeedPair` without which it cannot be computed.
        rung: its place on the ladder from fine to coarse measures of drift: "posts", "creators",
            "topics", "language x format" or "embedding"; None if it has no place there.
        bounds: the smallest and the largest value.
        pooled: whether the feeds of several days are measured together, as one long feed. If not,
            each day is measured, and the days are averaged. Distances between distributions of few
            slots are biased upward, so they are pooled.
    """

    name: str
    title: str
    kind: Literal["drift", "level"]
    unit: str
    formula: str
    function: Callable[[FeedPair], NDArray[np.float64]]
    needs: tuple[str, ...] = ()
    rung: str | None = None
    bounds: tuple[float, float] = (0.0, 1.0)
    pooled: bool = False

    def __call__(self, pair: FeedPair) -> NDArray[np.float64]:
        """The measure of each user, float64 (n,); ValueError if the pair lacks what it needs."""
        missing = sorted(set(self.needs) - pair.provides)
        if missing:
            raise ValueError(
                f"measure {self.name!r} needs {missing}; "
                f"the pair of feeds has {sorted(pair.provides)}"
            )
        return self.function(pair)


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole, NaN where whole is 0."""
    result = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


_DTYPES = {"i": np.integer, "b": np.bool_, "f": np.floating}


def _check(name: str, array: NDArray[np.generic] | None, shape: tuple[int, ...], kind: str) -> None:
    if array is None:
        return
    expected = _DTYPES[kind]
    if array.shape != shape or not np.issubdtype(array.dtype, expected):
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; "
            f"expected {shape} of {expected.__name__}"
        )
