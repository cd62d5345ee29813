"""The proof's parts measure what they say, and its claims follow from their figures."""

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.checks.proof.claims import CLAIMS, Figure, judge
from recsys.checks.proof.coverage import (
    CONTRASTS,
    RECOMMENDERS,
    composition_of_seed,
    coverage,
    run_block,
)
from recsys.checks.proof.joined import LEVELS, WAYS, worlds_of
from recsys.checks.proof.luck import LAWS, SEEDS
from recsys.checks.proof.offline import compare, run_cell
from recsys.checks.proof.planted import (
    DOSES,
    MEDIATORS,
    composition_of_plant,
    dose_response,
    planted,
    run_plant,
)
from recsys.checks.proof.run import KINDS, Effort, plan, prove
from recsys.config import Evaluation, Influx, World
from recsys.core.errors import ConfigError
from recsys.recommenders import Trending
from recsys.statistics import two_way_interval
from recsys.study.tables.drift import PRIMARY
from recsys.world.arms import GATES

SMALL = Effort(blocks=2, block_seeds=8, block_studies=3, seeds=1)


def a_study(*overrides):
    config = {
        "name": "small",
        "loop": "closed",
        "workers": 1,
        "world": {
            "incumbents": 200,
            "days_before": 3,
            "days_after": 4,
            "burn_in_days": 1,
            "influx": {"newcomers": 40, "arrivals": [1.0]},
        },
        "recommenders": ["trending"],
        "evaluation": {"days": [3], "panel": 50, "k": 10, "training_days": 7},
    }
    return recsys.load_study(config, overrides)


# Coverage


def blocks_of(truth, *, n_blocks=40, studies=50, spread=0.3, error=1.0, claimed=1.0):
    """Blocks of made-up studies: normal means around the truth, intervals of a claimed width."""
    rng = np.random.default_rng(5)
    frames = []
    for _ in range(n_blocks):
        mean = truth + error * rng.normal(size=studies)
        rows = {
            "study": np.arange(-1, studies),
            "mean": np.append(truth + spread * rng.normal(), mean),
            "ci_low": np.append(np.nan, mean - 1.96 * claimed),
            "ci_high": np.append(np.nan, mean + 1.96 * claimed),
            "p_value": np.append(np.nan, rng.random(studies)),
        }
        frames.append(
            pl.DataFrame(rows).with_columns(
                recommender=pl.lit("als"),
                measure=pl.lit("posts"),
                contrast=pl.lit("composition"),
                seeds=pl.lit(100),
            )
        )
    return frames


@pytest.mark.parametrize(("claimed", "verdict"), [(1.0, "holds"), (0.7, "fails"), (1.5, "fails")])
def test_intervals_that_are_too_narrow_or_too_wide_are_recognised(claimed, verdict):
    table, found = coverage(blocks_of(3.0, claimed=claimed))
    assert judge(found)["verdict"].to_list() == [verdict]
    row = table.row(0, named=True)
    assert row["studies"] == 2000
    assert row["truth"] == pytest.approx(3.0, abs=0.2)
    assert row["covered"] + row["truth_below"] + row["truth_above"] == pytest.approx(1.0)
    assert row["covered_se"] == pytest.approx(
        np.sqrt(row["covered"] * (1 - row["covered"]) / 2000), rel=0.5
    )


def test_a_block_is_held_against_the_others_alone():
    """With two blocks each one's truth is the other's mean."""
    one, other = blocks_of(0.0, n_blocks=2, studies=1, spread=0.0)
    shifted = other.with_columns(mean=pl.when(pl.col("study") < 0).then(100.0).otherwise("mean"))
    row = coverage([one, shifted])[0].row(0, named=True)
    assert row["covered"] == 0.5
    assert row["truth_above"] == 0.5


@pytest.fixture(scope="module")
def block():
    return run_block(first=50, seeds=9, studies=4)


