"""What every measure in the registry keeps to, and what a pair of feeds must look like."""

from __future__ import annotations

import pickle
from dataclasses import replace

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

N_READERS, DEPTH, N_ITEMS = 300, 8, 60

every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())


def random_pair(seed: int = 1) -> FeedPair:
    """Feeds of all lengths; the reference holds no newcomers' notes, as a twin without influx."""
    rng = np.random.default_rng(seed)
    from_newcomers = np.arange(N_ITEMS) >= 40

    def feeds(n_items: int) -> np.ndarray:
        ids = rng.permuted(np.tile(np.arange(n_items), (N_READERS, 1)), axis=1)[:, :DEPTH]
        lengths = np.where(rng.random(N_READERS) < 0.7, DEPTH, rng.integers(0, DEPTH, N_READERS))
        lengths[:3] = 0
        return np.where(np.arange(DEPTH) < lengths[:, None], ids, -1).astype(np.int32)

    reference, arm, before = feeds(40), feeds(N_ITEMS), feeds(N_ITEMS)
    taste = rng.random((N_READERS, 5))
    hits = (rng.random(arm.shape) < 0.2) & (arm >= 0)
    return FeedPair(
        reference=reference,
        feeds=arm,
        attributes={
            name: rng.integers(0, values, N_ITEMS, dtype=np.int32)
            for name, values in (("language", 2), ("format", 3), ("topic", 5))
        },
        from_newcomers=from_newcomers,
        examine=0.9 ** np.arange(DEPTH),
        creators=rng.integers(0, 12, N_ITEMS, dtype=np.int32),
        popularity=rng.random(N_ITEMS),
        vectors=rng.normal(size=(N_ITEMS, 3)).astype(np.float32),
        reference_scores=-np.sort(rng.random(arm.shape)),
        scores=-np.sort(rng.random(arm.shape)),
        previous=before,
        history={"topic": taste / taste.sum(axis=1, keepdims=True)},
        relevance=rng.random(arm.shape, dtype=np.float32),
        hits=hits,
        n_relevant=(hits.sum(axis=1) + rng.integers(0, 3, N_READERS)).astype(np.int32),
        without=reference,
    )


@every_measure
def test_one_bounded_value_per_reader(measure: Measure) -> None:
    values = measure(random_pair())
    assert values.shape == (N_READERS,)
    assert values.dtype == np.float64
    defined = values[~np.isnan(values)]
    assert defined.size > N_READERS / 2
    low, high = measure.bounds
    assert defined.min() >= low
    assert defined.max() <= high
    assert defined.std() > 0.0


@every_measure
def test_identical_feeds_do_not_drift(measure: Measure) -> None:
    pair = random_pair()
    values = measure(replace(pair, reference=pair.feeds, without=pair.feeds))
    if measure.kind == "drift":
        assert (np.nan_to_num(values) == 0.0).all()
    else:
        np.testing.assert_array_equal(values, measure(pair))  # blind to the reference


@every_measure
def test_renumbering_items_changes_nothing(measure: Measure) -> None:
    pair = random_pair()
    new_id = np.random.default_rng(2).permutation(N_ITEMS).astype(np.int32)
    old_id = np.argsort(new_id)
    reference = np.where(pair.reference >= 0, new_id[pair.reference], -1).astype(np.int32)
    renumbered = replace(
        pair,
        reference=reference,
        without=reference,
        feeds=np.where(pair.feeds >= 0, new_id[pair.feeds], -1).astype(np.int32),
        attributes={name: codes[old_id] for name, codes in pair.attributes.items()},
        from_newcomers=pair.from_newcomers[old_id],
        creators=pair.creators[old_id],
        popularity=pair.popularity[old_id],
        vectors=pair.vectors[old_id],
        previous=np.where(pair.previous >= 0, new_id[pair.previous], -1).astype(np.int32),
    )
    np.testing.assert_array_equal(measure(renumbered), measure(pair))


@every_measure
def test_a_reader_is_measured_alone(measure: Measure) -> None:
    pair = random_pair()
    half = slice(100, 250)
    names = (
        "reference",
        "feeds",
        "reference_scores",
        "scores",
        "previous",
        "relevance",
        "hits",
        "n_relevant",
        "without",
    )
    rows = {name: getattr(pair, name)[half] for name in names}
    part = replace(pair, **rows, history={"topic": pair.history["topic"][half]})
    np.testing.assert_array_equal(measure(part), measure(pair)[half])


# What each measure says where both feeds, the reference's, or the arm's are empty.
BOTH_EMPTY = {"notes": 0, "jaccard": 0, "average_overlap": 0, "slots_changed": 0, "one_step": 0}
BOTH_EMPTY |= {"displaced": 0, "reshuffled": 0, "rbo_ext": 0, "rbo_ext_ties": 0, "kendall": 0}
BOTH_EMPTY |= {"creators": 0, "turnover": 0}
ONE_EMPTY = {"notes": 1, "jaccard": 1, "average_overlap": 1, "slots_changed": 1, "one_step": 1}
ONE_EMPTY |= {"rbo_ext": 1, "rbo_ext_ties": 1, "kendall": 1, "creators": 1, "turnover": 1}


