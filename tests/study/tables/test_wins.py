"""Winners and losers, groups and exposure: by hand, and traced to the rows they rest on."""

import numpy as np
import polars as pl
import pytest

from recsys import load_study, run
from recsys.core.errors import ConfigError
from recsys.logs.log import InteractionLog
from recsys.logs.schema import COHORTS
from recsys.measures.attention_rows import EXPOSURE, EXPOSURE_FORMULAS, Pool, exposure_rows
from recsys.measures.items import creators_of, sizes_of
from recsys.measures.rows import KEYS
from recsys.study import plan
from recsys.study.sources import users_of_world
from recsys.study.tables.attention import exposure_summary
from recsys.study.tables.wins import wins_of
from recsys.world.people.behaviour import examination
from recsys.world.people.notes import draw_follows
from recsys.world.people.population import draw_incumbents
from recsys.world.simulate import simulate_arms

CONFIG = {
    "name": "small",
    "world": {
        "incumbents": 250,
        "days_before": 4,
        "days_after": 4,
        "influx": {"kind": "rednote_2025", "newcomers": 80},
    },
    "recommenders": ["trending", {"kind": "als", "factors": 4, "iterations": 3}],
    "evaluation": {"days": [1, 3], "k": 8, "panel": 60, "groups": ["skill", "main_topic", "posts"]},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def result():
    return run(load_study(CONFIG))


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
    """A mean over groups of what is mostly 0 is above most feeds' 0: nobody would tie."""
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
    worth = (rng.normal(-1.5, 1, (1000, 1)) + rng.normal(0, 0.3, (1000, 42)) > 0).astype(float)
    frame = pl.concat(
        [
            rows("full", 0, worth[:, 0].tolist()),
            rows("influx", 0, worth[:, 1].tolist()),
            *(rows("placebo", 0, worth[:, draw + 1].tolist(), draw=draw) for draw in range(1, 41)),
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
    worth = {0: [0.4] * 11 + [0.2], 1: [0.2] * 12}
    frame = pl.concat(
        [
            *(rows("control", seed, [0.3] * 12) for seed in (0, 1)),
            *(rows("influx", seed, worth[seed]) for seed in (0, 1)),
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
    wide = whole.pivot("arm", index=["user_id", "seed"], values="utility")
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
        of = result.groups.filter(attribute=attribute, measure="notes", recommender="als")
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
def test_groups_that_are_not_there_are_told_at_once(groups, message):
    with pytest.raises(ConfigError, match=message):
        plan(load_study(CONFIG, [f"evaluation.groups={groups}"]))


def test_exposure_over_seeds_by_hand():
    keys = {
        "recommender": "x",
        "mitigation": "none",
        "arm": "control",
        "draw": 0,
        "cohort": "incumbent",
        "measure": "coverage",
    }
    values = {(0, 1): 0.1, (0, 2): 0.3, (1, 1): 0.5, (1, 2): 0.7}
    frame = pl.DataFrame(
        [
            {**keys, "seed": s, "day": d, "value": v, "n_users": 7 + s}
            for (s, d), v in values.items()
        ],
        schema=EXPOSURE,
    )
    found = exposure_summary(frame)
    means = {row["day"]: row["mean"] for row in found.iter_rows(named=True)}
    assert means == {None: pytest.approx(0.4), 1: pytest.approx(0.3), 2: pytest.approx(0.5)}
    row = found.filter(pl.col("day").is_null()).row(0, named=True)
    # seeds' means .2 and .6: t over two, 12.7062 · .2
    assert row["ci_high"] == pytest.approx(0.4 + 12.7062 * 0.2, abs=1e-4)
    assert (row["n_users"], row["n_seeds"]) == (7, 2)


def test_every_figure_says_over_whom(result):
    for name in ("summary", "drift", "quantiles", "wins", "groups", "exposure", "power"):
        frame = getattr(result, name)
        assert not frame.is_empty(), name
        assert frame.select(pl.min_horizontal("n_users", "n_seeds")).min().item() > 0, name
        assert set(frame["measure"]) <= set(result.measures["measure"]), name
    incumbents = result.exposure.filter(cohort="incumbent")
    assert set(incumbents["n_users"]) == {60}


def test_exposure_of_a_study(result):
    assert set(result.exposure["measure"]) == set(EXPOSURE_FORMULAS)
    means = result.exposure.filter(pl.col("day").is_null(), arm="control", cohort="incumbent")
    of = {(r["recommender"], r["measure"]): r["mean"] for r in means.iter_rows(named=True)}
    # one list for all is less even, and more alike, than lists of one's own
    assert of["trending", "homogenisation"] > of["als", "homogenisation"]
    assert of["trending", "gini_notes"] > of["als", "gini_notes"]
    assert of["trending", "coverage"] < of["als", "coverage"]
    bounded = result.exposure.filter(pl.col("measure") != "popularity_lift")["mean"]
    assert bounded.is_between(0, 1).all()


def test_exposure_by_creator_size_by_hand():
    """From the feeds themselves, creator by creator; the cut at a half falls between two."""
    study = load_study(
        {
            **CONFIG,
            "seeds": 1,
            "evaluation": {"days": [1], "k": 8, "panel": 60, "snapshots": True, "groups": []},
        }
    )
    result, world = run(study), study.world
    people = draw_incumbents(world)
    follows = draw_follows(world, people)
    followers = np.bincount(follows[follows >= 0], minlength=people.n)
    simulation = next(iter(simulate_arms(world, ["influx"], 0).values()))
    examine = examination(world.platform, 8)
    for cohort in ("incumbent", "newcomer"):
        feeds = result.feeds.filter(arm="influx", recommender="als", cohort=cohort)
        creator = simulation.notes.creator[feeds["item_id"].to_numpy()]
        looks = np.bincount(creator, examine[feeds["rank"].to_numpy() - 1], minlength=330)
        there = np.zeros(330, dtype=bool)
        there[simulation.notes.creator[simulation.candidates(1)]] = True
        there[people.n :] = False  # newcomers are not ranked
        ranked = np.flatnonzero(there)
        of = {
            row["measure"]: row["mean"]
            for row in result.exposure.filter(
                pl.col("day").is_null(),
                arm="influx",
                recommender="als",
                cohort=cohort,
            ).iter_rows(named=True)
        }
        for name, sign, part in (("small_creators", 1, 0.5), ("top_creators", -1, 0.01)):
            left, total = part * ranked.size, 0.0
            for size in np.unique(sign * followers[ranked]):
                group = ranked[sign * followers[ranked] == size]
                total += min(max(left / group.size, 0.0), 1.0) * looks[group].sum()
                left -= group.size
            assert of[name] == pytest.approx(total / looks.sum(), abs=1e-12)
        assert 0 < of["small_creators"] < 0.5  # attention goes to who is followed


def test_exposure_by_creator_size_of_a_log():
    users = pl.DataFrame({"user_id": [1, 2, 3], "cohort": ["incumbent", "incumbent", "newcomer"]})
    log = InteractionLog.from_frames(
        {"user_id": [1, 1, 2, 2, 3], "item_id": [10, 11, 10, 13, 12]},
        users,
        {"item_id": [10, 11, 12, 13], "creator_id": [1, 2, 3, None]},
    )
    creators = creators_of(log.items)
    sizes = sizes_of(log, creators)
    assert sizes[creators[:2]].tolist() == [2.0, 1.0]
    assert np.isnan(sizes[creators[2:]]).all()  # a newcomer's, nobody's
    pool = Pool(np.ones(4, dtype=bool), creators, np.ones(4), np.ones(1), sizes)
    feeds = np.array([[1, 0, 2, 3]], dtype=np.int32)
    keys = {
        "recommender": "x",
        "mitigation": "none",
        "arm": "full",
        "seed": 0,
        "draw": 0,
        "day": None,
        "cohort": "incumbent",
    }
    rows = exposure_rows(keys, feeds, np.array([4.0, 3.0, 2.0, 1.0]), pool)
    values = dict(rows.select("measure", "value").iter_rows())
    assert values["small_creators"] == 0.4
    assert values["top_creators"] == pytest.approx(0.02 * 0.3)  # a fiftieth of creator 1
    unknown = exposure_rows(keys, feeds, np.ones(4), pool._replace(creators=None))
    assert not {"small_creators", "top_creators"} & set(unknown["measure"])


def test_every_figure_has_a_formula(result):
    columns = set(result.per_user.columns) - set(KEYS)
    assert set(result.measures["measure"]) == columns | set(EXPOSURE_FORMULAS)
    assert {"joint_mix", "product_tag", "product_tag:true"} <= columns
    assert (result.measures["formula"].str.len_chars() > 0).all()


def test_what_is_new_in_a_study(result):
    headline = result.drift.filter(pl.col("day").is_null(), recommender="als")
    found = dict(headline.select("measure", "influx").iter_rows())
    new = {
        "creators",
        "embedding",
        "kendall",
        "rbo_ext",
        "rbo_ext_ties",
        "turnover",
        "calibration",
        "popularity",
        "noticeable4",
        "influx_heavy",
        "language_format_hellinger",
    }
    assert new <= set(found)
    rows = result.per_user.filter(pl.col("cohort") == "incumbent", recommender="als", arm="influx")
    first = rows.filter(pl.col("day") == 1)
    assert first["turnover"].null_count() == first.height  # nothing was measured before
    later = rows.filter(pl.col("day") == 3)
    assert later["turnover"].null_count() == 0
    whole = rows.filter(pl.col("day").is_null())
    np.testing.assert_allclose(whole["turnover"], later["turnover"], atol=1e-15)


def test_nothing_new_moves_where_nobody_comes():
    study = load_study(CONFIG, ["world.influx.newcomers=0", "seeds=1", "recommenders=[trending]"])
    found = run(study)
    drift = found.drift.drop_nulls("total")
    assert (drift["total"] == 0).all()
    assert (found.wins.filter(against="control")["ties"] == 1).all()