def test_studies_of_a_block_use_the_estimator(block):
    """Means of a block are over its seeds; a study with a tenth of the users is less certain."""
    keys = block.select("recommender", "measure", "contrast").unique(maintain_order=True)
    assert keys.height == len(RECOMMENDERS) * len(PRIMARY) * len(CONTRASTS)
    pool = np.stack([composition_of_seed(seed) for seed in range(50, 59)], axis=-1)
    whole = block.filter(study=-1)["mean"].to_numpy().reshape(pool.shape[:3])
    np.testing.assert_allclose(whole, np.nanmean(pool, axis=-2).mean(-1), atol=1e-6)
    some = block.filter(study=2, recommender="als", measure="posts", contrast="composition").row(
        0, named=True
    )
    inside = (some["ci_low"] < some["mean"]) & (some["mean"] < some["ci_high"])
    assert inside
    every = two_way_interval(pool[1, 0, 0])
    assert some["ci_high"] - some["ci_low"] > float(every.high - every.low)  # a tenth of users


def test_a_tiny_study_gives_the_figures_of_a_real_study():
    """The same values as the arms of a study give, user by user."""
    from recsys.checks.proof.coverage import _DAY, _K, _TINY
    from recsys.study.arms.measuring import measure
    from recsys.study.arms.open_loop import OpenLoop, house_worlds
    from recsys.study.arms.rankings import Learned

    world, names = World(**_TINY), ("control", "influx", "placebo")
    worlds = house_worlds(world, Evaluation(days=(_DAY,), k=_K, panel=300), names, 3)
    loop = OpenLoop(worlds, names, ("trending", "none"), Learned(Trending()))
    rows = measure(loop).per_user.filter(pl.col("day").is_null(), cohort="incumbent")
    influx, placebo = (rows.filter(arm=arm).sort("user_id") for arm in ("influx", "placebo"))
    found = composition_of_seed(3)[0, :, 0]
    for place, name in enumerate(PRIMARY):
        expected = (influx[name] - placebo[name]).to_numpy()
        np.testing.assert_allclose(found[place], expected, atol=1e-6)


# Planted causes


@pytest.fixture(scope="module")
def supply():
    return run_plant("supply", 0)


def test_supply_alone_is_found_and_others_do_nothing_alone(supply):
    parts = dict(supply.select("channel", "shapley").iter_rows())
    assert parts["supply"] > 0.1
    assert max(abs(v) for k, v in parts.items() if k != "supply") < parts["supply"] / 2
    alone = dict(supply.select("channel", "first_in").iter_rows())
    assert alone["adaptation"] == alone["behaviour"] == 0


def gates(*names):
    """The number of a set of open gates."""
    return sum(1 << list(GATES).index(name) for name in names)


def test_adaptation_is_planted_alone():
    """Supply changes the same whatever other gates are open; without it nothing changes."""
    others = [name for name in GATES if name != "adaptation"]
    sets = [gates("adaptation"), gates("adaptation", "supply", "exposure"), gates(*others)]
    alone, in_company, without = composition_of_plant("adaptation", 0, sets)
    assert alone == in_company > 0.05
    assert without == 0


def test_behaviour_is_planted_where_it_is_needed_whichever_way_newcomers_are_met():
    both = ("supply", "exposure")
    sets = [("behaviour",), both, ("behaviour", "supply"), ("behaviour", "exposure"), tuple(GATES)]
    alone, met, *found = composition_of_plant("behaviour", 0, [gates(*names) for names in sets])
    assert alone == 0
    assert 0 < met < min(found) / 2
    assert max(found) == found[-1] < 2 * min(found)


def made_up_parts(supply, training, alone=0.0, *, behaviour=0.0, seeds=4, plant="supply"):
    rng = np.random.default_rng(1)
    rows = []
    for seed in range(seeds):
        for channel in GATES:
            given = {"supply": supply, "training": training, "behaviour": behaviour}
            value = given.get(channel, 0.0)
            noise = 0.01 * rng.normal()
            first = alone if channel in MEDIATORS else value
            rows.append((plant, seed, channel, value + noise, first, value))
    columns = ["plant", "seed", "channel", "shapley", "first_in", "last_in"]
    return pl.DataFrame(rows, schema=columns, orient="row")


