"""How attention is spread over posts and their creators: by hand, and in a study."""

import numpy as np
import polars as pl
import pytest

from recsys import load_study, run
from recsys.logs.log import InteractionLog
from recsys.measures.attention_rows import EXPOSURE, EXPOSURE_FORMULAS, Pool, exposure_rows
from recsys.measures.items import creators_of, sizes_of
from recsys.measures.rows import KEYS
from recsys.study.tables.exposure import exposure_summary
from recsys.world.people.behaviour import examination
from recsys.world.people.population import draw_incumbents
from recsys.world.people.posts import draw_follows
from recsys.world.simulate import simulate_arms
from tests.kit.small_study import CONFIG


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
    assert of["trending", "gini_posts"] > of["als", "gini_posts"]
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
        creator = simulation.posts.creator[feeds["item_id"].to_numpy()]
        looks = np.bincount(creator, examine[feeds["rank"].to_numpy() - 1], minlength=330)
        there = np.zeros(330, dtype=bool)
        there[simulation.posts.creator[simulation.candidates(1)]] = True
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
    nobody = exposure_rows(
        keys, feeds, np.ones(4), pool._replace(liked=np.full(len(feeds), np.nan))
    )
    (lift,) = nobody.filter(measure="popularity_lift")["value"]
    assert lift is None  # nobody has liked anything


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
