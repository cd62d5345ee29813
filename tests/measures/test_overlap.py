"""Rank comparisons: published values, a slow independent implementation, and exact properties."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.measures import (
    average_overlap,
    compare,
    default_persistence,
    frbo,
    jaccard,
    kendall_topk,
    overlap,
    rbo_ext,
    slot_accounting,
)

SIMILARITIES = [frbo, jaccard, overlap, average_overlap, rbo_ext]


def letters(word: str) -> list[list[int]]:
    return [[ord(letter) for letter in word]]


def padded(feed: list[int], depth: int) -> list[int]:
    return feed + [-1] * (depth - len(feed))


# --- values ---------------------------------------------------------------------------------------

# Webber, Moffat & Zobel (2010), table 2: <a b c d e f g> against <z c a v w x y>.
WEBBER_A, WEBBER_B = letters("abcdefg"), letters("zcavwxy")


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (1, 0.0),
        (2, 0.0),
        (3, 0.2222222222),
        (4, 0.2916666667),
        (5, 0.3133333333),
        (6, 0.3166666667),
        (7, 0.312244898),
    ],
)
def test_average_overlap_published(depth: int, expected: float) -> None:
    assert average_overlap(WEBBER_A, WEBBER_B, depth)[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("b", "expected"), [("bacde", 0.8), ("abced", 0.95)])
def test_average_overlap_of_one_swap(b: str, expected: float) -> None:
    # The swap at d, d+1 costs 1/d of one of the five terms: 1 - 1/5 on top, 1 - 1/20 at the end.
    assert average_overlap(letters("abcde"), letters(b))[0] == pytest.approx(expected, abs=1e-12)


# (1-p)/(1-p^k) Σ p^(d-1) X_d/d with X = 0 0 2 2 2 2 2 ... of the example above: 0 0 2/3 2/4 ...
@pytest.mark.parametrize(("p", "expected"), [(0.9, 0.2905120337), (0.98, 0.3085077401)])
def test_frbo_of_webbers_example(p: float, expected: float) -> None:
    assert frbo(WEBBER_A, WEBBER_B, p)[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("rank", "expected"), [(1, 0.6385558011), (5, 0.9306158398), (10, 0.9940517785)]
)
def test_frbo_falls_most_for_a_change_on_top(rank: int, expected: float) -> None:
    # 1 - (1-p)/(1-p^k) Σ_{d≥rank} p^(d-1)/d
    changed = np.arange(10)
    changed[rank - 1] = 99
    assert frbo([range(10)], [changed], 0.9)[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("inserted", "expected"), [(1, 0.6385558011), (2, 0.4306455956), (5, 0.1250757963)]
)
def test_frbo_of_insertions_on_top(inserted: int, expected: float) -> None:
    # X_d = max(0, d - inserted)
    pushed_down = np.concatenate([100 + np.arange(inserted), np.arange(10 - inserted)])
    assert frbo([range(10)], [pushed_down], 0.9)[0] == pytest.approx(expected, abs=1e-10)


def test_frbo_of_a_reversed_feed() -> None:
    # X_d = max(0, 2d - 10)
    feed = np.arange(10)[None, :]
    assert frbo(feed, feed[:, ::-1], 0.9)[0] == pytest.approx(0.2501515927, abs=1e-10)


@pytest.mark.parametrize(
    ("a", "b", "p", "expected"),
    [
        (WEBBER_A, WEBBER_B, 0.5, 0.1367559524),  # Webber et al. (2010)
        (WEBBER_A, WEBBER_B, 0.9, 0.2882172857),
        (WEBBER_A, letters("bacdefg"), 0.9, 0.9),  # a swap on top costs (1-p)·1
        (letters("abcdefgh"), letters("abcdefg"), 0.9, 1.0),
        ([[1, 2, 3, 4, 5, 6, 7]], [[1, 3, 2, 4, 5, 7, 6, 8]], 0.9, 0.9451585),  # reference code
    ],
)
def test_rbo_ext_published(
    a: list[list[int]], b: list[list[int]], p: float, expected: float
) -> None:
    assert rbo_ext(a, b, p)[0] == pytest.approx(expected, abs=1e-9)


def test_jaccard_values() -> None:
    one_replaced, five_inserted = [*range(9), 99], [*range(100, 105), *range(5)]
    got = jaccard([range(10)] * 2, [one_replaced, five_inserted])
    assert got.tolist() == [9 / 11, 5 / 15]


@pytest.mark.parametrize(
    ("a", "b", "p", "expected"),
    [  # Fagin, Kumar & Sivakumar (2003): one or zero a pair; k² + p k(k-1) for disjoint lists
        ([1, 2, 3], [1, 2, 4], 0.0, 1),
        ([1, 2, 3], [3, 2, 1], 0.0, 3),
        ([1, 2, 3], [4, 5, 6], 0.0, 9),
        ([1, 2, 3], [4, 5, 6], 0.5, 12),
        ([1, 2, 3], [2, 1, 4], 0.0, 2),
    ],
)
def test_kendall_topk_published(a: list[int], b: list[int], p: float, expected: float) -> None:
    assert kendall_topk([a], [b], p)[0] == expected


def test_slot_accounting_of_a_small_case() -> None:
    flags = np.zeros(10, dtype=bool)
    flags[[9, 8]] = True
    account = slot_accounting([[1, 2, 3, 4, 5]], [[1, 9, 3, 7, 8]], flags)
    got = (account.kept, account.displaced, account.reshuffled, account.slots)
    assert [counts.tolist() for counts in got] == [[2], [2], [1], [5]]


def test_default_persistence_is_the_usual_one_at_the_usual_depths() -> None:
    assert [default_persistence(k) for k in (1, 10, 20, 50)] == [0.0, 0.9, 0.95, 0.98]
    feed = np.arange(20)[None, :]
    assert frbo(feed, feed[:, ::-1]) == frbo(feed, feed[:, ::-1], 0.95)


# --- a slow, independent implementation: sets and definitions -------------------------------------


def cut(a: list[int], b: list[int]) -> tuple[list[int], list[int]]:
    length = min(len(a), len(b))
    return a[:length], b[:length]


def shared(a: list[int], b: list[int], d: int) -> int:
    """Multiset intersection: the set one where ids are distinct."""
    return sum(min(a[:d].count(post), b[:d].count(post)) for post in set(a[:d]))


def slow_frbo(a: list[int], b: list[int], p: float) -> float:
    if not a or not b:
        return float(not a and not b)
    a, b = cut(a, b)
    depths = range(1, len(a) + 1)
    agreement = sum(p ** (d - 1) * shared(a, b, d) / d for d in depths)
    return agreement / sum(p ** (d - 1) for d in depths)


def slow_jaccard(a: list[int], b: list[int]) -> float:
    if not a or not b:
        return float(not a and not b)
    first, second = (set(feed) for feed in cut(a, b))
    return len(first & second) / len(first | second)


def slow_rbo_ext(a: list[int], b: list[int], p: float) -> float:
    """Webber et al. (2010), eq. 32, as printed."""
    if not a or not b:
        return float(not a and not b)
    s, longest = min(len(a), len(b)), max(len(a), len(b))
    x_s, x_l = shared(a, b, s), shared(a, b, longest)
    seen = sum(shared(a, b, d) / d * p**d for d in range(1, longest + 1))
    assumed = sum(x_s * (d - s) / (s * d) * p**d for d in range(s + 1, longest + 1))
    return (1 - p) / p * (seen + assumed) + ((x_l - x_s) / longest + x_s / s) * p**longest


def slow_kendall(a: list[int], b: list[int], p: float) -> float:
    """Fagin et al. (2003), section 3.1, cases 1 to 4, over unordered pairs of the union."""
    if not a or not b:
        k = len(a) + len(b)
        return k * k + p * k * (k - 1)
    a, b = cut(a, b)
    union = sorted({*a, *b})
    total = 0.0
    for index, i in enumerate(union):
        for j in union[index + 1 :]:
            holds = [{post for post in (i, j) if post in feed} for feed in (a, b)]
            if holds[0] == holds[1]:
                total += (a.index(i) < a.index(j)) != (b.index(i) < b.index(j))
            elif len(holds[0]) == len(holds[1]) == 1:
                total += 1
            elif not holds[0] or not holds[1]:
                total += p
            else:
                both, one = (a, holds[1]) if len(holds[0]) == 2 else (b, holds[0])
                (kept,) = one
                (missing,) = {i, j} - one
                total += both.index(missing) < both.index(kept)
    return total


def random_feeds(rows: int, depth: int, items: int, distinct: bool) -> tuple[list[list[int]], ...]:
    rng = np.random.default_rng(20250113)

    def feed() -> list[int]:
        length = depth if rng.random() < 0.5 else int(rng.integers(0, depth + 1))
        return rng.choice(items, size=length, replace=not distinct).tolist()

    return [feed() for _ in range(rows)], [feed() for _ in range(rows)]


@pytest.mark.parametrize("depth", [1, 3, 8, 12])
def test_against_slow_implementations(depth: int) -> None:
    """10,000 pairs in all, of all lengths."""
    a, b = random_feeds(rows=2500, depth=depth, items=depth + 6, distinct=True)
    first, second = ([padded(feed, depth) for feed in feeds] for feeds in (a, b))
    pairs = list(zip(a, b, strict=True))

    def close(got: np.ndarray, expected: list[float]) -> None:
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)

    close(frbo(first, second, 0.8), [slow_frbo(x, y, 0.8) for x, y in pairs])
    close(average_overlap(first, second), [slow_frbo(x, y, 1.0) for x, y in pairs])
    close(jaccard(first, second), [slow_jaccard(x, y) for x, y in pairs])
    close(rbo_ext(first, second, 0.8), [slow_rbo_ext(x, y, 0.8) for x, y in pairs])
    close(kendall_topk(first, second, 0.3), [slow_kendall(x, y, 0.3) for x, y in pairs])

    flags = np.arange(depth + 6) % 3 == 0
    account = slot_accounting(first, second, flags)
    for row, (x, y) in enumerate(cut(*pair) for pair in pairs):
        new = [post for post in y if post not in x]
        assert account.displaced[row] == sum(flags[post] for post in new)
        assert account.reshuffled[row] == sum(not flags[post] for post in new)
        assert account.kept[row] == len(y) - len(new)


def test_repeats_are_a_multiset_intersection() -> None:
    a, b = random_feeds(rows=10_000, depth=9, items=5, distinct=False)
    first, second = ([padded(feed, 9) for feed in feeds] for feeds in (a, b))
    expected = [slow_frbo(x, y, 0.9) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(
        frbo(first, second, 0.9, multiset=True), expected, rtol=1e-12, atol=1e-12
    )
    assert (frbo(first, first, multiset=True) == 1.0).all()


# --- properties -----------------------------------------------------------------------------------

feeds_of = st.lists(st.integers(0, 30), max_size=12, unique=True)
persistences = st.floats(0.05, 0.95)


@given(feeds_of, st.integers(12, 20))
def test_identical_feeds_are_exactly_one(feed: list[int], depth: int) -> None:
    row = [padded(feed, depth)]
    assert all(similarity(row, row)[0] == 1.0 for similarity in SIMILARITIES)
    assert kendall_topk(row, row, 0.5)[0] == 0.0


@given(feeds_of.filter(len), feeds_of)
def test_disjoint_feeds_are_exactly_zero(a: list[int], b: list[int]) -> None:
    first, second = [padded(a, 12)], [padded([post + 31 for post in b], 12)]
    assert all(similarity(first, second)[0] == 0.0 for similarity in SIMILARITIES)


@given(feeds_of, feeds_of, persistences)
def test_symmetry_bounds_and_relabelling(a: list[int], b: list[int], p: float) -> None:
    first, second = np.array([padded(a, 12)]), np.array([padded(b, 12)])
    renumbered = np.append(np.random.default_rng(0).permutation(1000)[:31], -1)
    for similarity in (*SIMILARITIES, lambda x, y: frbo(x, y, p), lambda x, y: rbo_ext(x, y, p)):
        value = similarity(first, second)
        assert 0.0 <= value[0] <= 1.0
        assert value == similarity(second, first)
        assert value == similarity(renumbered[first], renumbered[second])
    assert kendall_topk(first, second, p) == pytest.approx(kendall_topk(second, first, p))


@given(feeds_of, feeds_of)
def test_slots_add_up(a: list[int], b: list[int]) -> None:
    account = slot_accounting([padded(a, 12)], [padded(b, 12)], np.arange(31) > 20)
    assert account.kept + account.displaced + account.reshuffled == account.slots
    assert account.slots[0] == min(len(a), len(b))
    assert min(account.kept, account.displaced, account.reshuffled) >= 0


@given(feeds_of.filter(len), st.integers(1, 12), persistences)
def test_short_feeds_are_cut_to_the_shorter_one(feed: list[int], length: int, p: float) -> None:
    shorter = feed[:length]
    assert frbo([padded(feed, 12)], [padded(shorter, 12)], p)[0] == 1.0


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_compare_is_its_parts_to_the_bit_for_any_split_of_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.permuted(np.tile(np.arange(12), (40_000, 1)), axis=1)[:, :6] for _ in range(2))
    flags = np.arange(12) > 8
    together = compare(a, b, flags)
    np.testing.assert_array_equal(together.frbo, frbo(a, b))
    np.testing.assert_array_equal(together.jaccard, jaccard(a, b))
    np.testing.assert_array_equal(together.slots.displaced, slot_accounting(a, b, flags).displaced)
    halves = [frbo(a[part], b[part]) for part in (slice(None, 777), slice(777, None))]
    np.testing.assert_array_equal(together.frbo, np.concatenate(halves))


def test_empty_feeds() -> None:
    empty, filled = [[-1, -1]], [[3, 4]]
    for similarity in SIMILARITIES:
        assert similarity(empty, empty)[0] == 1.0
        assert similarity(empty, filled)[0] == similarity(filled, empty)[0] == 0.0
    assert kendall_topk(empty, filled, 0.5)[0] == kendall_topk([[1, 2]], filled, 0.5)[0]
    assert frbo(np.zeros((0, 5), dtype=int), np.zeros((0, 5), dtype=int)).shape == (0,)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_any_integer_dtype_and_memory_order(dtype: type) -> None:
    a = np.asfortranarray(np.array([[1, 2, 3], [4, 5, -1]], dtype=dtype))
    a.flags.writeable = False
    assert frbo(a, a).tolist() == [1.0, 1.0]


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 2], [1, 2], r"a has shape \(2,\); expected \(n, k\)"),
        ([[1]], [[]], r"b has shape \(1, 0\)"),
        ([[1], [2]], [[1]], "a has 2 rows and b has 1"),
        ([[1.0]], [[1.0]], "a has dtype float64; expected integer item ids"),
        ([[1, 2]], [[1, -2]], r"row 0 of b|b holds ids from -2"),
        ([[1, 2]], [[-1, 2]], r"row 0 of b is \[-1, 2\]; expected empty slots \(-1\) only at the"),
        ([[1, 2], [3, 3]], [[1, 2], [3, 4]], r"row 1 of a is \[3, 3\]; expected each id once"),
        ([[1, 2]], [[3, 3]], r"row 0 of b is \[3, 3\]; expected each id once"),
        ([[2**31]], [[1]], "a holds ids from 2147483648"),
    ],
)
@pytest.mark.parametrize("function", [*SIMILARITIES, kendall_topk])
def test_unreadable_feeds(function: object, a: object, b: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(a, b)  # type: ignore[operator]


def test_negative_ids_in_int32_are_named_by_row() -> None:
    ids = np.array([[1], [-7]], dtype=np.int32)
    with pytest.raises(ValueError, match=r"row 1 of a is \[-7\]; expected ids from 0"):
        frbo(ids, ids)


def test_the_first_unreadable_row_is_named_whatever_the_threads() -> None:
    ids = np.tile(np.arange(4), (100_000, 1))
    ids[70_000] = 5
    ids[95_000] = 6
    with pytest.raises(ValueError, match="row 70000 of a"):
        jaccard(ids, ids)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_p_out_of_range(p: float) -> None:
    for function in (frbo, rbo_ext, kendall_topk):
        with pytest.raises(ValueError, match=r"p is .*; expected a"):
            function([[1]], [[1]], p)


def test_other_arguments_out_of_range() -> None:
    with pytest.raises(ValueError, match="depth is 3; expected 1 to 2"):
        average_overlap([[1, 2]], [[1, 2]], 3)
    with pytest.raises(ValueError, match="depth is 0"):
        default_persistence(0)
    with pytest.raises(ValueError, match="expected ids below the length of from_newcomers"):
        slot_accounting([[1, 2]], [[1, 5]], [True, False, False])
    with pytest.raises(ValueError, match=r"expected bool \(n_items,\)"):
        slot_accounting([[1, 2]], [[1, 2]], [0, 1, 1])


def test_import_does_not_load_numba_or_scipy() -> None:
    code = "import sys, recsys.measures.registry; print({'numba', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
