"""What a user does with a served post: the logit of a click, and a draw for every action.

    x = b + a·taste_u[topic_i] + <p_u, q_i> + f_u[format_i] + quality_i + trend_u·buzz_i
        + commerce_u·tag_i + curiosity_u(t)·influx_i - pi·(1 - comprehension)
        + outward_u·comprehension, if the post is not in the app's language
        - fatigue·(posts of topic_i seen today) + mood of the visit
    comprehension = s + (1 - s)·max(subtitle_i·skill_u[other language], tau(t))
        with s = skill_u[language_i]
    P(click) = examine(rank)·sigmoid(x)

The kernels release the GIL, and write each visit to rows of its own. So blocks of visits may run in
threads without changing a bit. A plain version, which the tests hold equal to them, is
`slow_response` in tests/world/people/test_behaviour.py.
"""
# mypy: disallow-untyped-decorators=False

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Actions, Platform, World
from recsys.core.noise import Stream, philox4x32, unit
from recsys.logs.schema import KINDS
from recsys.world.people.draws import draw_two

_CLICK = int(Stream.CLICK)
_KINDS = tuple(KINDS.categories)
CLICKED = np.uint16(1 << _KINDS.index("click"))
SHOWN = np.uint16(1 << _KINDS.index("impression"))
FOLLOWED = np.uint16(1 << _KINDS.index("follow"))
_AFTER_CLICK = ("like", "save", "comment", "share", "follow", "hide", "product_click", "purchase")
_AFTER_BITS = np.array([1 << _KINDS.index(kind) for kind in _AFTER_CLICK], dtype=np.uint16)
_ON_TAGGED_ONLY = np.array([kind in ("product_click", "purchase") for kind in _AFTER_CLICK])


class Conditions(NamedTuple):
    """The day's coefficients, as the kernels take them."""

    intercept: float
    taste: float
    penalty: float
    translation: float
    curiosity: float
    fatigue: float
    drive: tuple[float, float, float]
    """Factors on interest, trend and similarity."""
    rates: NDArray[np.float64]
    """(2, 8) probability after a click of like, save, comment, share, follow, hide, product click
    and purchase: first for posts in the user's first language, then for all other posts."""

    @classmethod
    def on(
        cls,
        world: World,
        intercept: float,
        day: int,
        *,
        influx: bool,
        adapted: bool = True,
        talked_of: float = 0.0,
    ) -> "Conditions":
        """Coefficients on a day.

        Args:
            world: the config.
            intercept: b.
            day: 0 is the first day of the influx.
            influx: whether a real influx is there, to be curious about.
            adapted: whether the platform answers it with translation.
            talked_of: share of the last clicks that were on newcomers' posts, from 0 to 1.
        """
        settings, drive = world.behaviour, world.platform.drive
        translated = influx and adapted and day >= settings.translation_day
        wearing_off = math.exp(-day / settings.curiosity_days) if influx and day >= 0 else 0.0
        social = settings.curiosity_social * math.log1p(100 * talked_of) if influx else 0.0
        return cls(
            intercept=intercept,
            taste=settings.taste,
            penalty=settings.language_penalty,
            translation=settings.translation if translated else 0.0,
            curiosity=settings.curiosity * wearing_off + social,
            fatigue=settings.fatigue,
            drive=(drive.interest, drive.trend, drive.similarity),
            rates=_rates(settings.actions),
        )


def _rates(actions: Actions) -> NDArray[np.float64]:
    rates = np.array([[getattr(actions, kind) for kind in _AFTER_CLICK]] * 2)
    rates[1, _AFTER_CLICK.index("comment")] = actions.comment_across
    return rates


def examination(platform: Platform, ranks: int | None = None) -> NDArray[np.float64]:
    """Probability that each rank is looked at: row^-examination, cards of a row alike.

    Args:
        platform: layout.
        ranks: how many ranks; a whole visit by default.

    >>> examination(Platform(), 4).round(3).tolist()
    [1.0, 1.0, 0.758, 0.758]
    """
    row = np.arange(ranks or platform.visit_ranks) // platform.columns + 1
    return np.asarray(row ** -float(platform.examination))


def scroll_depth(
    platform: Platform,
    rho: float,
    seed: int,
    address: NDArray[np.uint32],
    when: int,
) -> NDArray[np.int32]:
    """How many ranks each visit shows: Yule–Simon many rows, at most `visit_ranks`.

    A Yule–Simon variate is geometric with success probability exp(-W), W exponential of rate rho.
    """
    first, second = draw_two(seed, Stream.DEPTH, address, 0, when)
    failure = -np.expm1(np.log(first) / rho)
    rows = 1 + np.floor(np.log(second) / np.log(np.clip(failure, 1e-12, 1 - 1e-12)))
    return np.asarray(np.minimum(rows * platform.columns, platform.visit_ranks), dtype=np.int32)