@every_measure
def test_empty_feeds(measure: Measure) -> None:
    pair = random_pair()
    no_reference, no_feed = (pair.reference[:, 0] < 0), (pair.feeds[:, 0] < 0)
    both, lost = no_reference & no_feed, ~no_reference & no_feed
    gained = no_reference & ~no_feed
    assert min(both.sum(), lost.sum(), gained.sum()) > 0
    hits = np.zeros_like(pair.feeds, dtype=bool)
    none = np.zeros(N_READERS, dtype=np.int32)
    values = measure(replace(pair, hits=hits, n_relevant=none, previous=pair.reference))
    expected_both = BOTH_EMPTY.get(measure.name, np.nan)
    expected_one = ONE_EMPTY.get(measure.name, np.nan)
    np.testing.assert_array_equal(values[both], np.full(both.sum(), expected_both))
    np.testing.assert_array_equal(values[lost], np.full(lost.sum(), expected_one))
    if measure.kind == "drift":
        np.testing.assert_array_equal(values[gained], np.full(gained.sum(), expected_one))


@every_measure
def test_entries_are_complete(measure: Measure) -> None:
    assert MEASURES[measure.name] is measure
    assert measure.title
    assert measure.unit
    assert "\n" not in measure.formula
    assert measure.kind in {"drift", "level"}
    assert pickle.loads(pickle.dumps(measure)) == measure  # goes to worker processes


@every_measure
def test_missing_needs_are_named(measure: Measure) -> None:
    optional = {name: None for name in random_pair().provides if hasattr(FeedPair, name)}
    bare = replace(random_pair(), attributes={}, from_newcomers=None, **optional)
    assert bare.provides == frozenset()
    if measure.needs:
        with pytest.raises(ValueError, match=rf"measure '{measure.name}' needs \['"):
            measure(bare)
    else:
        assert measure.name in available(bare.provides)
        measure(bare)


def test_available() -> None:
    assert available(random_pair().provides) == tuple(MEASURES)
    assert available(["hits", "n_relevant"])[-2:] == ("ndcg", "recall")
    assert "ndcg" not in available(["hits"])
    assert "language_format" not in available(["language"])


def test_the_ladder_has_one_measure_a_rung() -> None:
    rungs = {measure.rung: name for name, measure in MEASURES.items() if measure.rung is not None}
    assert rungs == {
        "notes": "notes",
        "creators": "creators",
        "topics": "topic",
        "language x format": "language_format",
        "embedding": "embedding",
    }


def test_changed_slots_are_displaced_or_reshuffled() -> None:
    pair = random_pair()
    parts = MEASURES["displaced"](pair) + MEASURES["reshuffled"](pair)
    accounted = ~np.isnan(parts)
    # Two shares of at most 8 slots and their sum: two roundings.
    np.testing.assert_allclose(
        parts[accounted], MEASURES["slots_changed"](pair)[accounted], rtol=0, atol=4e-16
    )


def test_a_mix_measure_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = replace(random_pair(), attributes={"mood": np.arange(N_ITEMS, dtype=np.int32) % 7})
    measure = mix_measure("mood", ("mood",), "hellinger")
    at_once = measure(pair)
    assert np.nanmax(at_once) > 0
    monkeypatch.setattr("recsys.measures.mix_drift._CELLS_AT_ONCE", 50)  # 7 readers at a time
    np.testing.assert_array_equal(measure(pair), at_once)


def test_what_measures_share_is_of_one_pair() -> None:
    """Values do not depend on which measures came before, nor on another pair's."""
    pair = random_pair()
    forwards = {name: measure(pair) for name, measure in MEASURES.items()}
    other = replace(pair, feeds=pair.reference)
    backwards = {name: MEASURES[name](pair.afresh()) for name in reversed(MEASURES)}
    for name in MEASURES:
        np.testing.assert_array_equal(forwards[name], backwards[name])
    assert np.nanmax(MEASURES["notes"](other)) == 0.0


@pytest.mark.parametrize("depth", [1, 2, DEPTH])
def test_one_pass_says_what_each_function_says(depth: int) -> None:
    """FRBO, average overlap, RBO_ext and Kendall come from one match of a pair's notes."""
    whole = random_pair(3)
    names = (
        "reference",
        "feeds",
        "reference_scores",
        "scores",
        "previous",
        "relevance",
        "hits",
        "without",
    )
    cut = {name: np.ascontiguousarray(getattr(whole, name)[:, :depth]) for name in names}
    pair = replace(whole, **cut, examine=whole.examine[:depth])
    a, b, p = pair.reference, pair.feeds, default_persistence(max(depth, 2))
    scores = (pair.reference_scores, pair.scores)
    drift = {
        "notes": 1 - frbo(a, b),
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
    pair = random_pair(4)
    codes, n = joint_codes((pair.attributes["format"], pair.attributes["topic"]))
    mixes = [feed_mix(ids, codes, n) for ids in (pair.reference, pair.feeds)]
    expected = {"tv": tv, "jsd": jsd, "hellinger": hellinger}[name](*mixes)
    got = mix_measure("crossed", ("format", "topic"), name)(pair)
    np.testing.assert_array_equal(got, expected)
    full = replace(
        pair,
        reference=np.tile(np.arange(DEPTH, dtype=np.int32), (N_READERS, 1)),
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
        ("feeds", np.zeros((N_READERS, DEPTH)), "feeds has shape .* float64; .* of integer"),
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
        ("previous", np.ones((N_READERS, 3), dtype=int), r"previous has shape \(300, 3\)"),
        ("history", {"topic": np.ones((2, 5))}, r"history\['topic'\] has shape \(2, 5\)"),
        ("attributes", {"topic": np.zeros(3, dtype=int)}, r"attributes\['topic'\] has shape"),
    ],
)
def test_pairs_are_checked_on_the_way_in(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(random_pair(), **{field: value})
