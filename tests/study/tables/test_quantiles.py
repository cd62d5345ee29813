"""Quantiles over users: numpy's, within each seed, averaged over seeds."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys.logs.schema import COHORTS
from recsys.study.tables.quantiles import QUANTILES, quantiles


def rows_of(values, seed=0, draw=0, day=1, arm="influx", cohort="incumbent"):
    keys = {
        "recommender": "als",
        "mitigation": "none",
        "arm": arm,
        "seed": seed,
        "draw": draw,
        "day": day,
        "cohort": cohort,
    }
    types = {"draw": pl.Int32, "day": pl.Int32, "cohort": COHORTS}
    return pl.DataFrame({"user_id": np.arange(len(values))}).select(
        *(
            pl.lit(v).cast(types.get(name, pl.Int64 if name == "seed" else pl.String)).alias(name)
            for name, v in keys.items()
        ),
        "user_id",
        posts=pl.Series(np.asarray(values, dtype=np.float64), nan_to_null=True),
    )


def one_row(*frames):
    return quantiles(pl.concat(frames)).row(0, named=True)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 1000])
def test_one_seed_is_numpys(n):
    values = np.random.default_rng(n).random(n)
    row = one_row(rows_of(values))
    for name, share in QUANTILES.items():
        assert row[name] == pytest.approx(np.quantile(values, share), abs=1e-15)
    assert row["mean"] == pytest.approx(values.mean(), abs=1e-15)
    top = np.sort(values)[-max(1, -(-n // 10)) :]
    assert row["top_tenth"] == pytest.approx(top.mean(), abs=1e-15)
    assert (row["n_users"], row["n_seeds"]) == (n, 1)


def test_seeds_are_averaged_and_not_pooled():
    low, high = np.zeros(100), np.ones(300)
    row = one_row(rows_of(low, seed=0), rows_of(high, seed=1))
    assert [row[name] for name in ("mean", *QUANTILES, "top_tenth")] == [0.5] * 6
    assert (row["n_users"], row["n_seeds"]) == (100, 2)


def test_placebo_groups_are_averaged_too():
    """The quantile of users' means over many groups would hide how far single feeds go."""
    row = one_row(*(rows_of(np.roll([0, 0, 1], draw), draw=draw) for draw in range(3)))
    assert row["p99"] == pytest.approx(0.98, abs=1e-15)
    assert row["n_seeds"] == 1


def test_users_without_a_value_are_left_out():
    nobody = rows_of([np.nan, np.nan], seed=2)
    row = one_row(rows_of([np.nan, 3.0, 1.0]), rows_of([2.0, np.nan], seed=1), nobody)
    assert row["p50"] == 2.0
    assert (row["n_users"], row["n_seeds"]) == (1, 2)
    assert quantiles(nobody).is_empty()


def test_headline_comes_first_and_has_no_day():
    frame = pl.concat([rows_of([1.0], day=6), rows_of([2.0], day=None), rows_of([3.0], day=1)])
    assert quantiles(frame).select("day", "mean").rows() == [(None, 2.0), (1, 3.0), (6, 1.0)]


def test_order_of_rows_changes_no_bit():
    random = np.random.default_rng(0)
    frame = pl.concat([rows_of(random.random(500), seed=seed) for seed in range(3)])
    shuffled = frame[random.permutation(frame.height)]
    assert_frame_equal(quantiles(shuffled), quantiles(frame), check_exact=True)
