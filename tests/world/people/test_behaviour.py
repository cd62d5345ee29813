"""The compiled response against a plain version of its formula, and what each term does."""

import math

import numpy as np
import pytest

from recsys.config import Platform
from recsys.core.noise import Stream, moment, philox
from recsys.logs.schema import KINDS
from recsys.world.people import behaviour
from recsys.world.people.behaviour import Conditions, examination, scroll_depth, solve_intercept
from recsys.world.people.user_states import UserStates

KIND = list(KINDS.categories)
AFTER_A_CLICK = (
    "like",
    "save",
    "comment",
    "share",
    "follow",
    "hide",
    "product_click",
    "purchase",
)


@pytest.fixture(scope="module")
def served(arms):
    """Some feeds of the influx arm's posts, with holes at the end."""
    influx = arms["influx"]
    rng = np.random.default_rng(0)
    users = rng.permutation(influx.people.n)[:60].astype(np.int64)
    feeds = rng.integers(0, influx.posts.n, (60, 12)).astype(np.int32)
    feeds[::5, 9:] = -1
    buzz = rng.random(influx.posts.n).astype(np.float32)
    return influx, users, feeds, buzz


def conditions(influx, day=7):
    return Conditions.on(influx.world, influx.intercept, day, influx=True)


def states(people):
    return UserStates.fresh(people, np.full((people.n, 16), -1, np.int32), 64, 48)


def slow_logit(people, posts, buzz, c, user, post):
    """x of one user and one post, without fatigue: the formula, in the order of the kernel's
    sums."""
    language = posts.language[post]
    skill = float(people.skill[user, language])
    subtitle = float(posts.subtitled[post]) * float(people.skill[user, 1 - language])
    comprehension = skill + (1 - skill) * max(subtitle, c.translation)
    interest, trend, similarity = c.drive
    x = c.intercept
    x += interest * c.taste * float(people.taste[user, posts.topic[post]])
    x += float(people.format_pull[user, posts.format[post]])
    x += float(posts.quality[post])
    x += trend * float(people.trend[user]) * float(buzz[post])
    x -= c.penalty * (1 - comprehension)
    product = np.float32(0)
    for of_user, of_post in zip(people.latent[user], posts.latent[post], strict=True):
        product += of_user * of_post
    x += similarity * float(product)
    if language != people.app_language[user]:
        x += float(people.outward[user]) * comprehension
    x += float(people.commerce[user]) * float(posts.tagged[post])
    return x + c.curiosity * float(posts.influx[post]) * float(people.curious[user])


def slow_response(people, posts, buzz, c, examine, mood, seed, when, user, shown):
    """Logits, actions (sets of kinds) and reward of one visit, slot by slot."""
    seen_today, logits, actions, looks, utility = {}, [], [], 0.0, 0.0
    for rank, post in enumerate(shown):
        if post < 0:
            logits.append(np.float32(np.nan))
            actions.append(set())
            continue
        topic = int(posts.topic[post])
        tired = c.fatigue * seen_today.get(topic, 0)
        seen_today[topic] = seen_today.get(topic, 0) + 1
        x = slow_logit(people, posts, buzz, c, user, post)
        logits.append(np.float32(x - tired))
        odds = 1 + math.exp(-(x + mood - tired))
        utility += examine[rank] / odds
        looks += examine[rank]
        draws = [
            (float(word) + 0.5) / 2**32
            for draw in range(3)
            for word in philox(
                seed, Stream.CLICK, posts.key[post], people.address[user], when + draw
            )
        ]
        done = {"impression"}
        if draws[0] * odds < examine[rank]:
            across = int(posts.language[post] != people.app_language[user])
            done |= {"click"} | {
                kind
                for kind, u, rate in zip(AFTER_A_CLICK, draws[1:], c.rates[across], strict=False)
                if u < rate and (posts.tagged[post] or kind not in ("product_click", "purchase"))
            }
        actions.append(done)
    return logits, actions, np.float32(utility / looks)


