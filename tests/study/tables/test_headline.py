"""The table `headline` against sums over rows, and on rows that are planted."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from recsys import load_study
from recsys.measures.registry import SLOT_SOURCES
from recsys.statistics import net_values, ratio_interval, two_way_interval
from recsys.study.tables.headline import BILINGUAL, COLUMNS, OTHERS, TOP, headline
from tests.kit.small_study import CONFIG

STUDY = load_study(CONFIG)


def planted(arms, study=STUDY, skill=None):
    """The table over one day, from float (users, seeds) of each arm, draw and measure.

    Args:
        arms: {(arm, draw): {measure: values}}.
    """
    frames = []
    for (arm, draw), values in arms.items():
        shape = next(iter(values.values())).shape
        user, seed = np.indices(shape)
        rows = pl.DataFrame(
            {
                "recommender": "x",
                "mitigation": "none",
                "arm": arm,
                "seed": seed.ravel(),
                "draw": pl.Series([draw] * user.size, dtype=pl.Int32),
                "cohort": "incumbent",
                "user_id": user.ravel(),
                **{name: value.ravel() for name, value in values.items()},
            }
        )
        frames += [rows.with_columns(day=pl.lit(day, pl.Int32)) for day in (None, 1)]
    per_user = pl.concat(frames, how="diagonal")
    n_users = per_user["user_id"].n_unique()
    skills = np.zeros(n_users) if skill is None else skill
    users = pl.DataFrame({"user_id": np.arange(n_users), "skill": skills})
    return headline(SimpleNamespace(study=study, per_user=per_user, users=users))


def shares(changed, displaced=None):
    displaced = np.zeros_like(changed) if displaced is None else displaced
    return {"slots_changed": changed, "displaced": displaced}


def row_of(table, group="all", day=None):
    return table.filter(pl.col("day").eq_missing(day), group=group).row(0, named=True)


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def test_net_is_displaced_and_reshuffled(rng):
    displaced = rng.uniform(0, 0.2, (30, 3))
    changed = displaced + rng.uniform(0.1, 0.5, (30, 3))
    nudges = rng.uniform(0.1, 0.3, (2, 30, 3))
    table = planted(
        {("influx", 0): shares(changed, displaced)}
        | {("nudge", j + 1): shares(nudges[j]) for j in range(2)}
    )
    assert table.columns == list(COLUMNS)
    row = row_of(table)
    floor = nudges.mean(axis=0)
    c, d, n = (y.mean(axis=0) for y in (changed, displaced, floor))
    r = (c - d) / (1 - d)
    assert row["floor"] == pytest.approx(n.mean())
    assert row["net"] == pytest.approx(((c - n) / (1 - n)).mean())
    assert row["displaced"] == pytest.approx(d.mean())
    assert row["reshuffled"] == pytest.approx(((1 - d) * (r - n) / (1 - n)).mean())
    assert row["plain"] == pytest.approx((changed - floor).mean())
    interval = two_way_interval(net_values(changed, floor))
    assert (row["net_ci_low"], row["net_ci_high"]) == pytest.approx(
        (float(interval.low), float(interval.high))
    )
    assert row["n_users"] == 30
    assert row["n_seeds"] == 3
    assert row == {**row_of(table, day=1), "day": None}
    assert (row["placebo"], row["english"], row["nudge_3"]) == (None, None, None)


def test_the_same_draws_make_a_net_of_exactly_nothing(rng):
    changed = rng.random((30, 3)) / 3
    arms = {("influx", 0): shares(changed)} | {("nudge", j): shares(changed) for j in range(1, 8)}
    row = row_of(planted(arms))
    for name in ("net", "net_ci_low", "net_ci_high", "plain", "reshuffled"):
        assert row[name] == 0.0


def test_a_floor_that_leaves_no_room_has_no_net(rng):
    floor = np.full((30, 3), 0.8)
    row = row_of(planted({("influx", 0): shares(floor + 0.1), ("nudge", 1): shares(floor)}))
    assert row["net"] is None
    assert row["reshuffled"] is None
    assert row["plain"] == pytest.approx(0.1)


def test_placebos_and_ratios(rng):
    luck = rng.normal(0, 0.02, (3, 30, 4))
    influx, placebo, locals_ = (share + luck[j] for j, share in enumerate((0.5, 0.3, 0.15)))
    floor = np.full((30, 4), 0.1)
    nothing = floor + rng.normal(0, 0.05, (30, 4)) - 0.0
    arms = {
        ("influx", 0): shares(influx),
        ("placebo", 0): shares(placebo),
        ("locals", 0): shares(locals_),
        ("nudge", 1): shares(floor),
    }
    row = row_of(planted(arms))
    for arm, values in (("placebo", placebo), ("locals", locals_)):
        net, other = net_values(influx, floor), net_values(values, floor)
        assert row[arm] == pytest.approx(other.mean())
        expected = ratio_interval(net, other)
        names = (f"over_{arm}", f"over_{arm}_ci_low", f"over_{arm}_ci_high")
        assert [row[name] for name in names] == pytest.approx(expected)
    assert row["over_placebo"] == pytest.approx(0.4 / 0.2, rel=0.05)
    row = row_of(planted({**arms, ("locals", 0): shares(nothing)}))
    assert row["over_locals"] is None
    assert row["locals"] is not None


def test_the_most_affected_are_compared_with_their_own_floor(rng):
    """The users whom newcomers' posts reach most are others in each seed."""
    n_users, n_seeds = 200, 3
    displaced = rng.permuted(np.tile(np.linspace(0, 0.4, n_users)[:, None], (1, n_seeds)), axis=0)
    floor = rng.uniform(0.1, 0.4, (n_users, n_seeds))
    changed = displaced + (1 - displaced) * floor
    table = planted({("influx", 0): shares(changed, displaced), ("nudge", 1): shares(floor)})
    for name, share in TOP.items():
        number, row = round(share * n_users), row_of(table, name)
        top = np.argsort(-displaced, axis=0)[:number]
        own = [np.take_along_axis(y, top, axis=0).mean(axis=0) for y in (changed, floor, displaced)]
        c, n, d = own
        assert row["net"] == pytest.approx(((c - n) / (1 - n)).mean())
        assert row["displaced"] == pytest.approx(d.mean())
        assert row["floor"] == pytest.approx(n.mean())
        assert row["n_users"] == number * n_seeds
    assert row_of(table)["net"] < row_of(table, "top 10 %")["net"] < row_of(table, "top 1 %")["net"]


