"""What every measure of drift promises; see `MeasureContract` and `check_measure`."""

import pickle
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.logs.schema import SOURCES
from recsys.measures.pair import FeedPair, Measure
from recsys.testing.promises import check, promise, refused, same_array

N_USERS, FEED_DEPTH, N_ITEMS = 300, 8, 60
_OF_USERS = (
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
"""Fields of a pair with a row a user."""
_OF_ITEMS = ("from_newcomers", "creators", "popularity", "vectors")
"""Fields of a pair with a row an item."""
_FEEDS = ("reference", "feeds", "previous", "without")
"""Fields of a pair that hold item ids."""


def sample_pair(seed: int = 1) -> FeedPair:
    """Feeds of 300 users, 8 deep, of all lengths, with everything that a measure may need.

    The reference holds no newcomers' posts, as a twin without influx does. Items have the
    attributes language, format and topic.

    Args:
        seed: of the draws, such as 1.

    >>> pair = sample_pair()
    >>> pair.feeds.shape, sorted(pair.attributes)
    ((300, 8), ['format', 'language', 'topic'])
    """
    rng = np.random.default_rng(seed)
    from_newcomers = np.arange(N_ITEMS) >= 40

    def feeds(n_items: int) -> NDArray[np.int32]:
        order = np.tile(np.arange(n_items), (N_USERS, 1))
        ids = rng.permuted(order, axis=1)[:, :FEED_DEPTH]
        short = rng.random(N_USERS) >= 0.7
        lengths = np.where(short, rng.integers(0, FEED_DEPTH, N_USERS), FEED_DEPTH)
        lengths[:3] = 0
        filled = np.arange(FEED_DEPTH) < lengths[:, None]
        return np.where(filled, ids, -1).astype(np.int32)

    reference, arm, before = feeds(40), feeds(N_ITEMS), feeds(N_ITEMS)
    taste = rng.random((N_USERS, 5))
    hits = (rng.random(arm.shape) < 0.2) & (arm >= 0)
    return FeedPair(
        reference=reference,
        feeds=arm,
        attributes={
            name: rng.integers(0, values, N_ITEMS, dtype=np.int32)
            for name, values in (("language", 2), ("format", 3), ("topic", 5))
        },
        from_newcomers=from_newcomers,
        examine=np.float64(0.9) ** np.arange(FEED_DEPTH),
        creators=rng.integers(0, 12, N_ITEMS, dtype=np.int32),
        popularity=rng.random(N_ITEMS),
        vectors=rng.normal(size=(N_ITEMS, 3)).astype(np.float32),
        reference_scores=-np.sort(rng.random(arm.shape)),
        scores=-np.sort(rng.random(arm.shape)),
        previous=before,
        history={"topic": taste / taste.sum(axis=1, keepdims=True)},
        relevance=rng.random(arm.shape, dtype=np.float32),
        hits=hits,
        n_relevant=(hits.sum(axis=1) + rng.integers(0, 3, N_USERS)).astype(np.int32),
        without=reference,
        sources=rng.integers(0, len(SOURCES.categories), arm.shape, dtype=np.uint8),
    )


class MeasureContract:
    """Everything that recsys takes for granted about a measure; subclass it to test your own.

        class TestMine(recsys.testing.MeasureContract):
            measure = Measure(name="mine", …)

    Attributes:
        measure: what is tried.
        pair: the feeds it is tried on. Give your own where it needs an attribute that
            `sample_pair` lacks: `replace(sample_pair(), attributes={"mood": …})`.
        both_empty: its value where both feeds are empty; None accepts 0 and NaN.
        one_empty: a measure of drift's value where one of the feeds is empty; None accepts any.
    """

    measure: Measure
    pair: FeedPair | None = None
    both_empty: float | None = None
    one_empty: float | None = None

    def sample(self) -> FeedPair:
        """The pair, with nothing kept from earlier measures."""
        return sample_pair() if self.pair is None else self.pair.afresh()

    def test_one_bounded_value_per_user(self) -> None:
        pair = self.sample()
        values = self.measure(pair)
        n = pair.feeds.shape[0]
        promise(values.shape == (n,), f"{n} users have values of shape {values.shape}")
        promise(values.dtype == np.float64, f"values are {values.dtype}, not float64")
        defined = values[~np.isnan(values)]
        promise(defined.size > n / 2, f"only {defined.size} of {n} users have a value")
        low, high = self.measure.bounds
        promise(
            low <= defined.min() and defined.max() <= high,
            f"values from {defined.min()} to {defined.max()} are outside the bounds {low}, {high}",
        )
        promise(defined.std() > 0.0, "all users have the same value, though their feeds differ")

    def test_identical_feeds_do_not_drift(self) -> None:
        pair = self.sample()
        itself = replace(pair, reference=pair.feeds, without=pair.feeds)
        if pair.scores is not None:
            itself = replace(itself, reference_scores=pair.scores)
        values = self.measure(itself)
        if self.measure.kind == "drift":
            off = np.flatnonzero(np.nan_to_num(values) != 0.0)
            promise(
                off.size == 0,
                f"the drift of a feed from itself must be 0; for {off.size} of {values.size} users "
                f"it is not, first {values[off[:1]].tolist()}",
            )
        else:
            message = "a level describes the arm's feeds alone, and the reference changes it"
            same_array(values, self.measure(self.sample()), message)

    def test_renumbering_items_changes_nothing(self) -> None:
        pair = self.sample()
        new_id = np.random.default_rng(2).permutation(_n_items(pair)).astype(np.int32)
        old_id = np.argsort(new_id)
        renumbered: dict[str, Any] = {}
        for name in _FEEDS:
            ids = getattr(pair, name)
            if ids is not None:
                renumbered[name] = np.where(ids >= 0, new_id[ids], -1).astype(np.int32)
        for name in _OF_ITEMS:
            values = getattr(pair, name)
            if values is not None:
                renumbered[name] = values[old_id]
        codes = {name: values[old_id] for name, values in pair.attributes.items()}
        got = self.measure(replace(pair, attributes=codes, **renumbered))
        same_array(got, self.measure(self.sample()), "other numbers of items change values")

    def test_a_user_is_measured_alone(self) -> None:
        """A part of the users, and the users in another order, have the same values."""
        pair = self.sample()
        whole = self.measure(pair)
        order = np.random.default_rng(3).permutation(whole.size)
        for rows in (np.arange(whole.size // 3, 5 * whole.size // 6), order):
            same_array(
                self.measure(rows_of_pair(pair, rows)),
                whole[rows],
                "a user's value depends on which other users are measured, or on their order",
            )

    def test_values_do_not_depend_on_what_was_measured_before(self) -> None:
        pair = self.sample()
        whole = self.measure(pair)
        same_array(self.measure(pair), whole, "the same pair measured twice has other values")
        self.measure(replace(pair, feeds=pair.reference))
        same_array(self.measure(self.sample()), whole, "values of another pair are kept")

    def test_the_pair_stays_as_it_was(self) -> None:
        pair, same = self.sample(), self.sample()
        self.measure(pair)
        for name in (*_OF_USERS, *_OF_ITEMS, "examine"):
            if getattr(pair, name) is not None:
                same_array(
                    getattr(pair, name), getattr(same, name), f"it changes the pair's {name}"
                )

    def test_empty_feeds(self) -> None:
        pair = self.sample()
        no_reference, no_feed = pair.reference[:, 0] < 0, pair.feeds[:, 0] < 0
        both, lost = no_reference & no_feed, ~no_reference & no_feed
        gained = no_reference & ~no_feed
        promise(
            min(both.sum(), lost.sum(), gained.sum()) > 0,
            "the pair must hold empty feeds in the reference, in the arm, and in both",
        )
        changed: dict[str, Any] = {"previous": pair.reference}
        if pair.hits is not None and pair.n_relevant is not None:
            changed |= {
                "hits": np.zeros_like(pair.hits),
                "n_relevant": np.zeros_like(pair.n_relevant),
            }
        values = self.measure(replace(pair, **changed))
        drift = self.measure.kind == "drift"
        if self.both_empty is None:
            promise(
                np.isnan(values[both]).all() or (values[both] == 0.0).all(),
                "where both feeds are empty, the value must be NaN for all users or 0 for all",
            )
        else:
            expected = np.full(int(both.sum()), self.both_empty)
            same_array(values[both], expected, "where both feeds are empty, values differ")
        if self.one_empty is not None:
            for rows in (lost, gained) if drift else (lost,):
                expected = np.full(int(rows.sum()), self.one_empty)
                same_array(values[rows], expected, "where one feed is empty, values differ")

    def test_the_entry_is_complete(self) -> None:
        promise(self.measure.name.isidentifier(), f"{self.measure.name!r} is no name for a column")
        promise(self.measure.title, "it has no title")
        promise(self.measure.unit, "it has no unit")
        promise(self.measure.formula, "it has no formula")
        promise("\n" not in self.measure.formula, "its formula must be one line")
        kind = self.measure.kind
        promise(kind in {"drift", "level"}, f"its kind is {kind!r}; expected 'drift' or 'level'")

    def test_it_can_go_to_another_process(self) -> None:
        try:
            again = pickle.loads(pickle.dumps(self.measure))
        except Exception as error:
            message = f"it cannot be pickled for worker processes ({error}); define its function "
            promise(False, message + "at the top of a module, not as a lambda or inside another")
        promise(again == self.measure, "it comes back from pickle as another measure")

    def test_missing_needs_are_named(self) -> None:
        pair = self.sample()
        names = {field.name for field in fields(FeedPair)} - {"attributes"}
        optional: Mapping[str, Any] = dict.fromkeys(pair.provides & names)
        bare = replace(pair, attributes={}, **optional)
        if not self.measure.needs:
            try:
                self.measure(bare)
            except Exception as error:
                promise(False, f"it declares no needs, and without any it fails: {error}")
            return
        with refused("a pair without what it needs", ValueError, f"'{self.measure.name}' needs "):
            self.measure(bare)
        missing = sorted(set(self.measure.needs) - pair.provides)
        promise(not missing, f"it needs {missing}, which the pair that is tried lacks")
        enough: dict[str, Any] = {
            name: getattr(pair, name) for name in names.intersection(self.measure.needs)
        }
        codes = pair.attributes
        if "attributes" not in self.measure.needs:
            codes = {name: codes[name] for name in self.measure.needs if name in codes}
        reduced = replace(bare, attributes=codes, **enough)
        try:
            self.measure(reduced)
        except Exception as error:
            promise(False, f"it declares its needs, and given no more than these it fails: {error}")


def check_measure(
    measure: Measure,
    pair: FeedPair | None = None,
    *,
    both_empty: float | None = None,
    one_empty: float | None = None,
) -> None:
    """Tries all promises of `MeasureContract` on a measure, without pytest.

    Args:
        measure: what is tried, such as `MEASURES["jaccard"]`.
        pair: feeds to try it on; None for `sample_pair()`.
        both_empty, one_empty: see `MeasureContract`.

    Raises:
        ContractError: a line for each promise that the measure breaks.

    >>> from recsys.measures import MEASURES
    >>> check_measure(MEASURES["jaccard"], both_empty=0.0, one_empty=1.0)
    """
    contract = MeasureContract()
    contract.measure = measure
    contract.pair = pair
    contract.both_empty = both_empty
    contract.one_empty = one_empty
    check(contract, f"measure {measure.name!r}")


def rows_of_pair(pair: FeedPair, rows: NDArray[np.int64]) -> FeedPair:
    """The pair of some of the users.

    Args:
        pair: such as `sample_pair()`.
        rows: positions of the users, such as `np.array([5, 3])`.
    """
    cut: dict[str, Any] = {
        name: getattr(pair, name)[rows] for name in _OF_USERS if getattr(pair, name) is not None
    }
    if pair.history is not None:
        cut["history"] = {name: mix[rows] for name, mix in pair.history.items()}
    return replace(pair, **cut)


def _n_items(pair: FeedPair) -> int:
    """How many items the attributes describe; else as many as the feeds name."""
    described = [getattr(pair, name) for name in _OF_ITEMS] + [*pair.attributes.values()]
    sizes = [len(values) for values in described if values is not None]
    ids = [getattr(pair, name) for name in _FEEDS]
    return max([*sizes, *(int(feeds.max()) + 1 for feeds in ids if feeds is not None)])
