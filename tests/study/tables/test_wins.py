"""Wins and groups: by hand, and recomputed from the rows that they rest on."""

import numpy as np
import polars as pl
import pytest

from recsys import load_study, run
from recsys.core.errors import ConfigError
from recsys.logs.schema import COHORTS
from recsys.study import plan
from recsys.study.sources import users_of_world
from recsys.study.tables.wins import wins_of
from tests.kit.small_study import CONFIG


def rows(arm, seed, utility, day=None, draw=0):
    n = len(utility)
    return pl.DataFrame(
        {
            "recommender": ["x"] * n,
            "mitigation": ["none"] * n,
            "arm": [arm] * n,
            "seed": [seed] * n,
            "draw": pl.Series([draw] * n, dtype=pl.Int32),
            "day": pl.Series([day] * n, dtype=pl.Int32),
            "cohort": pl.Series(["incumbent"] * n, dtype=COHORTS),
            "user_id": list(range(n)),
            "utility": utility,
        }
    )


def test_wins_by_hand():
    frame = pl.concat(
        [
            rows("control", 0, [0.1, 0.2, 0.3, None]),
            rows("control", 1, [0.1, 0.2, 0.3, 0.4]),
            rows("influx", 0, [0.2, 0.1, 0.3, 0.4]),
            rows("influx", 1, [0.2, 0.2, 0.3 + 1e-9, 0.4]),
        ]
    )
    (row,) = wins_of(frame).iter_rows(named=True)
    # three users have both seeds: wins 2 of 6, losses 1, ties 3
    assert (row["wins"], row["losses"], row["ties"]) == (2 / 6, 1 / 6, 3 / 6)
    assert row["balance"] == pytest.approx(1 / 6, abs=1e-15)
    assert (row["n_users"], row["n_seeds"], row["against"]) == (3, 2, "control")
    assert row["balance_ci_low"] < 1 / 6 < row["balance_ci_high"]


def test_a_win_in_a_log_is_of_the_feeds_with_newcomers():
    frame = pl.concat(
        [
            rows("full", 0, [0.5, 0.1]),
            rows("influx", 0, [0.4, 0.2]),
            rows("placebo", 0, [0.4, 0.1], draw=1),
            rows("placebo", 0, [0.4, 0.1], draw=2),
        ]
    )
    found = {row["against"]: row for row in wins_of(frame).iter_rows(named=True)}
    assert set(found) == {"without newcomers", "without placebos"}
    assert found["without newcomers"]["wins"] == found["without newcomers"]["losses"] == 0.5
    assert (found["without placebos"]["wins"], found["without placebos"]["ties"]) == (0.5, 0.5)
    assert found["without placebos"]["balance_ci_low"] is None  # one history, no interval


def test_placebo_groups_are_compared_one_by_one():
    """Quality is mostly 0. Its mean over groups is above 0, so no feed would tie with it."""
    frame = pl.concat(
        [
            rows("full", 0, [0.0, 1.0, 1.0]),
            rows("influx", 0, [0.0, 1.0, 1.0]),
            rows("placebo", 0, [0.0, 1.0, None], draw=1),
            rows("placebo", 0, [1.0, 0.0, 1.0], draw=2),
            rows("placebo", 0, [0.0, 1.0, 0.5], draw=3),
        ]
    )
    row = wins_of(frame).filter(against="without placebos").row(0, named=True)
    # of the two users with a value in every group: (0, -1, 0) and (0, 1, 0)
    assert (row["wins"], row["losses"], row["ties"]) == (1 / 6, 1 / 6, pytest.approx(4 / 6))
    assert (row["balance"], row["n_users"], row["n_seeds"]) == (0.0, 2, 1)
    assert row["balance_ci_low"] is row["balance_ci_high"] is None


def test_nobody_wins_against_placebos_who_are_no_different():
    """Mostly zeros, 40 groups like the whole: wins less losses is 0, give or take its error.

    Against the mean of the groups it is -.097 in this law.
    """
    rng = np.random.default_rng(5)
    utility = (rng.normal(-1.5, 1, (1000, 1)) + rng.normal(0, 0.3, (1000, 42)) > 0).astype(float)
    frame = pl.concat(
        [
            rows("full", 0, utility[:, 0].tolist()),
            rows("influx", 0, utility[:, 1].tolist()),
            *(
                rows("placebo", 0, utility[:, draw + 1].tolist(), draw=draw)
                for draw in range(1, 41)
            ),
        ]
    )
    found = {row["against"]: row for row in wins_of(frame).iter_rows(named=True)}
    assert abs(found["without placebos"]["balance"]) < 0.02
    for share in ("wins", "losses", "ties"):
        alike = found["without newcomers"][share]
        assert found["without placebos"][share] == pytest.approx(alike, abs=0.025)


