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
        key: rng.normal(0, 0.02, (USERS, SEEDS)) for key in ("posts", "utility", "newcomer_share")
    }
    base = {"posts": 0.4, "utility": 0.2, "newcomer_share": 0.05}
    rows = []
    for mitigation, change in {"none": {}, **changes}.items():
        own = rng.normal(0, noise, (USERS, SEEDS))
        for arm in ("control", "influx", "placebo", "retrain"):
            for cohort in ("incumbent", "newcomer"):
                if cohort == "newcomer" and arm in ("control", "retrain"):
                    continue
                for user in range(USERS):
                    for seed in range(SEEDS):
                        values = {name: base[name] + luck[name][user, seed] for name in base}
                        if arm == "influx":
                            key = "newcomers_utility" if cohort == "newcomer" else "utility"
                            values["utility"] += change.get(key, 0) + own[user, seed]
                            values["posts"] += 0.1 + change.get("drift", 0) + own[user, seed]
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
    assert pairs["none", "calm"] == "drift_total, drift_with_noise"
    assert pairs["costly", "calm"] == "utility"
    assert set(pairs) == {("none", "calm"), ("costly", "calm")}
    assert ("none", "costly") not in pairs
    assert ("calm", "none") not in pairs


def test_less_training_noise_counts_as_an_advantage():
    """Users see less change in all, though more of it is beyond training noise."""
    rows = per_user({"steady": {"drift": -0.05}})
    retrained = (pl.col("mitigation") == "steady") & (pl.col("arm") == "retrain")
    steady = rows.with_columns(posts=pl.col("posts") - 0.2 * retrained)
    assert dominated(steady).is_empty()
    assert found(dominated(rows)) == {("none", "steady"): "drift_total, drift_with_noise"}


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
        by_predicate=(pl.col("mitigation") == "calm") & (pl.col("quantity") == "drift_total"),
        named=True,
    )
    assert row["mean"] == pytest.approx(0.05, abs=0.002)
    assert row["less_none"] == pytest.approx(-0.05, abs=0.002)
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


def test_without_a_training_seed_nothing_drifts_by_training():
    rows = per_user({"calm": {}}).filter(pl.col("arm") != "retrain")
    total = front(rows).filter(pl.col("quantity") == "drift_total", pl.col("mitigation") == "none")
    assert total["mean"].item() == pytest.approx(0.5, abs=0.01)


def test_users_and_seeds_are_counted():
    table = front(per_user({"calm": {}}))
    counts = dict(
        table.filter(pl.col("mitigation") == "calm").select("quantity", "n_users").iter_rows()
    )
    assert counts["drift_total"] == counts["utility"] == USERS
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
        posts=pl.col("posts") - pl.when(spared).then(0.08).otherwise(0.0),
    )
    table = front(rows).filter(pl.col("mitigation") == "kind")
    less = dict(table.select("quantity", "less_none").iter_rows())
    assert less["drift_of_exposed"] == pytest.approx(-0.08)
    assert less["drift_total"] == pytest.approx(-0.08 * (USERS // 10) / USERS)
    assert less["utility_of_exposed"] == pytest.approx(0.0)
    counts = dict(table.select("quantity", "n_users").iter_rows())
    assert counts["drift_of_exposed"] == SEEDS * (USERS // 10)
    assert "drift_of_exposed" in found(dominated(rows))["none", "kind"]
