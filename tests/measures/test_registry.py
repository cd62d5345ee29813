"""What every measure in the registry keeps to, and what a pair of feeds must look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recsys.measures import (
    MEASURES,
    FeedPair,
    Measure,
    available,
    average_overlap,
    default_persistence,
    feed_mix,
    frbo,
    hellinger,
    jaccard,
    jsd,
    kendall_topk,
    mix_measure,
    overlap,
    rbo_ext,
    rbo_ext_ties,
    slot_accounting,
    tv,
)
from recsys.measures.mix import joint_codes
from recsys.testing import ContractError, MeasureContract, check_measure, sample_pair

N_USERS, DEPTH, N_ITEMS = 300, 8, 60


EMPTY = {
    **dict.fromkeys(("posts", "jaccard", "average_overlap", "slots_changed", "one_step"), (0, 1)),
    **dict.fromkeys(("rbo_ext", "rbo_ext_ties", "kendall", "creators", "turnover"), (0, 1)),
    **dict.fromkeys(("displaced", "reshuffled"), (0, np.nan)),
}
"""What a measure says where both feeds are empty, and where one is; others are undefined."""


class TestMeasures(MeasureContract):
    @pytest.fixture(params=MEASURES, autouse=True)
    def tried(self, request):
        self.measure = MEASURES[request.param]
        self.both_empty, self.one_empty = EMPTY.get(request.param, (np.nan, np.nan))


def test_each_is_named_by_its_key() -> None:
    assert {name: measure.name for name, measure in MEASURES.items()} == {
        name: name for name in MEASURES
    }


# Wrong measures: each breaks the promise that it is about


def changed(pair: FeedPair) -> np.ndarray:
    """Share of slots that hold another item: right, but for what the wrong ones add."""
    return np.asarray((pair.feeds != pair.reference).mean(axis=1))


def far_from_itself(pair: FeedPair) -> np.ndarray:
    return (changed(pair) + 0.01) / 1.01


def relative_to_the_others(pair: FeedPair) -> np.ndarray:
    values = changed(pair)
    return values / max(values.max(), 1e-9) * values.mean()


def of_item_ids(pair: FeedPair) -> np.ndarray:
    return np.asarray(abs(pair.feeds - pair.reference).mean(axis=1) / 100)


def beyond_the_bounds(pair: FeedPair) -> np.ndarray:
    return 2 * changed(pair)


def of_single_precision(pair: FeedPair) -> np.ndarray:
    return changed(pair).astype(np.float32)


def one_for_all(pair: FeedPair) -> np.ndarray:
    return np.zeros(pair.feeds.shape[0])


def spoils_the_pair(pair: FeedPair) -> np.ndarray:
    values = changed(pair)
    pair.feeds[:] = pair.reference
    return values


def needs_creators(pair: FeedPair) -> np.ndarray:
    if pair.creators is None:
        raise TypeError("no creators")
    return changed(pair)


WRONG = {
    far_from_itself: "identical_feeds_do_not_drift",
    relative_to_the_others: "a_user_is_measured_alone",
    of_item_ids: "renumbering_items_changes_nothing",
    beyond_the_bounds: "one_bounded_value_per_user",
    of_single_precision: "one_bounded_value_per_user",
    one_for_all: "one_bounded_value_per_user",
    spoils_the_pair: "the_pair_stays_as_it_was",
    needs_creators: "missing_needs_are_named",
}


def a_measure(function: Callable[[FeedPair], np.ndarray], **options: Any) -> Measure:
    entry = {"name": "mine", "title": "mine", "kind": "drift", "unit": "0 to 1", "formula": "x"}
    return Measure(function=function, **(entry | options))


def tried(measure: Measure, promise: str) -> None:
    contract = MeasureContract()
    contract.measure = measure
    getattr(contract, f"test_{promise}")()


@pytest.mark.parametrize("function", WRONG, ids=lambda function: function.__name__)
def test_wrong_measures_break_the_contract(function: Callable[[FeedPair], np.ndarray]) -> None:
    tried(a_measure(changed), WRONG[function])
    with pytest.raises(ContractError):
        tried(a_measure(function), WRONG[function])


def test_a_level_that_looks_at_the_reference_breaks_the_contract() -> None:
    with pytest.raises(ContractError, match="the reference changes it"):
        tried(a_measure(changed, kind="level"), "identical_feeds_do_not_drift")


def test_entries_that_are_not_complete_break_the_contract() -> None:
    for options in ({"title": ""}, {"formula": "two\nlines"}, {"name": "two words"}):
        with pytest.raises(ContractError):
            tried(a_measure(changed, **options), "the_entry_is_complete")
    with pytest.raises(ContractError, match="define its function at the top of a module"):
        tried(a_measure(lambda pair: changed(pair)), "it_can_go_to_another_process")


def test_empty_feeds_without_one_answer_break_the_contract() -> None:
    def drawn(pair: FeedPair) -> np.ndarray:
        return np.where(pair.feeds[:, 0] < 0, np.arange(pair.feeds.shape[0]), 0.0)

    with pytest.raises(ContractError, match="NaN for all users or 0 for all"):
        tried(a_measure(drawn), "empty_feeds")


def test_a_check_names_every_broken_promise() -> None:
    check_measure(a_measure(changed))
    with pytest.raises(ContractError, match="measure 'mine' breaks 1 of ") as broken:
        check_measure(a_measure(far_from_itself), both_empty=0.01 / 1.01)
    assert "the drift of a feed from itself must be 0" in str(broken.value)


def test_available() -> None:
    assert available(sample_pair().provides) == tuple(MEASURES)
    assert available(["hits", "n_relevant"])[-2:] == ("ndcg", "recall")
    assert "ndcg" not in available(["hits"])
    assert "language_format" not in available(["language"])


def test_the_ladder_has_one_measure_a_rung() -> None:
    rungs = {measure.rung: name for name, measure in MEASURES.items() if measure.rung is not None}
    assert rungs == {
        "posts": "posts",
        "creators": "creators",
        "topics": "topic",
        "language x format": "language_format",
        "embedding": "embedding",
    }


def test_changed_slots_are_displaced_or_reshuffled() -> None:
    pair = sample_pair()
    parts = MEASURES["displaced"](pair) + MEASURES["reshuffled"](pair)
    accounted = ~np.isnan(parts)
    # Two shares of at most 8 slots and their sum: two roundings.
    np.testing.assert_allclose(
        parts[accounted], MEASURES["slots_changed"](pair)[accounted], rtol=0, atol=4e-16
    )


def test_a_mix_measure_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = replace(sample_pair(), attributes={"mood": np.arange(N_ITEMS, dtype=np.int32) % 7})
    measure = mix_measure("mood", ("mood",), "hellinger")
    at_once = measure(pair)
    assert np.nanmax(at_once) > 0
    monkeypatch.setattr("recsys.measures.mix_drift._CELLS_AT_ONCE", 50)  # 7 users at a time
    np.testing.assert_array_equal(measure(pair), at_once)


def test_what_measures_share_is_of_one_pair() -> None:
    """Values do not depend on which measures came before, nor on another pair's."""
    pair = sample_pair()
    forwards = {name: measure(pair) for name, measure in MEASURES.items()}
    other = replace(pair, feeds=pair.reference)
    backwards = {name: MEASURES[name](pair.afresh()) for name in reversed(MEASURES)}
    for name in MEASURES:
        np.testing.assert_array_equal(forwards[name], backwards[name])
    assert np.nanmax(MEASURES["posts"](other)) == 0.0


