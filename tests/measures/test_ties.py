"""RBO_ext with ties, variant a: a published value, a slow implementation, orders of the ties."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, pairwise, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.measures import MEASURES, FeedPair, rbo_ext, rbo_ext_ties

Groups = list[list[int]]


def flat(groups: Groups, depth: int) -> tuple[list[int], list[float]]:
    """Ids and scores, padded; a group has one score."""
    ids = [item for group in groups for item in group]
    scores = [-float(place) for place, group in enumerate(groups) for _ in group]
    missing = depth - len(ids)
    return ids + [-1] * missing, scores + [float("nan")] * missing


def ours(a: Groups, b: Groups, p: float, depth: int = 12) -> float:
    (first, scores_a), (second, scores_b) = flat(a, depth), flat(b, depth)
    return float(rbo_ext_ties([first], [second], [scores_a], [scores_b], p)[0])


def there(groups: Groups) -> dict[int, tuple[int, int]]:
    """First and last rank of each item's group."""
    ranks, start = {}, 1
    for group in groups:
        ranks |= dict.fromkeys(group, (start, start + len(group) - 1))
        start += len(group)
    return ranks


def share(ranks: dict[int, tuple[int, int]], item: int, d: int) -> float:
    """Share of the orders in which an item stands within the first d ranks."""
    if item not in ranks or d < ranks[item][0]:
        return 0.0
    top, bottom = ranks[item]
    return min(1.0, (d - top + 1) / (bottom - top + 1))


def slow_rbo_ext_a(a: Groups, b: Groups, p: float) -> float:
    """Corsi & Urbano (2024), section 5, as sums over items."""
    short, long = sorted((there(a), there(b)), key=len)
    s, longest = len(short), len(long)
    if s == 0:
        return float(longest == 0)
    items, alone = {*short, *long}, {*long} - {*short}
    x = {d: sum(share(short, i, d) * share(long, i, d) for i in items) for d in range(longest + 1)}
    total = sum(x[d] / d * p**d for d in range(1, s + 1))
    for d in range(s + 1, longest + 1):
        shares = [found for i in alone if (found := share(long, i, d)) > 0]
        unseen = (d - s) * x[s] / s * sum(shares) / len(shares)
        total += (x[d] + unseen) / d * p**d
    rest = (x[longest] + (longest - s) * x[s] / s) / longest * p ** (longest + 1) / (1 - p)
    return (1 - p) / p * (total + rest)


def random_groups(rng: np.random.Generator, depth: int, items: int) -> Groups:
    length = depth if rng.random() < 0.5 else int(rng.integers(0, depth + 1))
    ids = rng.permutation(items)[:length].tolist()
    edges = [0, *(place for place in range(1, length) if rng.random() < 0.5), length]
    return [ids[i:j] for i, j in pairwise(edges) if j > i]


def test_published_value() -> None:
    """<red, {blue, green}, yellow, pink> against <blue, red, {green, pink}, teal>."""
    red, blue, green, yellow, pink, teal = range(6)
    a, b = [[red], [blue, green], [yellow], [pink]], [[blue], [red], [green, pink], [teal]]
    assert ours(a, b, 0.9) == pytest.approx(0.714555, abs=1e-12)


def test_ten_thousand_random_cases_against_the_slow_one() -> None:
    rng = np.random.default_rng(20250113)
    pairs = [(random_groups(rng, 12, 16), random_groups(rng, 12, 16)) for _ in range(10_000)]
    flats = [[flat(groups, 12) for groups in side] for side in zip(*pairs, strict=True)]
    ids = [np.array([feed for feed, _ in side]) for side in flats]
    scores = [np.array([score for _, score in side]) for side in flats]
    got = rbo_ext_ties(*ids, *scores, p=0.8)
    expected = [slow_rbo_ext_a(a, b, 0.8) for a, b in pairs]
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_it_is_the_mean_over_all_orders_of_the_ties() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        ids = [rng.permutation(8)[:6].tolist() for _ in range(2)]
        a, b = ([feed[:1], feed[1:4], feed[4:]] for feed in ids)
        orders = [
            [list(chain(*order)) for order in product(*(permutations(group) for group in side))]
            for side in (a, b)
        ]
        mean = np.mean([rbo_ext([x], [y], 0.9)[0] for x, y in product(*orders)])
        assert ours(a, b, 0.9) == pytest.approx(mean, abs=1e-12)


