"""The front: paired differences, and which mitigations are dominated."""

import numpy as np
import polars as pl
import pytest

from recsys.statistics import two_way_interval
from recsys.study.tables.front import QUANTITIES, dominated, front

USERS, SEEDS = 40, 8


def per_user(changes, recommender="als", noise=0.001):
    """Headline rows: values by arm and cohort, with a mitigation's changes to the influx arm."""
    rng = np.random.default_rng(0)
    luck = {
        key: rng.normal(0, 0.02, (USERS, SEEDS))
        for key in ("slots_changed", "utility", "newcomer_share")
    }
    base = {"slots_changed": 0.4, "utility": 0.2, "newcomer_share": 0.05}
    rows = []
    for mitigation, change in {"none": {}, **changes}.items():
        own = rng.normal(0, noise, (USERS, SEEDS))
        for arm in ("control", "influx", "placebo", "nudge"):
            for cohort in ("incumbent", "newcomer"):
                if cohort == "newcomer" and arm in ("control", "nudge"):
                    continue
                for user in range(USERS):
                    for seed in range(SEEDS):
                        values = {name: base[name] + luck[name][user, seed] for name in base}
                        if arm == "influx":
                            key = "newcomers_utility" if cohort == "newcomer" else "utility"
                            values["utility"] += change.get(key, 0) + own[user, seed]
                            values["slots_changed"] += (
                                0.1 + change.get("drift", 0) + own[user, seed]
                            )
                            values["newcomer_share"] += change.get("share", 0) + own[user, seed]
                        rows.append(
                            {
                                "recommender": recommender,
                                "mitigation": mitigation,
                                "arm": arm,
                                "seed": seed,
                                "draw": 0,
                                "day": None,
                                "cohort": cohort,
                                "user_id": user + 1000 * (cohort == "newcomer"),
                                **values,
                            }
                        )
    return pl.DataFrame(rows, schema_overrides={"day": pl.Int32})


def found(table):
    return {(row["mitigation"], row["by"]): row["better_in"] for row in table.iter_rows(named=True)}


def test_what_is_better_and_no_worse_dominates():
    rows = per_user({"calm": {"drift": -0.05}, "costly": {"drift": -0.05, "utility": -0.05}})
    pairs = found(dominated(rows))
    assert pairs["none", "calm"] == "net, changed"
    assert pairs["costly", "calm"] == "utility"
    assert set(pairs) == {("none", "calm"), ("costly", "calm")}
    assert ("none", "costly") not in pairs
    assert ("calm", "none") not in pairs


def test_less_chance_counts_as_an_advantage():
    """Users see less change in all, though more of it is beyond the floor."""
    rows = per_user({"steady": {"drift": -0.05}})
    floor = (pl.col("mitigation") == "steady") & (pl.col("arm") == "nudge")
    steady = rows.with_columns(slots_changed=pl.col("slots_changed") - 0.2 * floor)
    assert dominated(steady).is_empty()
    assert found(dominated(rows)) == {("none", "steady"): "net, changed"}


def test_a_trade_off_dominates_nothing():
    rows = per_user({"closed": {"drift": -0.05, "share": -0.03}})
    assert dominated(rows).is_empty()


def test_unclear_differences_dominate_nothing():
    """Differences of a tenth of their standard error, and worlds of one seed."""
    rows = per_user({"same": {"drift": -0.00001}}, noise=0.002)
    assert dominated(rows).is_empty()
    one = per_user({"calm": {"drift": -0.05}}).filter(pl.col("seed") == 0)
    assert dominated(one).is_empty()
    assert front(one)["ci_low"].null_count() == front(one).height


def test_other_recommenders_do_not_dominate():
    both = pl.concat([per_user({}), per_user({"calm": {"drift": -0.3}}, "ease")])
    assert set(dominated(both)["recommender"]) <= {"ease"}


def test_differences_are_paired():
    rows = per_user({"calm": {"drift": -0.05}})
    table = front(rows)
    without_exposure = {name for name, quantity in QUANTITIES.items() if not quantity.exposed}
    assert set(table["quantity"]) == without_exposure
    row = table.row(
        by_predicate=(pl.col("mitigation") == "calm") & (pl.col("quantity") == "net"),
        named=True,
    )
    assert row["mean"] == pytest.approx(0.05 / 0.6, abs=0.003)  # floor .4
    assert row["less_none"] == pytest.approx(-0.05 / 0.6, abs=0.003)
    assert row["less_none_ci_high"] - row["less_none_ci_low"] < 0.002
    level = rows.filter(
        pl.col("mitigation") == "calm", pl.col("arm") == "influx", pl.col("cohort") == "incumbent"
    )
    cube = level.sort("user_id", "seed")["utility"].to_numpy().reshape(USERS, SEEDS)
    utility = table.row(
        by_predicate=(pl.col("mitigation") == "calm") & (pl.col("quantity") == "utility"),
        named=True,
    )
    expected = two_way_interval(cube)
    assert utility["mean"] == pytest.approx(float(expected.mean))
    assert utility["ci_low"] == pytest.approx(float(expected.low))


