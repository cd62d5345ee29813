"""Rankings without some posts: exact, slot by slot."""

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import LogError
from recsys.estimates import direct_effect, promoted

PERSONAL, FRESH = 0, 3


def left_out(*posts, n=20):
    out = np.zeros(n, dtype=np.bool_)
    out[list(posts)] = True
    return out


def slow(ranking, out, k, sources):
    """One ranking, in plain words: each slot takes the next post of its source, gaps any post."""
    kept = [(p, s) for p, s in zip(ranking, sources, strict=True) if p >= 0 and not out[p]]
    feed = [-1] * k
    for slot in range(k):
        if ranking[slot] < 0:
            continue
        for pair in kept:
            if pair[1] == sources[slot]:
                feed[slot] = pair[0]
                kept.remove(pair)
                break
    for slot in range(k):
        if feed[slot] < 0 and ranking[slot] >= 0 and kept:
            feed[slot] = kept.pop(0)[0]
    return sorted(feed, key=lambda post: post < 0)


def test_nothing_left_out_changes_nothing():
    ranking = np.array([[5, 3, 9, -1], [1, 2, 3, 4]], dtype=np.int32)
    sources = np.array([[0, 3, 0, 0], [3, 0, 0, 3]], dtype=np.uint8)
    for given in (None, sources):
        np.testing.assert_array_equal(promoted(ranking, left_out(), 3, given), ranking[:, :3])


def test_posts_move_up_in_order():
    ranking = np.array([[7, 1, 8, 2, 3]], dtype=np.int32)
    assert promoted(ranking, left_out(7, 8), 3).tolist() == [[1, 2, 3]]
    assert promoted(ranking, left_out(7, 8, 3), 4).tolist() == [[1, 2, -1, -1]]


def test_a_slot_keeps_its_source():
    """The fresh slot's post is taken out: the next fresh post stands there, the rest stays."""
    ranking = np.array([[1, 7, 2, 3, 8, 4]], dtype=np.int32)
    sources = np.array([[0, 3, 0, 0, 3, 0]], dtype=np.uint8)
    assert promoted(ranking, left_out(7), 4, sources).tolist() == [[1, 8, 2, 3]]
    assert promoted(ranking, left_out(7), 4).tolist() == [[1, 2, 3, 8]]
    assert promoted(ranking, left_out(7, 8), 4, sources).tolist() == [[1, 4, 2, 3]]


def test_a_ranking_that_was_not_kept_deep_enough_ends_early():
    ranking = np.array([[1, 7, 2]], dtype=np.int32)
    sources = np.array([[0, 3, 0]], dtype=np.uint8)
    assert promoted(ranking, left_out(7), 3, sources).tolist() == [[1, 2, -1]]


def test_it_is_what_plain_words_say():
    rng = np.random.default_rng(1)
    for _ in range(200):
        depth = int(rng.integers(4, 12))
        length = int(rng.integers(2, depth + 1))
        ranking = np.full(depth, -1, dtype=np.int32)
        ranking[:length] = rng.permutation(20)[:length]
        sources = rng.integers(0, 3, depth).astype(np.uint8)
        out = rng.random(20) < 0.4
        k = int(rng.integers(1, depth + 1))
        found = promoted(ranking[None], out, k, sources[None])[0].tolist()
        assert found == slow(ranking.tolist(), out, k, sources.tolist())


def frame(ranking, user="ann", day=7):
    rows = range(1, len(ranking) + 1)
    n = len(ranking)
    return pl.DataFrame({"user_id": [user] * n, "day": [day] * n, "rank": rows, "item_id": ranking})


def test_direct_effects_by_user_and_day():
    kept = pl.concat(
        [
            frame(["n1", "e1", "z1", "z2"]),
            frame(["z1", "z2", "e1", "z3"], day=8),
            frame(["n1", "n2", "e1"], user="bob"),
        ]
    )
    found = direct_effect(
        kept, pl.Series(["n1", "n2"]), k=2, shares={"english": pl.Series(["n1", "n2", "e1"])}
    )
    assert found.select("user_id", "day").rows() == [("ann", 7), ("ann", 8), ("bob", 7)]
    assert found["displaced"].to_list() == [0.5, 0.0, 1.0]
    assert found["unknown"].to_list() == [0.0, 0.0, 0.5]  # bob's ranking was not kept deep enough
    assert found["english"].to_list() == [1.0, 0.0, 1.0]
    assert found["english_change"].to_list() == [0.5, 0.0, 0.0]


def test_sources_of_a_frame_are_kept():
    kept = frame([1, 7, 2, 3, 8, 4]).with_columns(source=pl.Series(list("pfppfp")))
    shares = {"eight": pl.Series([8])}
    assert direct_effect(kept, pl.Series([7]), 4, shares)["eight_without"].to_list() == [0.25]
    moved_up = kept.drop("source")
    assert direct_effect(moved_up, pl.Series([7]), 3, shares)["eight_without"].to_list() == [0.0]


def test_two_rankings_of_a_day_are_refused():
    with pytest.raises(LogError, match="two posts at one rank"):
        direct_effect(pl.concat([frame([1, 2]), frame([3, 4])]), pl.Series([1]), 1)


@pytest.mark.parametrize("sources", [False, True])
def test_a_ranking_may_be_shallower_than_what_was_served(sources):
    kept = frame(["n1", "e1"])
    if sources:
        kept = kept.with_columns(source=pl.Series(["fresh", "personal"]))
    found = direct_effect(kept, pl.Series(["n1"]), k=5)
    assert found.row(0) == ("ann", 7, 2, 0.5, 0.5)
    ranking, given = np.array([[7, 1]], dtype=np.int32), np.array([[0, 3]], dtype=np.uint8)
    without = promoted(ranking, left_out(7), 4, given if sources else None)
    assert without.tolist() == [[1, -1, -1, -1]]


@pytest.mark.parametrize("first", [0, -1])
def test_ranks_below_one_are_refused(first):
    kept = frame(["n1", "e1", "z1"]).with_columns(rank=pl.Series(range(first, first + 3)))
    with pytest.raises(LogError, match=f"{1 - first} of 3 rows have a rank below 1.*add 1"):
        direct_effect(kept, pl.Series(["n1"]), k=2)


def test_ranks_that_are_no_numbers_or_missing_are_refused():
    kept = frame(["n1", "e1"])
    with pytest.raises(LogError, match="whole numbers, 1 on top; got Float64"):
        direct_effect(kept.with_columns(pl.col("rank").cast(pl.Float64)), pl.Series(["n1"]), k=2)
    with pytest.raises(LogError, match="1 of 2 rows have no item_id"):
        direct_effect(frame(["n1", None]), pl.Series(["n1"]), k=2)


def test_no_more_sources_than_can_be_told_apart():
    many = frame(range(300)).with_columns(source=pl.Series([f"s{i}" for i in range(300)]))
    with pytest.raises(LogError, match="300 sources are more than 256"):
        direct_effect(many, pl.Series([1]), k=2)
    enough = many.head(256)
    english = {"next": pl.Series([2])}
    assert direct_effect(enough, pl.Series([1]), 2, english)["next_without"].item() == 0.5


def test_wrong_arguments_are_refused():
    ranking = np.array([[1, 2]], dtype=np.int32)
    with pytest.raises(ValueError, match="at least 1; got 0"):
        promoted(ranking, left_out(), 0)
    with pytest.raises(ValueError, match="one for each"):
        promoted(ranking, left_out(), 1, np.zeros((1, 3), dtype=np.uint8))
