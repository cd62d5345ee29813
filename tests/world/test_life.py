"""Life on the platform, counted again from the log."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys.config.world import Actions, Behaviour, Posts
from recsys.world.life import LIFE, life_frame
from recsys.world.simulate import simulate, simulate_arms
from tests.kit.small_world import small_world

EAGER = Actions(
    comment=1.0, comment_across=1.0, follow=0.2, hide=0.1, product_click=0.5, purchase=0.2
)


def restless_world():
    """People act on what they click, many leave, and no visit finds nothing new."""
    behaviour = Behaviour(actions=EAGER, leaving=-4.0)
    posts = Posts(per_creator_day=1.0)
    return small_world(behaviour=behaviour, posts=posts, influx={"reversal_day": 2})


@pytest.fixture(scope="module")
def restless():
    return simulate(restless_world(), "influx", seed=4)


@pytest.fixture(scope="module")
def events(restless):
    """The log's events by day, with who and what they are about."""
    users = restless.users.select("user_id", "cohort", user=pl.col("language").cast(pl.String))
    posts = restless.items.select(
        "item_id", "topic", "creator_id", language=pl.col("language").cast(pl.String)
    )
    start = pl.lit(restless.world.start)
    return (
        restless.log.events.join(users, on="user_id")
        .join(posts, on="item_id")
        .with_columns(
            day=(pl.col("timestamp").dt.date() - start).dt.total_days().cast(pl.Int32),
            across=pl.col("user") != pl.col("language"),
        )
    )


def counted(events, life, *conditions):
    """How many events meet some conditions on each day, by cohort, in the order of `life`."""
    found = events.filter(*conditions).group_by("day", "cohort").len()
    return life.join(found, on=("day", "cohort"), how="left", maintain_order="left")[
        "len"
    ].fill_null(0)


def test_a_row_a_day_and_cohort(restless):
    life = restless.life
    assert dict(life.schema) == LIFE
    assert life["day"].to_list() == [day for day in range(-4, 4) for _ in range(2)]
    assert life["cohort"].to_list() == ["incumbent", "newcomer"] * 8


@pytest.mark.parametrize(
    ("column", "conditions"),
    [
        ("impressions", [pl.col("kind") == "impression"]),
        ("clicks", [pl.col("kind") == "click"]),
        ("comments", [pl.col("kind") == "comment"]),
        ("comments_across", [pl.col("kind") == "comment", "across"]),
        (
            "across_language_exchange",
            [pl.col("kind") == "comment", "across", pl.col("topic") == "language exchange"],
        ),
        (
            "across_homework_help",
            [pl.col("kind") == "comment", "across", pl.col("topic") == "homework help"],
        ),
        ("follows_across", [pl.col("kind") == "follow", "across"]),
        ("clicks_on_newcomers", [pl.col("kind") == "click", pl.col("creator_id") >= 400]),
        ("comments_on_newcomers", [pl.col("kind") == "comment", pl.col("creator_id") >= 400]),
    ],
)
def test_counts_are_the_logs(restless, events, column, conditions):
    expected = counted(events, restless.life, *conditions)
    assert restless.life[column].to_list() == expected.to_list()
    assert expected.sum() > 0


@pytest.mark.parametrize(
    ("column", "scale", "condition"),
    [
        ("click_rate", 1, pl.col("kind") == "click"),
        ("english_share", 1, (pl.col("kind") == "impression") & (pl.col("language") == "en")),
        ("product_clicks_per_1000", 1000, pl.col("kind") == "product_click"),
        ("purchases_per_1000", 1000, pl.col("kind") == "purchase"),
        ("hides_per_1000", 1000, pl.col("kind") == "hide"),
    ],
)
def test_rates_are_per_impression(restless, events, column, scale, condition):
    life = restless.life
    shown = counted(events, life, pl.col("kind") == "impression").to_numpy()
    part = counted(events, life, condition).to_numpy()
    got = life[column].to_numpy()
    np.testing.assert_allclose(got[shown > 0], (scale * part / np.maximum(shown, 1))[shown > 0])
    assert np.isnan(got[shown == 0]).all()
    assert part.sum() > 0