@pytest.mark.parametrize(
    ("supply", "training", "alone", "verdicts"),
    [
        (0.5, 0.1, 0.0, ["holds", "holds"]),
        (-0.5, 0.1, 0.0, ["holds", "holds"]),  # a part may lower drift, and yet be the largest
        (0.1, 0.5, 0.0, ["fails", "holds"]),
        (0.5, 0.1, 0.01, ["holds", "fails"]),
    ],
)
def test_the_planted_part_has_to_be_the_largest(supply, training, alone, verdicts):
    table, found = planted(made_up_parts(supply, training, alone))
    assert judge(found)["verdict"].to_list() == verdicts
    assert table.height == 15


@pytest.mark.parametrize(
    ("saved", "verdicts"),
    [
        (0.5, ["holds", "holds", "holds"]),
        (0.1, ["fails", "holds", "holds"]),
        (-0.5, ["holds", "fails", "holds"]),
    ],
)
def test_closing_a_planted_mediator_has_to_save_something(saved, verdicts):
    _, found = planted(made_up_parts(0.2, 0.0, behaviour=saved, plant="behaviour"))
    of_plants = [name for name, claim in CLAIMS.items() if claim.check == 2][:3]
    assert [one.claim for one in found] == of_plants
    assert judge(found)["verdict"].to_list() == verdicts


@pytest.mark.parametrize(("totals", "verdict"), [((1, 2, 3), "holds"), ((1, 3, 2), "fails")])
def test_a_fall_between_sizes_is_seen(totals, verdict):
    rng = np.random.default_rng(2)
    rows = [
        (size, seed, "newcomer_share", total + 0.05 * rng.normal())
        for size, total in zip((10, 20, 40), totals, strict=True)
        for seed in range(5)
    ]
    doses = pl.DataFrame(rows, schema=["newcomers", "seed", "measure", "total"], orient="row")
    table, found = dose_response(doses)
    assert judge(found)["verdict"].to_list() == [verdict]
    assert table["newcomers"].to_list() == [10, 20, 40]
    assert table["rise"].null_count() == 1


# Offline against truth


def cell_of(study, size):
    worlds = worlds_of(study.world, study.evaluation, Trending(), size, 1)
    return run_cell(worlds, Trending(), size)


@pytest.fixture(scope="module")
def cell():
    return cell_of(a_study(), 0.4)


def test_a_cell_has_a_row_for_each_way_and_level(cell):
    assert cell.select("way", "level").rows() == [(way, level) for way in WAYS for level in LEVELS]
    assert cell["newcomers"].unique().to_list() == [round(0.4 * 0.4 * 200)]


def test_without_newcomers_posts_they_have_no_share(cell):
    """The twin has no newcomers' posts, so the truth is the share; without posts none are left."""
    rows = cell.filter(level="newcomer_share")
    truth = rows["true_total"].to_list()
    told = dict(rows.select("way", "total").iter_rows())
    matched = rows["matched"][0]
    assert truth[0] > 0.01
    assert told["events"] < told["events and posts"]
    if matched == 1.0:
        assert told["events and posts"] > 0.3 * truth[0]


def made_up_cells(factor, noise, seeds=4, *, luck=0.2):
    """The truth grows with size and seed; the estimate with size, and by `luck` with the seed."""
    rng = np.random.default_rng(3)
    rows = []
    for way in WAYS:
        for level in LEVELS:
            for seed in range(seeds):
                for size in (0.01, 0.1, 0.4):
                    truth = size * (1 + 0.2 * seed)
                    told = factor * size * (1 + luck * seed) + noise * rng.normal()
                    p_value = 0.04 if told > 0.05 else 0.6
                    rows.append(
                        (
                            "als",
                            way,
                            size,
                            seed,
                            level,
                            truth,
                            truth - 0.05,
                            told,
                            told - 0.05,
                            0.01,
                            p_value,
                            10,
                            1.0,
                        )
                    )
    columns = [
        "recommender",
        "way",
        "size",
        "seed",
        "level",
        "true_total",
        "true_composition",
        "total",
        "composition",
        "band",
        "p_value",
        "newcomers",
        "matched",
    ]
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_a_log_that_tells_the_truth_is_believed():
    agreement, by_size, found = compare(made_up_cells(1.0, 1e-4))
    total = agreement.filter(recommender="all", figure="total")
    assert total["bias"].abs().max() < 1e-3
    assert total["pearson"].min() > 0.99
    assert total["within"].min() == 1.0
    composition = agreement.filter(recommender="all", figure="composition")
    assert composition["disagree"].max() == 0
    assert set(judge(found)["verdict"]) == {"holds"}
    assert by_size.height == len(WAYS) * len(LEVELS) * 3


