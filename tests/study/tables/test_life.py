"""Means of the table `life`: sums and weighted means over days, plain means over seeds."""

import polars as pl
import pytest

from recsys.study.tables.life import over_days, over_seeds
from recsys.world.life import LIFE

KEYS = {"recommender": pl.String, "arm": pl.String, "seed": pl.Int64}


def a_life(*rows):
    """Incumbents of one arm: seed, day and some columns."""
    keys = {"recommender": "house", "arm": "influx", "cohort": "incumbent"}
    zero = dict.fromkeys(name for name in LIFE if name not in ("day", "cohort"))
    return pl.DataFrame([{**zero, **keys, **row} for row in rows], schema={**KEYS, **LIFE})


@pytest.fixture
def life():
    return a_life(
        {"seed": 0, "day": -1, "clicks": 50, "impressions": 100, "click_rate": 0.5, "left": 2},
        {
            "seed": 0,
            "day": 0,
            "clicks": 10,
            "impressions": 100,
            "click_rate": 0.1,
            "left": 3,
            "active": 4,
            "satisfaction": 0.2,
        },
        {
            "seed": 0,
            "day": 1,
            "clicks": 90,
            "impressions": 300,
            "click_rate": 0.3,
            "left": 7,
            "active": 8,
        },
        {"seed": 1, "day": 0, "clicks": 0, "impressions": 0, "left": 0, "active": 0},
    )


def test_over_days(life):
    whole = over_days(life)
    assert whole.columns[:4] == ["recommender", "arm", "seed", "cohort"]
    assert "day" not in whole.columns
    first, second = whole.rows(named=True)
    assert (first["clicks"], first["impressions"], first["active"]) == (100, 400, 6)
    assert first["click_rate"] == pytest.approx(100 / 400, abs=1e-15)
    assert first["left"] == 5  # those of the days before do not count
    assert first["satisfaction"] == 0.2
    assert first["comments_across"] is None
    assert second["click_rate"] is None
    assert second["left"] == 0


def test_over_seeds(life):
    mean = over_seeds(life)
    assert mean["day"].to_list() == [-1, 0, 1]
    assert mean["clicks"].to_list() == [50, 5, 90]
    assert mean["click_rate"].to_list() == [0.5, 0.1, 0.3]
    assert "seed" not in mean.columns
    whole = over_seeds(over_days(life))
    assert whole.height == 1
    assert whole["clicks"].item() == 50
    assert whole["left"].item() == 2.5


def test_groups_keep_their_order():
    life = a_life({"seed": 0, "day": 3, "clicks": 1}, {"seed": 0, "day": 1, "clicks": 2})
    other = life.with_columns(arm=pl.lit("control"))
    both = over_seeds(pl.concat([life, other]))
    assert both.select("arm", "day", "clicks").rows() == [
        ("influx", 3, 1),
        ("influx", 1, 2),
        ("control", 3, 1),
        ("control", 1, 2),
    ]


def test_nothing_gives_nothing():
    for found in (over_seeds(a_life()), over_days(a_life()), over_seeds(over_days(a_life()))):
        assert found.is_empty()
        assert {"arm", "cohort", "click_rate"} <= set(found.columns)