def test_those_chosen_by_what_is_exact_show_no_effect_where_there_is_none(rng):
    """A choice by what changed would: of two noisy halves of one floor, it takes the larger."""
    changed, floor = (rng.binomial(20, 0.3, (500, 3)) / 20 for _ in range(2))
    table = planted({("influx", 0): shares(changed), ("nudge", 1): shares(floor)})
    row = row_of(table, "top 10 %")
    assert row["net_ci_low"] < 0 < row["net_ci_high"]
    by_change = np.argsort(-changed, axis=0)[:50]
    biased = [np.take_along_axis(y, by_change, axis=0).mean() for y in (changed, floor)]
    assert (biased[0] - biased[1]) / (1 - biased[1]) > 0.2


def test_bilingual_users_and_others(rng):
    skill = np.where(np.arange(20) < 5, 0.9, 0.1)
    changed = np.tile(np.where(np.arange(20) < 5, 0.6, 0.2)[:, None], (1, 2))
    floor = np.full((20, 2), 0.1)
    table = planted({("influx", 0): shares(changed), ("nudge", 1): shares(floor)}, skill=skill)
    assert row_of(table, BILINGUAL)["changed"] == pytest.approx(0.6)
    assert row_of(table, BILINGUAL)["n_users"] == 5
    assert row_of(table, OTHERS)["changed"] == pytest.approx(0.2)


def test_slots_by_source(rng):
    changed, displaced, floor = rng.uniform(0, 0.3, (3, 20, 2))
    measured = {"changed_trending": changed + displaced, "displaced_trending": displaced}
    measured["changed_trending"][0] = np.nan  # a user without such slots
    table = planted(
        {
            ("influx", 0): shares(changed) | measured,
            ("nudge", 1): shares(floor) | {"changed_trending": floor},
        }
    )
    row = row_of(table, "trending slots")
    c, n = measured["changed_trending"][1:].mean(axis=0), floor[1:].mean(axis=0)
    assert row["net"] == pytest.approx(((c - n) / (1 - n)).mean())
    assert row["displaced"] == pytest.approx(displaced[1:].mean())
    assert row["n_users"] == 19
    assert table.filter(group="fresh slots").is_empty()


def test_without_a_nudge_training_noise_is_the_floor(rng):
    changed, noise = rng.uniform(0.2, 0.4, (2, 20, 2))
    arms = {("influx", 0): shares(changed), ("retrain", 0): shares(noise)}
    row = row_of(planted(arms))
    assert row["floor"] == pytest.approx(noise.mean())
    assert row["net"] == pytest.approx(net_values(changed, noise).mean())
    deterministic = row_of(planted({("influx", 0): shares(changed)}))
    assert deterministic["net"] == pytest.approx(changed.mean())
    bare = load_study(CONFIG, ["arms=[control,influx]"])
    row = row_of(planted({("influx", 0): shares(changed)}, bare))
    assert (row["floor"], row["net"]) == (None, None)


def test_it_is_made_of_a_study_s_rows(result):
    """English and utility against the summary, changed against the drift, of every recommender."""
    table = result.headline
    for name in ("trending", "als"):
        row = table.filter(pl.col("day").is_null(), recommender=name, group="all").row(
            0, named=True
        )
        drift = result.drift.filter(pl.col("day").is_null(), recommender=name)

        def of(measure, column, drift=drift):
            return drift.filter(measure=measure)[column][0]

        assert row["changed"] == pytest.approx(of("slots_changed", "influx"))
        assert row["retrain"] == pytest.approx(of("slots_changed", "retrain"))
        assert row["displaced"] == pytest.approx(of("displaced", "influx"))
        assert row["english"] == pytest.approx(of("language:en", "influx"))
        before = result.summary.filter(
            pl.col("day").is_null(), recommender=name, arm="control", measure="utility"
        ).filter(cohort="incumbent")["mean"][0]
        assert row["utility"] == pytest.approx(of("utility", "influx") / before)
        assert row["net"] == pytest.approx(row["displaced"] + row["reshuffled"])
        assert row["floor"] > 0
    groups = table["group"].unique(maintain_order=True).to_list()
    sources = [f"{source} slots" for source in SLOT_SOURCES]
    assert groups == ["all", *TOP, BILINGUAL, OTHERS, *sources]
    assert set(table["day"].unique()) == {None, 1, 3}