def moods(
    deviation: float, seed: int, address: NDArray[np.uint32], when: int
) -> NDArray[np.float64]:
    """Logits that all posts of a visit share, normal around 0, float64 (n,)."""
    if deviation == 0:
        return np.zeros(address.size)
    first, second = draw_two(seed, Stream.MOOD, address, 0, when)
    return np.asarray(deviation * np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second))


@njit(nogil=True, cache=True)
def lengths(feeds):  # type: ignore[no-untyped-def]
    """Number of posts of each feed, int64 (n,).

    Args:
        feeds: int32 (n, ranks), rows of posts, -1 from the end of a visit on.

    >>> lengths(np.array([[7, 3, -1, -1], [5, -1, -1, -1]], np.int32)).tolist()
    [2, 1]
    """
    found = np.empty(feeds.shape[0], dtype=np.int64)
    for visit in range(feeds.shape[0]):
        length = 0
        while length < feeds.shape[1] and feeds[visit, length] >= 0:
            length += 1
        found[visit] = length
    return found


@njit(nogil=True, cache=True)
def _visit_logits(  # type: ignore[no-untyped-def]
    people, taste, skill, posts, buzz, conditions, user, row, shown, out
):
    """x of a user and each post shown, without fatigue; NaN where the slot is empty.

    `row` is the user's row in taste and skill. Arrays are taken out of their tables once a visit:
    compiled code counts references at each look into a table, which costs more than the arithmetic.
    """
    taste, skill, latent = taste[row], skill[row], people.latent[user]
    pull, commerce = people.format_pull[user], people.commerce[user]
    curious, bent = people.curious[user], people.trend[user]
    app, outward = people.app_language[user], people.outward[user]
    language_of, topic_of, format_of = posts.language, posts.topic, posts.format
    subtitled = posts.subtitled
    quality, tagged, influx, factors = posts.quality, posts.tagged, posts.influx, posts.latent
    intercept, weight, penalty = conditions.intercept, conditions.taste, conditions.penalty
    translation, curiosity = conditions.translation, conditions.curiosity
    interest, trend, similarity = conditions.drive
    for rank in range(shown.size):
        post = shown[rank]
        if post < 0:
            out[rank] = np.nan
            continue
        language = language_of[post]
        fluency = skill[language]
        aid = translation
        if subtitled[post]:
            aid = max(aid, skill[1 - language])
        comprehension = fluency + (1.0 - fluency) * aid
        x = (
            intercept
            + interest * weight * taste[topic_of[post]]
            + pull[format_of[post]]
            + quality[post]
            + trend * bent * buzz[post]
            - penalty * (1.0 - comprehension)
        )
        if language != app:
            x += outward * comprehension
        product = np.float32(0.0)
        for factor in range(latent.size):
            product += latent[factor] * factors[post, factor]
        x += similarity * product
        if tagged[post]:
            x += commerce
        if influx[post] and curious:
            x += curiosity
        out[rank] = x


@njit(nogil=True, cache=True)
def logits(people, states, posts, buzz, conditions, users, feeds):  # type: ignore[no-untyped-def]
    """x of each served slot with fatigue, float32 (n, ranks); NaN where the slot is empty."""
    out = np.full(feeds.shape, np.nan, dtype=np.float32)
    topic_of, x = posts.topic, np.empty(feeds.shape[1])
    for visit in range(feeds.shape[0]):
        user = users[visit]
        today = states.seen_today[user].copy()
        _visit_logits(
            people,
            states.taste,
            states.skill,
            posts,
            buzz,
            conditions,
            user,
            user,
            feeds[visit],
            x,
        )
        for rank in range(feeds.shape[1]):
            post = feeds[visit, rank]
            if post < 0:
                continue
            topic = topic_of[post]
            out[visit, rank] = x[rank] - conditions.fatigue * today[topic]
            today[topic] += 1
    return out


