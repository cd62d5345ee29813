"""Rows of measures: the same whether users are measured at once or block by block."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys.core.errors import ConfigError
from recsys.measures import FeedPair
from recsys.measures.rows import attributes_of, headline_of, measures_of, rows_of

N, DEPTH, N_ITEMS = 50, 6, 40
VALUES = {"language": 2, "format": 3, "topic": 5, "product_tag": 2}
KEYS = {
    "recommender": "x",
    "mitigation": "none",
    "arm": "influx",
    "seed": 0,
    "draw": 0,
    "day": 1,
    "cohort": "incumbent",
}


def random_pair(seed):
    rng = np.random.default_rng(seed)

    def feeds():
        ids = rng.permuted(np.tile(np.arange(N_ITEMS), (N, 1)), axis=1)[:, :DEPTH]
        lengths = np.where(rng.random(N) < 0.6, DEPTH, rng.integers(0, DEPTH + 1, N))
        return np.where(np.arange(DEPTH) < lengths[:, None], ids, -1).astype(np.int32)

    hits = rng.random((N, DEPTH)) < 0.2
    return FeedPair(
        reference=feeds(),
        feeds=feeds(),
        attributes={
            name: rng.integers(0, v, N_ITEMS, dtype=np.int32) for name, v in VALUES.items()
        },
        from_newcomers=rng.random(N_ITEMS) < 0.3,
        examine=0.9 ** np.arange(DEPTH),
        creators=rng.integers(0, 9, N_ITEMS, dtype=np.int32),
        popularity=rng.random(N_ITEMS),
        vectors=rng.normal(size=(N_ITEMS, 3)).astype(np.float32),
        reference_scores=-np.sort(rng.integers(0, 9, (N, DEPTH))).astype(np.float64),
        scores=-np.sort(rng.random((N, DEPTH))),
        previous=feeds(),
        history={"topic": rng.dirichlet(np.ones(5), N)},
        relevance=rng.random((N, DEPTH), dtype=np.float32),
        hits=hits,
        n_relevant=(hits.sum(axis=1) + 1).astype(np.int32),
        without=feeds(),
    )


@pytest.mark.parametrize("at_once", [1, 7, 49])
def test_blocks_of_users_change_no_bit(at_once, monkeypatch):
    pairs = [random_pair(seed) for seed in (1, 2)]
    labels = {
        name: (codes, [str(v) for v in range(VALUES[name])])
        for name, codes in pairs[0].attributes.items()
    }
    pairs[1] = replace(pairs[1], attributes=pairs[0].attributes)
    measures = measures_of(sorted(pairs[0].provides - {*labels}), labels)
    assert {"joint_mix", "product_tag", "product_tag:1", "ndcg", "rbo_ext_ties"} <= set(measures)

    def frames():
        users = pl.Series(np.arange(N))
        days = [rows_of(pair, measures, users, KEYS) for pair in pairs]
        return pl.concat([headline_of(days, pairs, measures), *days])

    together = frames()
    monkeypatch.setattr("recsys.measures.rows._USERS_AT_ONCE", at_once)
    assert_frame_equal(frames(), together, check_exact=True)


def test_a_mean_over_days_does_not_depend_on_the_order_of_rows():
    """A panel in one order takes a short way; the sums are the same."""
    measures = measures_of(["from_newcomers", "previous", "popularity"], {})
    users = pl.Series(np.arange(N))
    days = [rows_of(random_pair(seed), measures, users, KEYS) for seed in (1, 2, 3)]
    assert days[0]["newcomer_slots"].null_count() > 0
    short = headline_of(days, [], measures)
    days[1] = days[1][::-1]
    assert_frame_equal(headline_of(days, [], measures), short, check_exact=True)
    mean = np.nanmean(
        np.stack([day["posts"].to_numpy() for day in (days[0], days[1][::-1], days[2])]), 0
    )
    np.testing.assert_allclose(short["posts"].to_numpy(), mean, rtol=1e-14)


def test_parts_share_what_is_of_the_items():
    pair, made = random_pair(3), []

    def make():
        made.append(1)
        return len(made)

    parts = list(pair.parts(20))
    assert [part.once_for_items(("x",), make) for part in (*parts, pair)] == [1, 1, 1, 1]
    assert [part.feeds.shape[0] for part in parts] == [20, 20, 10]
    assert pair.afresh().once_for_items(("x",), make) == 2  # forgotten
    np.testing.assert_array_equal(parts[2].history["topic"], pair.history["topic"][40:])


def test_an_error_in_a_block_is_raised(monkeypatch):
    monkeypatch.setattr("recsys.measures.rows._USERS_AT_ONCE", 10)
    pair = random_pair(4)
    pair.feeds[33] = 7  # the same post six times
    with pytest.raises(ValueError, match="expected each id once in a feed"):
        rows_of(pair, measures_of([], {}), pl.Series(np.arange(N)), KEYS)


@pytest.mark.parametrize(
    "name", ["posts", "user_id", "day", "cohort", "scores", "a:b", " posts", ""]
)
def test_attributes_have_names_of_their_own(name):
    items = pl.DataFrame({"item_id": [7, 8], "format": ["short", "long"]})
    with pytest.raises(ConfigError, match=r"log\.attributes: .* is a name of recsys' own"):
        attributes_of(items, {name: "format"})
    assert set(attributes_of(items, {"topic": "format", "mood": "format"})) == {"topic", "mood"}