feeds = st.lists(st.integers(0, 30), max_size=12, unique=True)
steps = st.lists(st.booleans(), min_size=12, max_size=12)


def tied(feed: list[int], new_score: list[bool]) -> Groups:
    groups: Groups = []
    for item, new in zip(feed, new_score, strict=False):
        if new or not groups:
            groups.append([])
        groups[-1].append(item)
    return groups


@given(feeds, feeds, st.floats(0.05, 0.95))
def test_without_ties_it_is_rbo_ext(a: list[int], b: list[int], p: float) -> None:
    one, other = ([[item] for item in feed] for feed in (a, b))
    first, second = flat(one, 12)[0], flat(other, 12)[0]
    assert ours(one, other, p) == pytest.approx(rbo_ext([first], [second], p)[0], abs=1e-12)
    assert ours(one, one, p) == 1.0
    nothing = np.full((1, 12), np.nan)
    assert rbo_ext_ties([first], [second], nothing, nothing, p) == rbo_ext([first], [second], p)


@given(feeds, feeds, steps, steps, st.floats(0.05, 0.95), st.randoms())
def test_symmetry_bounds_relabelling_and_shuffles(a, b, new_a, new_b, p, random) -> None:
    one, other = tied(a, new_a), tied(b, new_b)
    value = ours(one, other, p)
    assert 0.0 <= value <= 1.0 + 1e-12
    assert value == pytest.approx(ours(other, one, p), abs=1e-12)
    renamed = [[[997 - item for item in group] for group in side] for side in (one, other)]
    assert ours(*renamed, p) == pytest.approx(value, abs=1e-12)
    shuffled = [random.sample(group, len(group)) for group in one]
    assert ours(shuffled, other, p) == pytest.approx(value, abs=1e-12)


def test_two_random_orders_of_one_feed_differ() -> None:
    assert ours([[1, 2]], [[1, 2]], 0.5) == 0.75  # X_1 = 2 · ½ · ½, X_2 = 2
    assert ours([[1], [2]], [[1], [2]], 0.5) == 1.0


def test_refused() -> None:
    with pytest.raises(ValueError, match=r"scores_b has shape \(1, 1\); expected \(1, 2\)"):
        rbo_ext_ties([[1, 2]], [[1, 2]], [[1.0, 2.0]], [[1.0]])
    with pytest.raises(ValueError, match="p is 1"):
        rbo_ext_ties([[1]], [[1]], [[1.0]], [[1.0]], 1)
    with pytest.raises(ValueError, match="row 0 of a is"):
        rbo_ext_ties([[1, 1]], [[1, 2]], [[1.0, 2.0]], [[1.0, 2.0]])


def test_the_measure_is_0_where_only_ties_are_ordered_otherwise():
    """A recommender that counts orders its ties by lot: that is no drift."""
    rng = np.random.default_rng(5)
    n, k = 200, 10
    ids = rng.permuted(np.tile(np.arange(30), (n, 1)), axis=1)[:, :k].astype(np.int32)
    scores = np.sort(rng.integers(0, 4, (n, k)), axis=1)[:, ::-1].astype(float)
    order = np.argsort(-scores + rng.random((n, k)) * 0.5, axis=1)  # within equal scores
    shuffled = np.take_along_axis(ids, order, axis=1)
    measure = MEASURES["rbo_ext_ties"]
    pair = FeedPair(
        ids,
        shuffled,
        {},
        None,
        np.ones(k),
        reference_scores=scores,
        scores=scores,
    )
    assert (shuffled != ids).any()
    np.testing.assert_allclose(measure(pair), 0, atol=1e-12)
    apart = replace(pair, scores=np.tile(np.arange(k, 0, -1.0), (n, 1)))
    np.testing.assert_allclose(measure(apart), 0, atol=1e-12)
    other = replace(pair, feeds=(ids + 30).astype(np.int32))
    np.testing.assert_allclose(measure(other), 1)