def test_who_comes(restless, events):
    shown = events.filter(pl.col("kind") == "impression")
    begins = pl.col("timestamp").dt.epoch("ms") - 8000 * (pl.col("rank").cast(pl.Int64) - 1)
    visits = shown.group_by("day", "cohort").agg(
        pl.col("user_id").n_unique().alias("people"),
        pl.struct("user_id", begins.alias("begins")).n_unique().alias("times"),
    )
    both = restless.life.join(visits, on=("day", "cohort"), maintain_order="left")
    assert both["active"].to_list() == both["people"].to_list()
    assert both["visits"].to_list() == both["times"].to_list()
    assert (restless.life["active"] <= restless.life["there"]).all()


def test_who_is_there_has_not_left(restless):
    """One who leaves at night was there that day; one who departs at the reversal did not leave."""
    people, life = restless.people, restless.life
    for cohort, rows in enumerate((slice(0, 400), slice(400, None))):
        mine = life.filter(pl.col("cohort") == ("incumbent", "newcomer")[cohort])
        left, there = mine["left"].to_numpy(), mine["there"].to_numpy()
        assert (np.diff(left) >= 0).all()
        assert left[-1] > 0
        arrival, departure = people.arrival[rows], people.departure[rows]
        members = [((arrival <= day) & (day < departure)).sum() for day in mine["day"]]
        if cohort == 0:
            assert there[1:].tolist() == (400 - left[:-1]).tolist()
            assert members == [400] * 8
        else:
            assert (there <= members).all()
            assert members[-1] < members[-3]
    assert [day.state.members.tolist() for day in restless.days][-1] == [400, members[-1]]


def test_satisfaction_is_of_those_who_have_visited(restless):
    newcomers = restless.life.filter(pl.col("cohort") == "newcomer")
    before = newcomers["day"] < 0
    assert newcomers.filter(before)["satisfaction"].null_count() == 4
    assert newcomers.filter(~before)["satisfaction"].null_count() == 0
    incumbents = restless.life.filter(pl.col("cohort") == "incumbent")["satisfaction"]
    assert incumbents.is_between(-1, 1).all()


def test_arms_share_the_days_before(arms):
    control, influx, placebo = (arms[name].life for name in ("control", "influx", "placebo"))
    before = pl.col("day") < 0
    for other in (influx, placebo):
        assert_frame_equal(control.filter(before), other.filter(before))
    newcomers = control.filter(pl.col("cohort") == "newcomer")
    assert newcomers["there"].sum() == newcomers["impressions"].sum() == 0
    assert influx["comments_across"].sum() > 0
    assert placebo["comments_across"].sum() == placebo["follows_across"].sum() == 0


def test_threads_and_kept_impressions_change_nothing(restless):
    world = restless.world
    threaded = simulate(world, "influx", seed=4, threads=3)
    assert_frame_equal(threaded.life, restless.life)
    without = simulate_arms(world, ("influx",), 4, impressions=False)["influx"]
    assert_frame_equal(without.life, restless.life)


def test_a_topic_that_the_world_does_not_have_is_null():
    world = small_world()
    topics = {"food": 1.0, "homework help": 2.0}
    people = world.population
    population = people.model_copy(
        update={
            name: getattr(people, name).model_copy(update={"topics": topics})
            for name in ("incumbents", "newcomers")
        }
    )
    life = simulate(world.model_copy(update={"population": population}), "influx", seed=0).life
    assert life["across_language_exchange"].null_count() == life.height
    assert life["across_homework_help"].null_count() == 0


def test_no_day_is_an_empty_frame(restless):
    life = life_frame(restless.world, 4, [], restless.people, restless.posts_for)
    assert dict(life.schema) == LIFE
    assert life.is_empty()


def test_creators_answer_comments():
    """A share of the comments across languages is answered; with a rate of 0 or 1, none or all."""

    def answered(rate):
        actions = EAGER.model_copy(update={"reply": rate})
        world = restless_world().model_copy(update={"behaviour": Behaviour(actions=actions)})
        life = simulate(world, "influx", seed=4).life
        return life["replies_across"].sum(), life["comments_across"].sum()

    assert answered(0.0)[0] == 0
    replies, comments = answered(1.0)
    assert replies == comments > 200
    replies, comments = answered(0.3)
    assert abs(replies / comments - 0.3) < 4.5 * np.sqrt(0.21 / comments)
