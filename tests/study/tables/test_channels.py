"""Studies that split composition among channels: the parts sum to it, and can be trusted."""

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.core.errors import ConfigError
from recsys.study import plan
from recsys.study.arms.gated import (
    COALITIONS,
    RUNGS,
    GatedLoop,
    GatedSeed,
    gates_of,
    name_of,
    values_of,
)
from recsys.study.arms.rankings import make_rankings
from recsys.study.run import run_cell
from recsys.study.tables.channels import channels
from recsys.world.arms import GATES

CONFIG = {
    "name": "tiny",
    "loop": "closed",
    "channels": True,
    "seeds": 2,
    "world": {
        "incumbents": 200,
        "days_before": 3,
        "days_after": 3,
        "burn_in_days": 1,
        "influx": {"newcomers": 40, "arrivals": [0.5, 0.5], "posts_a_head": 2.4},
    },
    "recommenders": ["trending"],
    "evaluation": {"days": [1, 2], "panel": 40, "k": 8, "training_days": 3},
}


@pytest.fixture(scope="module")
def result():
    return recsys.run(recsys.load_study(CONFIG))


def headline(frame, **chosen):
    return frame.filter(pl.col("day").is_null(), **chosen)


def test_parts_sum_to_composition(result):
    """The total is the composition of the study's own arms, which are simulated apart."""
    for measure in ("language_format", "newcomer_share"):
        total = headline(result.channels, measure=measure, part="total").row(0, named=True)
        parts = headline(result.channels, measure=measure, part="shapley")
        drift = headline(result.drift, measure=measure).row(0, named=True)
        assert total["n_users"] == drift["n_users"] == 40
        assert parts["channel"].to_list() == list(GATES)
        assert parts["mean"].sum() == pytest.approx(total["mean"], abs=1e-12)
        assert total["mean"] == pytest.approx(drift["composition"], abs=1e-12)
        assert total["ci_low"] == pytest.approx(drift["composition_ci_low"], abs=1e-12)
        assert abs(total["mean"]) > 0.001


def test_days_too_are_split(result):
    for day in (1, 2):
        rows = result.channels.filter(day=day, measure="language_format")
        parts, total = (rows.filter(part=part)["mean"].sum() for part in ("shapley", "total"))
        assert parts == pytest.approx(total, abs=1e-12)


def test_the_frames_are_as_documented(result):
    keys = ["recommender", "mitigation", "arm", "gates", "seed", "day", "user_id"]
    assert result.games.columns == [*keys, *RUNGS]
    assert result.games.height == 2 * 31 * 2 * 3 * 40  # arms, gates, seeds, days, users
    assert result.games["gates"].n_unique() == COALITIONS - 1
    assert set(result.channels["measure"]) <= set(result.measures["measure"])  # with formulas
    counts = result.channels.group_by("part").agg(pl.col("channel").n_unique())
    assert dict(counts.iter_rows()) == {
        "total": 1,
        "shapley": 5,
        "first_in": 5,
        "last_in": 5,
        "interaction": 10,
    }
    arms = {"control", "influx", "placebo", "locals", "nudge"}
    assert set(result.per_user["arm"].unique()) == arms


def test_with_no_gate_open_there_is_nothing_to_split():
    """A study does not run the world with no gate open, since it is the twin; this test does."""
    study = recsys.load_study(CONFIG, ["recommenders=[{kind: als, factors: 4}]"])
    rankings = make_rankings(study.recommenders[0])
    common = GatedSeed(study.world, study.evaluation, 0, rankings)
    rows = values_of(GatedLoop(common, ("als", "none"), [0]))
    influx, placebo = (rows.filter(arm=arm).select(RUNGS) for arm in ("influx", "placebo"))
    assert influx.equals(placebo)
    assert influx["language_format"].max() > 0  # trained anew: that is the noise, in both
    assert influx["one_step"].max() == 0


def test_what_the_training_gate_keeps_out_moves_nothing_in_one_step(result):
    closed = ~pl.col("gates").cast(pl.String).str.contains("training")
    assert result.games.filter(closed)["one_step"].max() == 0
    assert result.games.filter(~closed)["one_step"].max() > 0