@njit(nogil=True, cache=True)
def respond(  # type: ignore[no-untyped-def]
    people,
    states,
    posts,
    buzz,
    conditions,
    examine,
    moods,
    seed,
    when,
    users,
    feeds,
    actions,
    rewards,
):
    """Draws what each user does with each served post, and the utility of the visit.

    Args:
        people, states: People, UserStates; `states.seen_today` is changed.
        posts: PostTable, as these users are given it.
        buzz: float32 (n_posts,), log-buzz.
        conditions: Conditions.
        examine: float64 (ranks,).
        moods: float64 (n,), logits that all posts of a visit share.
        seed: uint64, world seed.
        when: the visit's `moment`, draw 0.
        users: int (n,), rows of the users, each at most once.
        feeds: int32 (n, ranks), -1 from the end of the visit on.
        actions: uint16 (n, ranks) out: a bit for each kind of event, 0 where nothing was shown.
        rewards: float32 (n,) out: Σ examine·sigmoid(x) / Σ examine over what was shown.
    """
    keys, topic_of, tagged, rates = posts.key, posts.topic, posts.tagged, conditions.rates
    language_of, app_of = posts.language, people.app_language
    fatigue, moment_ = conditions.fatigue, np.uint64(when)
    x = np.empty(feeds.shape[1])
    words, length = np.empty((4, feeds.shape[1]), dtype=np.uint64), lengths(feeds)
    for visit in range(feeds.shape[0]):
        shown, done_here = feeds[visit, : length[visit]], actions[visit]
        done_here[shown.size :] = 0
        user = users[visit]
        first_language = app_of[user]
        today, entity = states.seen_today[user], np.uint64(people.address[user])
        _visit_logits(
            people,
            states.taste,
            states.skill,
            posts,
            buzz,
            conditions,
            user,
            user,
            shown,
            x,
        )
        _first_words(words, keys, shown, entity, moment_, seed)
        utility, looks, mood = 0.0, 0.0, moods[visit]
        for rank in range(shown.size):
            post = shown[rank]
            topic = topic_of[post]
            done = SHOWN
            odds = 1.0 + math.exp(-(x[rank] + mood - fatigue * today[topic]))
            if today[topic] < 255:
                today[topic] += 1
            utility += examine[rank] / odds
            looks += examine[rank]
            if unit(words[0, rank]) * odds < examine[rank]:
                across = np.int64(language_of[post] != first_language)
                done |= CLICKED | _after_click(
                    words[:, rank],
                    rates[across],
                    tagged[post],
                    keys[post],
                    entity,
                    moment_,
                    seed,
                )
            done_here[rank] = done
        rewards[visit] = utility / max(looks, 1e-9)


@njit(nogil=True, cache=True)
def _first_words(words, keys, shown, entity, when, seed):  # type: ignore[no-untyped-def]
    """The four words of each rank's first draw, in a loop of its own that can be vectorised."""
    for rank in range(shown.size):
        words[0, rank] = keys[shown[rank]]
    for rank in range(shown.size):
        words[0, rank], words[1, rank], words[2, rank], words[3, rank] = philox4x32(
            np.uint64(_CLICK), words[0, rank], entity, when, seed
        )


@njit(nogil=True, cache=True)
def _after_click(first, rates, tagged, item, entity, when, seed):  # type: ignore[no-untyped-def]
    """Bits of what follows a click, by the three words it left over, and two more draws."""
    second = philox4x32(np.uint64(_CLICK), item, entity, when + np.uint64(1), seed)
    third = philox4x32(np.uint64(_CLICK), item, entity, when + np.uint64(2), seed)
    words = (
        first[1],
        first[2],
        first[3],
        second[0],
        second[1],
        second[2],
        second[3],
        third[0],
    )
    done = np.uint16(0)
    for kind in range(8):
        allowed = tagged or not _ON_TAGGED_ONLY[kind]
        if allowed and unit(words[kind]) < rates[kind]:
            done |= _AFTER_BITS[kind]
    return done


def solve_intercept(
    x: NDArray[np.float32], examine: NDArray[np.float64], click_rate: float
) -> float:
    """The intercept at which these impressions are clicked at the given mean rate.

    Args:
        x: float (n, ranks) logits without intercept, NaN where nothing was shown.
        examine: float (ranks,).
        click_rate: target mean of examine·sigmoid(b + x) over impressions.

    Raises:
        ValueError: if even certain clicks on everything examined stay below the rate.

    >>> b = solve_intercept(np.zeros((3, 2), np.float32), np.ones(2), 0.5)
    >>> round(b, 6)
    0.0
    """
    shown = ~np.isnan(x)
    seen = np.broadcast_to(examine, x.shape)[shown]
    values = x[shown].astype(np.float64)
    if seen.size == 0 or seen.mean() <= click_rate:
        raise ValueError(
            f"a click rate of {click_rate} cannot be reached: users look at "
            f"{seen.mean() if seen.size else 0:.3f} of the impressions; lower click_rate, or "
            "examination, or let more people visit"
        )
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        with np.errstate(over="ignore"):  # exp(1000) is infinite, and 1 / infinity is 0
            rate = float(np.mean(seen / (1 + np.exp(-(middle + values)))))
        low, high = (middle, high) if rate < click_rate else (low, middle)
    return (low + high) / 2


@njit(nogil=True, cache=True)
def click_probability(people, taste, skill, posts, conditions, users, feeds):  # type: ignore[no-untyped-def]
    """sigmoid(x) of each slot without fatigue and buzz, float32 (n, ranks), NaN where empty.

    `taste` and `skill` have a row for each of `users`, in whatever state users are asked about.
    """
    out = np.full(feeds.shape, np.nan, dtype=np.float32)
    buzz, x = np.zeros(posts.key.size, dtype=np.float32), np.empty(feeds.shape[1])
    for row in range(feeds.shape[0]):
        _visit_logits(people, taste, skill, posts, buzz, conditions, users[row], row, feeds[row], x)
        for rank in range(feeds.shape[1]):
            if feeds[row, rank] >= 0:
                out[row, rank] = 1.0 / (1.0 + math.exp(-x[rank]))
    return out