@pytest.mark.parametrize("depth", [1, 2, DEPTH])
def test_one_pass_says_what_each_function_says(depth: int) -> None:
    """FRBO, average overlap, RBO_ext and Kendall come from one match of a pair's posts."""
    whole = sample_pair(3)
    names = (
        "reference",
        "feeds",
        "reference_scores",
        "scores",
        "previous",
        "relevance",
        "hits",
        "without",
        "sources",
    )
    cut = {name: np.ascontiguousarray(getattr(whole, name)[:, :depth]) for name in names}
    pair = replace(whole, **cut, examine=whole.examine[:depth])
    a, b, p = pair.reference, pair.feeds, default_persistence(max(depth, 2))
    scores = (pair.reference_scores, pair.scores)
    drift = {
        "posts": 1 - frbo(a, b),
        "jaccard": 1 - jaccard(a, b),
        "average_overlap": 1 - average_overlap(a, b),
        "rbo_ext": 1 - rbo_ext(a, b, p),
        "slots_changed": 1 - overlap(a, b),
        "rbo_ext_ties": np.maximum(
            1 - rbo_ext_ties(a, b, *scores, p) / rbo_ext_ties(a, a, scores[0], scores[0], p), 0
        ),
    }
    for name, expected in drift.items():
        np.testing.assert_array_equal(MEASURES[name](pair), expected, err_msg=name)
    lengths = [(ids >= 0).sum(axis=1) for ids in (a, b)]
    length = np.where(np.minimum(*lengths) > 0, np.minimum(*lengths), np.maximum(*lengths))
    most = np.maximum(length**2 + length * (length - 1) / 2, 1)
    np.testing.assert_array_equal(MEASURES["kendall"](pair), kendall_topk(a, b, 0.5) / most)
    account = slot_accounting(a, b, pair.from_newcomers)
    for name, count in (("displaced", account.displaced), ("reshuffled", account.reshuffled)):
        got = MEASURES[name](pair)
        known = account.slots > 0
        np.testing.assert_array_equal(got[known], count[known] / account.slots[known])