def test_a_log_that_tells_a_tenth_is_not():
    agreement, _, found = compare(made_up_cells(0.1, 1e-4))
    total = agreement.filter(recommender="als", way="events", level="posts", figure="total")
    assert total["bias"].item() == pytest.approx(-0.9 * 0.17 * 1.3, abs=1e-3)
    verdicts = dict(judge(found).select("quantity", "verdict").iter_rows())
    assert verdicts["told of the true total, share"] == "fails"
    assert verdicts["rank correlation over cells: total"] == "holds"


def test_to_know_sizes_is_not_to_know_more():
    """Over sizes the order is right, and at one size it is luck."""
    agreement, _, found = compare(made_up_cells(1.0, 1e-4, seeds=8, luck=0.0))
    verdicts = dict(judge(found).select("quantity", "verdict").iter_rows())
    assert verdicts["rank correlation over cells: total"] == "holds"
    assert verdicts["rank correlation at one size: total"] == "unclear"
    total = agreement.filter(recommender="all", figure="total")
    assert total["spearman"].min() > 0.8 > 0.5 > total["within"].mean()


# Parts and claims


def test_every_claim_can_be_judged():
    found = [Figure(name, "x", 1.0, 0.9, 1.1, 8) for name in reversed(CLAIMS)]
    verdicts = judge(found)
    assert verdicts["quantity"].to_list() == list(CLAIMS)
    assert verdicts["check"].is_sorted()


def test_parts_have_names_and_identities_of_their_own():
    parts = plan(a_study(), Effort())
    assert len({part.name for part in parts}) == len({part.identity for part in parts})
    assert len(parts) == 20 + len(LAWS) * len(SEEDS) + 8 * (5 + 5 + len(DOSES) + 1)
    assert [part.kind for part in parts] == sorted((part.kind for part in parts), key=KINDS.index)


def test_seeds_of_blocks_do_not_overlap():
    parts = [part for part in plan(a_study(), SMALL) if part.kind == "coverage"]
    assert [part.seed for part in parts] == [0, 8]


def test_unknown_parts_and_logs_are_refused():
    with pytest.raises(ConfigError, match="no part 'ofline'"):
        plan(a_study(), kinds=("ofline",))
    log = recsys.load_study(
        {
            "name": "log",
            "log": {"events": "e.csv", "newcomers": "a = 1"},
            "seeds": 1,
            "recommenders": ["trending"],
        }
    )
    with pytest.raises(ConfigError, match="needs a world"):
        plan(log, kinds=("offline",))


def test_what_is_known_is_not_run_again():
    study, store, told = a_study(), {}, []
    kinds = ("dose", "facts")
    first = prove(study, SMALL, kinds, lambda *step: told.append(step), store)
    assert set(first.tables) == {"doses", "facts"}
    assert len(told) == len(store) == len(DOSES) + 1
    kept = dict(store)
    again = prove(study, SMALL, kinds, store=store)
    assert again.verdicts.equals(first.verdicts)
    assert all(store[key] is kept[key] for key in kept)


def test_where_no_newcomer_has_clicked_there_is_nothing_to_leave_out(cell):
    """The last to arrive come when the day of measurement begins."""
    study = a_study("world.influx.arrivals=[0,0,0,1]")
    rows = cell_of(study, 0.1)
    assert rows.schema == cell.schema
    assert rows.height == 0


def test_influx_of_the_config_does_not_set_the_size():
    many = Influx(newcomers=500, arrivals=(1.0,))
    study = a_study()
    world = study.world.model_copy(update={"influx": many})
    worlds = worlds_of(world, study.evaluation, Trending(), 0.1, 1)
    rows = run_cell(worlds, Trending(), 0.1, draws=2)
    assert rows["newcomers"].unique().to_list() == [8]