def test_kernels_equal_the_formula(served):
    influx, users, feeds, buzz = served
    people, posts = influx.people, influx.posts
    c = conditions(influx)
    c = c._replace(rates=np.linspace(0.3, 0.6, 16).reshape(2, 8))  # so that all kinds occur
    examine = examination(influx.world.platform, 12)
    actions = np.ones(feeds.shape, dtype=np.uint16)
    rewards = np.zeros(users.size, dtype=np.float32)
    when = int(moment(7, visit=2))
    x = behaviour.logits(people, states(people), posts, buzz, c, users, feeds)
    moods = behaviour.moods(1.5, 9, people.address[users], when)
    behaviour.respond(
        people,
        states(people),
        posts,
        buzz,
        c,
        examine,
        moods,
        np.uint64(9),
        when,
        users,
        feeds,
        actions,
        rewards,
    )
    occurred = set()
    for row, user in enumerate(users):
        expected = slow_response(
            people, posts, buzz, c, examine, moods[row], 9, when, user, feeds[row]
        )
        np.testing.assert_array_equal(x[row], expected[0])
        for bits, kinds in zip(actions[row].tolist(), expected[1], strict=True):
            assert {kind for at, kind in enumerate(KIND) if bits >> at & 1} == kinds
            occurred |= kinds
        assert rewards[row] == expected[2]
    assert occurred == {"impression", "click", *AFTER_A_CLICK}


def test_moods_are_normal_and_one_a_visit():
    address = np.arange(20_000, dtype=np.uint32)
    first, second = (behaviour.moods(1.5, 9, address, int(moment(3, visit=v))) for v in (0, 1))
    # 4.5 standard errors of a mean, a deviation and a correlation of 20,000
    assert abs(first.mean()) < 4.5 * 1.5 / math.sqrt(20_000)
    assert abs(first.std() / 1.5 - 1) < 4.5 / math.sqrt(40_000)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4.5 / math.sqrt(20_000)
    np.testing.assert_array_equal(first[:10], behaviour.moods(1.5, 9, address[:10], int(moment(3))))
    assert not behaviour.moods(0.0, 9, address, 0).any()


def test_follow_ups_need_a_click_and_commerce_a_tag(arms):
    log = arms["control"].log.events.join(
        arms["control"].log.items.select("item_id", "product_tag"), on="item_id"
    )
    clicks = log.filter(log["kind"] == "click").select("user_id", "item_id").unique()
    after = log.filter(~log["kind"].is_in(["impression", "click"]))
    assert after.height > 20
    assert after.join(clicks, on=["user_id", "item_id"], how="anti").is_empty()
    bought = log.filter(log["kind"].is_in(["product_click", "purchase"]))
    assert bought["product_tag"].all()


def test_rates_after_a_click(arms):
    days = [day for arm in arms.values() for day in arm.days]
    kinds = np.concatenate([day.kind for day in days])
    clicks = (kinds == KIND.index("click")).sum()
    for kind, rate in (("like", 0.032), ("save", 0.03)):
        share = (kinds == KIND.index(kind)).sum() / clicks
        assert abs(share - rate) < 4.5 * math.sqrt(rate / clicks)


@pytest.mark.parametrize(
    ("change", "direction"),
    [
        ({"language_penalty": 0.0}, 1),
        ({"language_penalty": 4.0}, -1),
        ({"translation": 1.0}, 1),
        ({"curiosity": 3.0}, 1),
    ],
)
def test_terms_move_clicks_on_newcomers_posts_the_right_way(arms, change, direction):
    influx = arms["influx"]
    few = np.arange(200)
    theirs = np.flatnonzero(influx.posts.influx)[:20].astype(np.int32)
    feeds = np.tile(theirs, (200, 1))
    base = influx.world
    buzz = np.zeros(influx.posts.n, dtype=np.float32)

    def mean(world):
        c = Conditions.on(world, influx.intercept, 6, influx=True)
        return behaviour.logits(
            influx.people,
            states(influx.people),
            influx.posts,
            buzz,
            c,
            few,
            feeds,
        ).mean()

    changed = base.model_copy(update={"behaviour": base.behaviour.model_copy(update=change)})
    assert direction * (mean(changed) - mean(base)) > 0.1