def test_cells_can_run_alone_and_in_any_order(result):
    cells = plan(recsys.load_study(CONFIG))
    names = [cell.name for cell in cells]
    assert len(set(names)) == len({cell.identity for cell in cells}) == len(cells) == 10
    last = cells[-1]
    gates = [name_of(coalition) for coalition in last.coalitions]
    expected = result.games.filter(pl.col("gates").is_in(gates), seed=last.seed)
    assert run_cell(last).games.equals(expected)


def test_threads_and_a_known_half_change_nothing(result):
    """One seed's worlds, from which all parts are computed: half of them again, half stored."""
    store = {}
    for cell in plan(recsys.load_study(CONFIG, ["seeds=1"]))[::2]:
        store[cell.identity] = run_cell(cell)
    again = recsys.run(recsys.load_study(CONFIG, ["seeds=1", "workers=4"]), store=store)
    assert again.games.equals(result.games.filter(seed=0))


@pytest.mark.parametrize(
    "change", [{"loop": "open"}, {"world": None, "log": {"events": "e.csv", "newcomers": "1 = 1"}}]
)
def test_channels_need_a_closed_loop(change):
    content = {key: value for key, value in {**CONFIG, **change}.items() if value is not None}
    with pytest.raises(ConfigError, match="channels"):
        recsys.load_study(content, ["seeds=1"])


def test_users_without_a_value_in_some_world_do_not_count(result):
    """Otherwise the parts would be means over other users than the total."""
    first = (pl.col("user_id") == result.games["user_id"][0]) & (pl.col("seed") == 0)
    one = first & (pl.col("gates").cast(pl.String) == "supply")
    holed = result.games.with_columns(
        pl.when(~one).then("language_format").alias("language_format")
    )
    found = headline(channels(holed), measure="language_format")
    assert found["n_users"].unique().to_list() == [39]
    parts, total = (found.filter(part=part)["mean"].sum() for part in ("shapley", "total"))
    assert parts == pytest.approx(total, abs=1e-12)


def test_an_incomplete_set_of_worlds_is_refused(result):
    with pytest.raises(ValueError, match="all 31 sets"):
        channels(result.games.filter(pl.col("gates") != "supply"))


def test_planted_values_are_split_as_they_were_planted():
    """Each open gate adds its own amount to the influx, two of them something together."""
    rng = np.random.default_rng(3)
    utility = dict(zip(GATES, (0.10, 0.05, 0.02, 0.0, -0.03), strict=True))
    rows = []
    for coalition in range(1, COALITIONS):
        gates = gates_of(coalition)
        both = 0.04 if {"supply", "training"} <= gates else 0.0
        for user in range(30):
            for seed in range(4):
                luck = rng.normal(0, 0.2)  # shared by the arms: pairing takes it out
                for arm in ("influx", "placebo"):
                    effect = sum(utility[gate] for gate in gates) + both
                    value = luck + effect * (arm == "influx")
                    rows.append((arm, name_of(coalition), seed, None, user, value))
    schema = ["arm", "gates", "seed", "day", "user_id", "language_format"]
    frame = pl.DataFrame(rows, schema, orient="row").with_columns(
        pl.col("gates").cast(pl.Enum([name_of(c) for c in range(COALITIONS)])),
        pl.col("day").cast(pl.Int32),
        pl.lit("als").alias("recommender"),
        pl.lit("none").alias("mitigation"),
    )
    found = channels(frame)
    of = {(row["part"], row["channel"]): row["mean"] for row in found.iter_rows(named=True)}
    assert of["total", "all"] == pytest.approx(sum(utility.values()) + 0.04)
    assert of["shapley", "supply"] == pytest.approx(0.10 + 0.02)
    assert of["shapley", "behaviour"] == pytest.approx(-0.03)
    assert of["first_in", "training"] == pytest.approx(0.05)
    assert of["last_in", "training"] == pytest.approx(0.09)
    assert of["interaction", "supply x training"] == pytest.approx(0.04)
    assert of["interaction", "supply x exposure"] == pytest.approx(0.0, abs=1e-12)