def test_without_a_nudge_training_noise_is_the_floor():
    """A recommender that a training seed does not change has none."""
    rows = per_user({"calm": {}}).filter(pl.col("arm") != "nudge")
    total = front(rows).filter(pl.col("quantity") == "net", pl.col("mitigation") == "none")
    assert total["mean"].item() == pytest.approx(0.5, abs=0.01)


def test_users_and_seeds_are_counted():
    table = front(per_user({"calm": {}}))
    counts = dict(
        table.filter(pl.col("mitigation") == "calm").select("quantity", "n_users").iter_rows()
    )
    assert counts["net"] == counts["utility"] == USERS
    assert counts["newcomers_utility"] > USERS  # others in each seed
    assert set(table["n_seeds"]) == {SEEDS}


def test_the_most_exposed_tenth_is_judged_apart():
    """A mitigation that spares these users alone shows there, and hardly in the mean."""
    rows = per_user({"kind": {}}, noise=0.0)
    exposed = pl.col("user_id") < USERS // 10
    in_influx = (pl.col("arm") == "influx") & (pl.col("cohort") == "incumbent")
    spared = exposed & in_influx & (pl.col("mitigation") == "kind")
    rows = rows.with_columns(
        displaced=pl.when(exposed & in_influx).then(0.3).otherwise(0.0),
        slots_changed=pl.col("slots_changed") - pl.when(spared).then(0.08).otherwise(0.0),
    )
    table = front(rows).filter(pl.col("mitigation") == "kind")
    less = dict(table.select("quantity", "less_none").iter_rows())
    nudged = rows.filter(pl.col("arm") == "nudge")
    floors = nudged.group_by("seed").agg(room=1 - pl.col("slots_changed").mean())
    of_exposed = (
        nudged.filter(exposed).group_by("seed").agg(room=1 - pl.col("slots_changed").mean())
    )
    assert less["net_of_exposed"] == pytest.approx(-0.08 * (1 / of_exposed["room"]).mean())
    tenth = (USERS // 10) / USERS
    assert less["net"] == pytest.approx(-0.08 * tenth * (1 / floors["room"]).mean())
    assert less["utility_of_exposed"] == pytest.approx(0.0)
    counts = dict(table.select("quantity", "n_users").iter_rows())
    assert counts["net_of_exposed"] == SEEDS * (USERS // 10)
    assert "net_of_exposed" in found(dominated(rows))["none", "kind"]


def test_net_is_that_of_the_headline():
    """From means within a seed, over several nudges, and saturated where the floor is high."""
    rows = per_user({})
    first = rows.filter(pl.col("arm") == "nudge")
    second = first.with_columns(pl.lit(1).cast(pl.Int64).alias("draw"), slots_changed=0.2)
    both = pl.concat([rows, second.select(rows.columns)])
    found = front(both).filter(pl.col("quantity") == "net")["mean"].item()
    influx = rows.filter(pl.col("arm") == "influx", pl.col("cohort") == "incumbent")
    changed = influx.group_by("seed").agg(c=pl.col("slots_changed").mean()).sort("seed")
    floor = first.group_by("seed").agg(n=(pl.col("slots_changed").mean() + 0.2) / 2).sort("seed")
    expected = ((changed["c"] - floor["n"]) / (1 - floor["n"])).mean()
    assert found == pytest.approx(expected)
    full = rows.with_columns(
        slots_changed=pl.when(pl.col("arm") == "nudge").then(0.85).otherwise("slots_changed")
    )
    assert front(full).filter(pl.col("quantity") == "net")["mean"].item() is None


def test_nobody_with_a_value_in_every_seed_leaves_the_figures_out():
    """Half of the users are measured in each seed, others in the next: nobody counts."""
    rows = per_user({"calm": {"drift": -0.05}})
    seen = (pl.col("user_id") + pl.col("seed")) % 2 == 0
    rows = rows.with_columns(pl.when(seen).then("utility").alias("utility"))
    table = front(rows).filter(pl.col("quantity").is_in(["utility", "utility_change"]))
    assert table.height == 4
    assert set(table["n_users"]) == {0}
    figures = table.select("mean", "ci_low", "ci_high", "less_none")
    assert all(value is None for row in figures.rows() for value in row)
    assert set(front(rows).filter(quantity="changed")["n_users"]) == {USERS}
    assert dominated(rows).is_empty()