@pytest.mark.parametrize("gain", [0.1, 0.0])
def test_signs_that_are_all_equal_have_no_interval(gain):
    frame = pl.concat(
        [
            rows(arm, seed, [0.3 + gain * (arm == "influx")] * 12)
            for arm in ("control", "influx")
            for seed in range(3)
        ]
    )
    (row,) = wins_of(frame).iter_rows(named=True)
    assert row["balance"] == (gain > 0)
    assert row["n_seeds"] == 3
    assert row["balance_ci_low"] is row["balance_ci_high"] is None


def test_a_balance_ends_at_all_and_none():
    """Seeds that contradict each other say little, but no more than that all may win or lose."""
    utility = {0: [0.4] * 11 + [0.2], 1: [0.2] * 12}
    frame = pl.concat(
        [
            *(rows("control", seed, [0.3] * 12) for seed in (0, 1)),
            *(rows("influx", seed, utility[seed]) for seed in (0, 1)),
        ]
    )
    (row,) = wins_of(frame).iter_rows(named=True)
    assert (row["balance_ci_low"], row["balance_ci_high"]) == (-1.0, 1.0)


def test_wins_of_a_study_are_those_of_its_users(result):
    assert set(result.wins["against"]) == {"control", "placebo", "retrain"}
    shares = result.wins.select(pl.sum_horizontal("wins", "losses", "ties")).to_series()
    np.testing.assert_allclose(shares, 1.0, atol=1e-12)
    whole = result.per_user.filter(
        pl.col("day").is_null(), pl.col("cohort") == "incumbent", recommender="als"
    )
    wide = whole.filter(pl.col("draw") == 0).pivot(
        "arm", index=["user_id", "seed"], values="utility"
    )
    wins = (wide["influx"] - wide["control"] > 1e-6).mean()
    row = result.wins.filter(pl.col("day").is_null(), recommender="als", against="control")
    assert row["wins"][0] == pytest.approx(wins, abs=1e-12)


def test_groups_are_traced_to_their_users(result):
    users = users_of_world(result.study)
    panel = users.filter(
        pl.col("user_id").is_in(
            result.per_user.filter(pl.col("cohort") == "incumbent")["user_id"].unique().implode()
        )
    )
    assert result.groups.columns[:6] == [
        "recommender",
        "mitigation",
        "attribute",
        "group",
        "measure",
        "level",
    ]
    for attribute in ("skill", "main_topic", "posts"):
        of = result.groups.filter(attribute=attribute, measure="posts", recommender="als")
        assert of["n_users"].sum() == panel.height
    topic = panel["main_topic"][0]
    ids = panel.filter(main_topic=topic)["user_id"]
    theirs = result.per_user.filter(
        pl.col("day").is_null(),
        pl.col("user_id").is_in(ids.implode()),
        pl.col("cohort") == "incumbent",
        recommender="als",
    )
    row = result.groups.filter(group=topic, measure="utility", recommender="als").row(0, named=True)
    means = dict(theirs.group_by("arm").agg(pl.col("utility").mean()).iter_rows())
    assert row["level"] == pytest.approx(means["control"], abs=1e-12)
    assert row["influx"] == pytest.approx(means["influx"] - means["control"], abs=1e-12)
    assert row["total"] == pytest.approx(row["influx"] - row["retrain"], abs=1e-12)


def test_groups_change_no_cell_and_no_other_figure(result):
    bare = load_study(CONFIG, ["evaluation.groups=[]"])
    assert [cell.identity for cell in plan(bare)] == [cell.identity for cell in plan(result.study)]
    assert run(bare).groups.is_empty()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("[skil]", "evaluation.groups: users have no 'skil'; did you mean 'skill'"),
        ("[skill,skill]", "names an attribute twice"),
    ],
)
def test_missing_groups_are_refused_before_the_study_runs(groups, message):
    with pytest.raises(ConfigError, match=message):
        plan(load_study(CONFIG, [f"evaluation.groups={groups}"]))