def test_translation_and_curiosity_answer_a_real_influx_only(world):
    late = Conditions.on(world, 0.0, 6, influx=True)
    assert late.translation == 0.45
    assert late.curiosity == pytest.approx(math.exp(-6 / 4))
    assert Conditions.on(world, 0.0, 5, influx=True).translation == 0
    assert Conditions.on(world, 0.0, -1, influx=True).curiosity == 0
    placebo = Conditions.on(world, 0.0, 6, influx=False)
    assert (placebo.translation, placebo.curiosity) == (0, 0)
    unadapted = Conditions.on(world, 0.0, 6, influx=True, adapted=False)
    assert unadapted.translation == 0
    assert unadapted.curiosity == late.curiosity


def test_examination_goes_by_rows_of_the_layout():
    single = examination(Platform(columns=1, examination=0.8), 4)
    np.testing.assert_allclose(single, np.array([1.0, 2, 3, 4]) ** -0.8)
    double = examination(Platform(columns=2, examination=0.8), 4)
    assert double[0] == double[1] == 1
    assert double[2] == double[3] == 2**-0.8


def test_scroll_depth_is_yule_simon():
    address = np.arange(100_000, dtype=np.uint32)
    rows = scroll_depth(Platform(columns=1, visit_ranks=200), 2.0, 5, address, int(moment(3)))
    # P(K >= k) = rho B(k, rho + 1) summed: for rho = 2 it is 2/(k (k + 1))
    for k in (1, 2, 3, 5, 10):
        expected = 2 / (k * (k + 1))
        error = math.sqrt(expected * (1 - expected) / address.size)
        assert abs((rows >= k).mean() - expected) <= 4.5 * error
    assert rows.max() <= 200


def test_intercept_meets_the_rate_and_refuses_what_cannot_be():
    x = np.random.default_rng(0).normal(size=(500, 20)).astype(np.float32)
    x[::7, 15:] = np.nan
    examine = examination(Platform(), 20)
    b = solve_intercept(x, examine, 0.086)
    p = examine / (1 + np.exp(-(b + x.astype(float))))
    assert np.nanmean(p) == pytest.approx(0.086, abs=1e-9)
    with pytest.raises(ValueError, match="cannot be reached"):
        solve_intercept(x, examine, 0.9)
    with pytest.raises(ValueError, match="cannot be reached"):
        solve_intercept(np.full((3, 20), np.nan, np.float32), examine, 0.1)


@pytest.mark.parametrize("calm", [True, False])
def test_click_probability_in_the_twins_state_and_in_ones_own(arms, calm):
    influx, control = arms["influx"], arms["control"]
    users = np.arange(30)
    feeds = np.random.default_rng(1).integers(0, influx.posts.n, (30, 5)).astype(np.int32)
    feeds[0, 3:] = -1
    got = influx.click_probability(users, feeds, 3, control if calm else None)
    state = (control if calm else influx).morning(3)
    rows = influx.people.n
    people = influx.people._replace(
        taste=np.resize(state.taste, (rows, 24)), skill=np.resize(state.skill, (rows, 2))
    )
    c = state.conditions[0]
    assert (c.curiosity > 0) != calm
    nothing = np.zeros(influx.posts.n, dtype=np.float32)
    for row in range(30):
        for rank in range(5):
            if feeds[row, rank] < 0:
                assert np.isnan(got[row, rank])
                continue
            x = slow_logit(people, influx.posts, nothing, c, row, feeds[row, rank])
            assert got[row, rank] == pytest.approx(1 / (1 + math.exp(-x)), abs=1e-5)