@pytest.mark.parametrize("name", ["tv", "jsd", "hellinger"])
@pytest.mark.parametrize("deepest", [1000, 0])
def test_looked_up_distances_are_those_of_the_mixes(
    name: str, deepest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.measures.mix_drift._DEEPEST_TABLE", deepest)
    pair = sample_pair(4)
    codes, n = joint_codes((pair.attributes["format"], pair.attributes["topic"]))
    mixes = [feed_mix(ids, codes, n) for ids in (pair.reference, pair.feeds)]
    expected = {"tv": tv, "jsd": jsd, "hellinger": hellinger}[name](*mixes)
    got = mix_measure("crossed", ("format", "topic"), name)(pair)
    np.testing.assert_array_equal(got, expected)
    full = replace(
        pair,
        reference=np.tile(np.arange(DEPTH, dtype=np.int32), (N_USERS, 1)),
        feeds=np.random.default_rng(0).integers(0, N_ITEMS, pair.feeds.shape, dtype=np.int32),
    )
    mixes = [feed_mix(ids, codes, n) for ids in (full.reference, full.feeds)]
    expected = {"tv": tv, "jsd": jsd, "hellinger": hellinger}[name](*mixes)
    got = mix_measure("crossed", ("format", "topic"), name)(full)
    np.testing.assert_array_equal(got, expected)


def test_crossing_attributes_sees_what_each_alone_does_not() -> None:
    # Chinese videos and English texts turn into Chinese texts and English videos.
    pair = FeedPair(
        reference=np.array([[0, 1]], dtype=np.int32),
        feeds=np.array([[2, 3]], dtype=np.int32),
        attributes={
            "language": np.array([0, 1, 0, 1], dtype=np.int32),
            "format": np.array([0, 1, 1, 0], dtype=np.int32),
        },
        from_newcomers=np.zeros(4, dtype=bool),
        examine=np.ones(2),
    )
    alone = [mix_measure(name, (name,))(pair)[0] for name in ("language", "format")]
    assert alone == [0.0, 0.0]
    assert MEASURES["language_format"](pair)[0] == 1.0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("feeds", np.zeros(3, dtype=np.int32), r"feeds has shape \(3,\); expected \(n, k\)"),
        ("reference", np.zeros((2, 2), dtype=np.int32), r"reference has shape \(2, 2\)"),
        ("feeds", np.zeros((N_USERS, DEPTH)), "feeds has shape .* float64; .* of integer"),
        ("from_newcomers", np.zeros(N_ITEMS, dtype=int), "from_newcomers has shape .* of bool"),
        ("examine", np.ones(3), r"examine has shape \(3,\)"),
        ("relevance", np.ones((1, 1)), r"relevance has shape \(1, 1\)"),
        ("hits", np.ones((1, 1), dtype=bool), r"hits has shape \(1, 1\)"),
        ("n_relevant", np.ones(1, dtype=int), r"n_relevant has shape \(1,\)"),
        ("without", np.ones((1, 1), dtype=int), r"without has shape \(1, 1\)"),
        ("creators", np.ones(1, dtype=int), r"creators has shape \(1,\)"),
        ("popularity", np.ones(N_ITEMS, dtype=int), "popularity has shape .* of floating"),
        ("vectors", np.ones(N_ITEMS), r"vectors has shape \(60,\)"),
        ("scores", np.ones((2, 2)), r"scores has shape \(2, 2\)"),
        ("previous", np.ones((N_USERS, 3), dtype=int), r"previous has shape \(300, 3\)"),
        ("history", {"topic": np.ones((2, 5))}, r"history\['topic'\] has shape \(2, 5\)"),
        ("attributes", {"topic": np.zeros(3, dtype=int)}, r"attributes\['topic'\] has shape"),
    ],
)
def test_pairs_are_checked_on_the_way_in(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(sample_pair(), **{field: value})
