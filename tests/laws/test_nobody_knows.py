"""Nobody knows the future or the hidden truth: what a fit may read is what a platform knows then.

What only the world knows is in no frame of a log, so no fit can reach it. Of posts that are not
published yet and of people who have not joined the log of a morning holds nothing but a row; and
where a log does describe them, as one's own log may, they change nobody's feed.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys.config import Influx, World
from recsys.logs.log import InteractionLog
from recsys.mitigations import MITIGATIONS, mitigated
from recsys.recommenders import RECOMMENDERS, Recommender
from recsys.recommenders.base import PopularityModel, binary
from recsys.study.arms.policy import RecommenderPolicy
from recsys.testing import example_mitigations, quick_recommender, takes
from recsys.world import simulate as simulate_module
from recsys.world.frames import users_frame
from recsys.world.simulate import simulate
from tests.kit.variants import VARIANTS

DAY, K = 1, 20
WORLD = World(
    incumbents=300,
    days_before=5,
    days_after=4,
    burn_in_days=2,
    influx=Influx(newcomers=90, arrivals=(0.3, 0.3, 0.4)),
)
KNOWN_OF_USERS = ["user_id", "cohort", "joined", "key", "language", "declared_language"]
KNOWN_OF_POSTS = ["item_id", "published", "creator_id", "key", "topic", "language", "format"]
KNOWN_OF_POSTS += ["product_tag", "subtitled"]
TRIED = [
    *(quick_recommender(name) for name in RECOMMENDERS),
    *VARIANTS.values(),
    *(
        mitigated(recommender, [mitigation])
        for name in MITIGATIONS
        for mitigation in example_mitigations(name)
        for recommender in (quick_recommender("als"), quick_recommender("trending"))
        if takes(mitigation, recommender)
    ),
]
"""Every recommender and variant; every mitigation in each way of acting, around two of them."""


@cache
def world():
    return simulate(WORLD, "influx", seed=1)


@cache
def with_another_truth():
    """The same world, in which people and posts are what they are not; nobody acts otherwise."""
    people, posts = world().people, world().posts
    people = people._replace(
        taste=people.taste[::-1],
        latent=-people.latent,
        format_pull=-people.format_pull,
        skill=1 - people.skill,
        visits=people.visits[::-1],
        presence=people.presence[::-1],
        trend=people.trend + 1,
        commerce=people.commerce + 1,
        outward=people.outward + 1,
        curious=~people.curious,
        foreign=~people.foreign,
        departure=people.departure + 1,
    )
    posts = posts._replace(quality=-posts.quality, latent=-posts.latent)
    return replace(world(), people=people, posts_for=(posts, posts))


@cache
def with_another_future():
    """The same world, in which other people join later and other posts are published later."""
    people, posts = world().people, world().posts
    later = people.arrival > DAY
    unborn = posts.published >= DAY
    assert later.any()
    assert (~later[WORLD.incumbents :]).any()
    assert unborn.any()

    def other(values, changed, where):
        return np.where(where, changed, values).astype(values.dtype)

    people = people._replace(
        app_language=other(people.app_language, 1 - people.app_language, later),
        declared=other(people.declared, -1 - people.declared, later),
        arrival=other(people.arrival, people.arrival + 1, later),
    )
    posts = posts._replace(
        published=other(posts.published, posts.published + 0.3, unborn),
        creator=other(posts.creator, (posts.creator + 1) % people.n, unborn),
        topic=other(posts.topic, posts.topic // 2, unborn),
        language=other(posts.language, 1 - posts.language, unborn),
        format=other(posts.format, (posts.format + 1) % 3, unborn),
        tagged=other(posts.tagged, ~posts.tagged, unborn),
        subtitled=other(posts.subtitled, ~posts.subtitled, unborn),
    )
    return replace(world(), people=people, posts_for=(posts, posts))


def of_the_morning(simulation):
    return simulation.log_before(DAY)


def of_one_who_looks_ahead(simulation):
    """The events up to this morning, beside all people and posts that are ever there."""
    events = simulation.log_before(DAY).dense
    return InteractionLog(simulation.users, simulation.items, events)


def todays_feeds(recommender, log):
    """Of all who are there today, from the posts that can be served this morning."""
    users = np.flatnonzero(world().people.arrival <= DAY)
    return recommender.fit(log, 0).rank(users, K, world().candidates(DAY))


def same_feeds(recommender, *logs):
    one, other = (todays_feeds(recommender, log) for log in logs)
    assert (one.item_ids >= 0).any()
    return np.array_equal(one.item_ids, other.item_ids) and np.array_equal(
        one.scores, other.scores, equal_nan=True
    )


# The truth


def test_the_frames_hold_what_a_platform_knows():
    for log in (of_the_morning(world()), world().log):
        assert log.users.columns == KNOWN_OF_USERS
        assert log.items.columns == KNOWN_OF_POSTS
    one, other = world().log, with_another_truth().log
    for table in ("users", "items", "dense"):
        assert_frame_equal(getattr(one, table), getattr(other, table))


@pytest.mark.parametrize("recommender", TRIED, ids=repr)
def test_another_truth_changes_no_feed(recommender):
    assert same_feeds(recommender, *map(of_the_morning, (world(), with_another_truth())))


class ReadsTheTruth(Recommender):
    """Serves foreign posts first to those who truly read them, if it can find out who does."""

    deterministic: ClassVar[bool] = True

    def fit(self, log, seed=0, previous=None):
        heat = np.asarray(binary(log).sum(axis=0)).ravel()
        popular = np.zeros(log.n_items)
        popular[log.interactions.items] = heat
        skill = np.zeros(log.n_users)
        for name in log.users.columns:
            if "skill" in name:
                skill = log.users[name].to_numpy()
        english = (log.items["language"] == "en").fill_null(value=False).to_numpy()
        return ReadsTheTruthModel(log, popular, skill, english)


@dataclass(frozen=True)
class ReadsTheTruthModel(PopularityModel):
    skill: np.ndarray
    english: np.ndarray

    def score(self, users, items):
        return super().score(users, items) + 9 * np.outer(self.skill[users], self.english[items])


@pytest.mark.parametrize("recommender", [ReadsTheTruth(), quick_recommender("content")], ids=repr)
def test_a_truth_in_the_frame_is_noticed(recommender, monkeypatch):
    """Planted: the skill stands in the log, as it once did, and two recommenders make use of it."""
    worlds = world(), with_another_truth()
    assert same_feeds(recommender, *map(of_the_morning, worlds))

    def leaky(config, people, day=None):
        frame = users_frame(config, people, day)
        return frame.with_columns(skill_in_other_language=people.skill.min(axis=1))

    monkeypatch.setattr(simulate_module, "users_frame", leaky)
    assert not same_feeds(recommender, *map(of_the_morning, worlds))


# The future


def test_the_log_of_a_morning_holds_nothing_of_the_future():
    one, other = map(of_the_morning, (world(), with_another_future()))
    for table in ("users", "items", "dense"):
        assert_frame_equal(getattr(one, table), getattr(other, table))
    known = pl.Series(world().posts.published < DAY)
    told = one.items.drop("item_id", "key")
    assert set(told.filter(~known).null_count().row(0)) == {(~known).sum()}
    assert set(told.filter(known).null_count().row(0)) == {0}
    there = pl.Series(world().people.arrival <= DAY)
    assert one.users.filter(~there)["language"].null_count() == (~there).sum()
    assert one.users.filter(there)["language"].null_count() == 0


@pytest.mark.parametrize("recommender", TRIED, ids=repr)
def test_another_future_changes_no_feed(recommender):
    """Not even of who is told all attributes of what comes later, as by an own log."""
    assert same_feeds(recommender, *map(of_one_who_looks_ahead, (world(), with_another_future())))


class Foresees(Recommender):
    """Serves most what is about the topics of which most posts are still to come."""

    deterministic: ClassVar[bool] = True

    def fit(self, log, seed=0, previous=None):
        binary(log)
        codes, labels = log.item_codes("topic")
        unread = np.ones(log.n_items, dtype=bool)
        unread[log.dense["item"].to_numpy()] = False
        coming = np.bincount(codes[unread], minlength=len(labels))
        return PopularityModel(log, coming[codes].astype(np.float64))


def test_a_look_ahead_is_noticed():
    """Planted: a recommender that counts what comes; in the log of a morning there is no such."""
    worlds = world(), with_another_future()
    assert not same_feeds(Foresees(), *map(of_one_who_looks_ahead, worlds))
    assert same_feeds(Foresees(), *map(of_the_morning, worlds))


class Spying(RecommenderPolicy):
    """Keeps every log that the platform hands it."""

    def fit(self, log, seed, previous):
        self.logs.append(log)
        return super().fit(log, seed, previous)


def test_in_a_closed_loop_neither():
    policy = Spying(quick_recommender("trending"))
    object.__setattr__(policy, "logs", [])
    simulate(WORLD, "influx", 1, policy)
    assert len(policy.logs) == WORLD.days_before + WORLD.days_after - 1
    for day, log in enumerate(policy.logs, 1 - WORLD.days_before):
        assert log.users.columns == KNOWN_OF_USERS
        morning = pl.lit(WORLD.start + timedelta(days=day)).cast(pl.Datetime("ms", "UTC"))
        assert log.dense.filter(pl.col("timestamp") >= morning).is_empty()
        assert log.items.filter(pl.col("published") >= morning).is_empty()
        assert log.users.filter(pl.col("joined") > morning).is_empty()
        served = log.items[log.dense["item"].unique()]
        assert served["published"].null_count() == 0
    assert log.users["joined"].null_count() == WORLD.incumbents
