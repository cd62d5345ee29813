"""The posts: every post that creators may publish in a run is drawn before the run starts.

A post's address is made of its creator, its day and its number on that day. So neither the length
of a run nor the posts of others change a post. Incumbents' posts come first, then newcomers'.
"""
# mypy: disallow-untyped-decorators=False

import math
from typing import Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Cohort, World
from recsys.core.noise import Stream, moment, normals, stable_keys, uniforms
from recsys.world.people.influx import Schedule, posts_by_day
from recsys.world.people.population import (
    LANGUAGES,
    MAX_FOLLOWS,
    People,
    latent_factors,
    sample_by_weight,
)

Posting = Literal["influx", "incumbents", "never"]
"""How often newcomers post: as an influx does, as incumbents do, or never."""

_MAX_PER_DAY = 16
"""Most posts of one creator on one day."""


class PostTable(NamedTuple):
    """All posts, one row each, whether they have been published yet or not."""

    key: NDArray[np.uint64]
    """Stable key in logs; its low word is the address of the post's draws."""
    creator: NDArray[np.int32]
    """Row of the creator among the people."""
    published: NDArray[np.float64]
    """Time of publication in days since the start of day 0."""
    topic: NDArray[np.int32]
    """Position in the cohorts' `topics`."""
    format: NDArray[np.int32]
    """Position in `FORMATS`."""
    language: NDArray[np.int32]
    """Position in `LANGUAGES`."""
    subtitled: NDArray[np.bool_]
    """Whether it has subtitles in the other language."""
    tagged: NDArray[np.bool_]
    """Whether it has a product tag."""
    quality: NDArray[np.float32]
    """Logits of a click."""
    latent: NDArray[np.float32]
    """(n, latent_factors)."""
    influx: NDArray[np.bool_]
    """Whether its creator came with a real influx; never true in a placebo."""

    @property
    def n(self) -> int:
        """Number of posts."""
        return int(self.key.size)

    def live(self, day: float, window_days: int) -> NDArray[np.bool_]:
        """Bool (n,): which posts can be served at a time.

        Args:
            day: the time in days since the start of day 0, such as 1.5.
            window_days: age in days up to which a post is served, such as 40.
        """
        age = day - self.published
        return (age > 0) & (age < window_days)


def first_day(world: World) -> int:
    """The day on which a run begins: first comes the burn-in, then the log before the influx."""
    return -world.days_before - world.burn_in_days


def is_creator(world: World, people: People) -> NDArray[np.bool_]:
    """Bool (n,): which incumbents post."""
    u = uniforms(world.population_seed, Stream.CREATOR, people.address)
    return np.asarray(u[:, 0] < world.population.creators)


def draw_incumbents_posts(world: World, people: People, seed: int) -> PostTable:
    """Draws all posts of the incumbents, from `window_days` before the first day to the last day.

    Args:
        world: the world.
        people: the incumbents.
        seed: world seed, such as 0.
    """
    creators = np.flatnonzero(is_creator(world, people))
    days = np.arange(first_day(world) - world.posts.window_days, world.days_after)
    u = uniforms(seed, Stream.POSTING, people.address[creators][:, None], 0, moment(days))[..., 0]
    return _draw_posts(
        world,
        people,
        world.population.incumbents,
        creators,
        days,
        _poisson(world.posts.per_creator_day, u),
        seed,
    )


def draw_newcomers_posts(
    world: World,
    people: People,
    law: Cohort,
    seed: int,
    *,
    influx: bool,
    posting: Posting = "influx",
) -> PostTable:
    """Draws all posts of the newcomers; their number does not depend on the law.

    Args:
        world: the world.
        people: incumbents, then newcomers; rows from `world.incumbents` on are the creators.
        law: the law from which the newcomers were drawn.
        seed: world seed, such as 0.
        influx: whether users recognise these posts as the newcomers'; False in a placebo.
        posting: how often they post.
    """
    newcomers = np.arange(world.incumbents, people.n)
    schedule = Schedule(
        people.arrival[newcomers],
        people.departure[newcomers],
        people.presence[newcomers],
    )
    days = np.arange(world.days_after)
    address = people.address[newcomers]
    if posting == "influx":
        counts = posts_by_day(world, address, schedule, seed)
    elif posting == "incumbents":
        counts = _as_incumbents(world, address, schedule, seed)
    else:
        counts = np.zeros((newcomers.size, days.size), dtype=np.int64)
    table = _draw_posts(world, people, law, newcomers, days, counts, seed)
    return table._replace(influx=np.full(table.n, influx))


def _as_incumbents(
    world: World, address: NDArray[np.uint32], people: Schedule, seed: int
) -> NDArray[np.int64]:
    """Number of posts by day of newcomers who post as incumbents do while they are there.

    The same share of them are creators, and a creator posts as often.

    Args:
        world, seed: as in `draw_newcomers_posts`.
        address: uint32 (n,), addresses of the newcomers' draws.
        people: the newcomers' schedule.

    Returns:
        int64 (n, days_after).
    """
    days = np.arange(world.days_after)
    creates = uniforms(seed, Stream.CREATOR, address)[:, 0] < world.population.creators
    u = uniforms(seed, Stream.POSTING, address[:, None], 0, moment(days))[..., 0]
    there = (people.arrival[:, None] <= days) & (days < people.departure[:, None])
    counts = _poisson(world.posts.per_creator_day, u)
    return np.asarray(counts * (there & creates[:, None]), dtype=np.int64)


def draw_follows(world: World, people: People) -> NDArray[np.int32]:
    """Draws whom incumbents follow at the start: creators who post on the topics that they like.

    Args:
        world: the world.
        people: the incumbents.

    Returns:
        int32 (n, MAX_FOLLOWS): rows of creators, -1 where there is none.
    """
    follows = np.full((people.n, MAX_FOLLOWS), -1, dtype=np.int32)
    creators = np.flatnonzero(is_creator(world, people))
    if creators.size == 0:
        return follows
    seed, sigma = world.population_seed, world.population.audience_sigma
    z = normals(seed, Stream.CREATOR, people.address[creators], 1)[:, 0]
    attraction = np.cumsum(people.taste[creators].T * np.exp(sigma * z), axis=1, dtype=np.float64)
    count = _poisson(
        world.population.follows, uniforms(seed, Stream.FOLLOW, people.address)[:, :1]
    )[:, 0]
    for slot in range(MAX_FOLLOWS):
        u = uniforms(seed, Stream.FOLLOW, people.address, 1 + slot)
        topic = _categorical(people.taste, u[:, 0])
        chosen = np.empty(people.n, dtype=np.int64)
        for code in range(people.taste.shape[1]):
            mask = topic == code
            chosen[mask] = sample_by_weight(attraction[code], u[mask, 1])
        follows[:, slot] = np.where(slot < count, creators[chosen], -1)
    return follows


def _draw_posts(
    world: World,
    people: People,
    law: Cohort,
    creators: NDArray[np.int64],
    days: NDArray[np.int64],
    counts: NDArray[np.int64],
    seed: int,
) -> PostTable:
    """Posts in the order of creator, day and number on that day.

    Args:
        world, people, law, seed: as in `draw_newcomers_posts`.
        creators: int (c,), rows of people.
        days: int (d,).
        counts: int (c, d), number of posts.
    """
    counts = np.minimum(counts, _MAX_PER_DAY)
    row, column = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    number = np.arange(row.size) - np.repeat(
        np.cumsum(counts.ravel()) - counts.ravel(), counts.ravel()
    )
    creator, day = creators[row], days[column]
    key = stable_keys(
        Stream.POST_KEY, people.address[creator], (day + 2**15) * _MAX_PER_DAY + number
    )
    u = uniforms(seed, Stream.POST, key, 0)
    v = uniforms(seed, Stream.POST, key, 1)
    return PostTable(
        key=key,
        creator=creator.astype(np.int32),
        published=day + u[:, 0],
        topic=_categorical(people.taste[creator], u[:, 1]),
        format=sample_by_weight(np.cumsum(law.formats or world.platform.formats), u[:, 2]).astype(
            np.int32
        ),
        language=_language(world, people, law, creator, key, seed),
        subtitled=np.zeros(key.size, dtype=np.bool_),
        tagged=u[:, 3] < law.product_tags,
        quality=(
            world.posts.quality_scale * np.sqrt(-2 * np.log(v[:, 0])) * np.cos(2 * np.pi * v[:, 1])
        ).astype(np.float32),
        latent=latent_factors(world, seed, Stream.POST_LATENT, key),
        influx=np.zeros(key.size, dtype=np.bool_),
    )


def _language(
    world: World,
    people: People,
    law: Cohort,
    creator: NDArray[np.int64],
    key: NDArray[np.uint64],
    seed: int,
) -> NDArray[np.int32]:
    """Int32 (n,): the language of posts before any adaptation; arguments as in `_draw_posts`.

    Most posts are in the cohort's language. A bilingual creator also posts in the other one.
    """
    own = LANGUAGES.index(law.language)
    bilingual = people.skill[creator, 1 - own] >= law.skill_bilingual
    u = uniforms(seed, Stream.POST, key, 4)[:, 0]
    in_other = bilingual & (u < law.bilingual_posts)
    return np.where(in_other, 1 - own, own).astype(np.int32)


def adaptation(audience: NDArray[np.float64], most: float, days: float) -> NDArray[np.float64]:
    """Share of new posts that are adapted to newcomers, by day: it follows the foreign audience.

    da/dt = (a_inf·audience - a)/tau. While all newcomers stay, a = a_inf(1 - exp(-t/tau)); when
    they leave, a falls as slowly as it rose.

    Args:
        audience: float (days,), size of the foreign audience, from 0 to 1; see `_audience`.
        most: a_inf, the share once creators have adapted to an audience of 1, such as .1.
        days: tau, in days, such as 2.

    Returns:
        float64 (days,), the share on each day from day 0 on.

    >>> adaptation(np.ones(4), 0.1, 2.0).round(3).tolist()
    [0.0, 0.039, 0.063, 0.078]
    """
    share, shares = 0.0, np.zeros(audience.size)
    keep = math.exp(-1 / days)
    for day, size in enumerate(audience):
        shares[day] = share
        share = keep * share + (1 - keep) * most * size
    return shares


def _audience(world: World, newcomers: People) -> NDArray[np.float64]:
    """Newcomers there on each day as a share of the peak, times a factor up to 1.

    The factor is below 1 where the peak is smaller than `adaptation_audience`.
    """
    days = np.arange(world.days_after)[:, None]
    there = ((newcomers.arrival <= days) & (days < newcomers.departure)).sum(axis=1)
    enough = world.posts.adaptation_audience * world.incumbents
    peak = there.max(initial=0)
    return np.asarray(there / max(peak, 1) * min(peak / enough, 1.0))


def subtitled(world: World, posts: PostTable, newcomers: People, seed: int) -> NDArray[np.bool_]:
    """Bool (n,): which of the incumbents' posts get subtitles as creators adapt to an influx.

    Args:
        world: its `posts` say how many posts are adapted, and how soon.
        posts: the incumbents' posts.
        newcomers: the people who arrive.
        seed: world seed, such as 0.
    """
    shares = np.append(answering(world, newcomers, world.posts.subtitled), 0.0)
    day = np.floor(posts.published).astype(np.int64)
    share = np.where(day >= 0, shares[np.clip(day, 0, world.days_after)], 0.0)
    return np.asarray(uniforms(seed, Stream.POST, posts.key, 2)[:, 0] < share)


def answering(world: World, newcomers: People, most: float) -> NDArray[np.float64]:
    """Float64 (days_after,): share of new posts that are adapted to these newcomers, by day.

    Args:
        world: the world.
        newcomers: the people who arrive.
        most: the share once creators have adapted in full, such as .05.
    """
    return adaptation(_audience(world, newcomers), most, world.posts.adaptation_days)


MOST_ENGAGED = 3.0
"""Most times the mean share at which a creator answers (C)."""


def answers(
    posts: PostTable, day: int, share: float, clicks: NDArray[np.float64], seed: int
) -> NDArray[np.intp]:
    """Rows of the incumbents' posts of a day that are in the newcomers' language by adaptation.

    A creator whom newcomers do not click answers at half the mean share, one whom they click twice
    as often as the mean creator at one and a half times that share, and so on up to `MOST_ENGAGED`
    times. Nobody answers before newcomers have clicked.

    Args:
        posts: the incumbents' posts.
        day: the day, such as 3.
        share: share of new posts at mean engagement; see `answering`.
        clicks: float64 (n_posts,), newcomers' clicks on each of the posts so far.
        seed: world seed, such as 0.
    """
    today = np.flatnonzero(np.floor(posts.published) == day)
    if not today.size or share == 0:
        return today[:0]
    earned = np.bincount(posts.creator, clicks)
    creators = np.bincount(posts.creator) > 0
    mean = earned[creators].mean()
    if mean == 0:
        return today[:0]
    engagement = np.minimum((earned / mean + 1) / 2, MOST_ENGAGED)
    u = uniforms(seed, Stream.POST, posts.key[today], 3)[:, 0]
    return np.asarray(today[u < share * engagement[posts.creator[today]]])


@njit(nogil=True, cache=True)
def _poisson(mean, u):  # type: ignore[no-untyped-def]
    """Poisson counts by inversion, elementwise over a 2-d array of uniforms."""
    out = np.empty(u.shape, dtype=np.int64)
    for row in range(u.shape[0]):
        for column in range(u.shape[1]):
            count = 0
            probability = math.exp(-mean)
            cumulative = probability
            while u[row, column] > cumulative and count < 10_000:
                count += 1
                probability *= mean / count
                cumulative += probability
            out[row, column] = count
    return out


@njit(nogil=True, cache=True)
def _categorical(weights, u):  # type: ignore[no-untyped-def]
    """Draws one index for each row, with probability proportional to the row's weights."""
    out = np.empty(u.size, dtype=np.int32)
    for row in range(u.size):
        rest = u[row] * weights[row].sum()
        index = 0
        while index < weights.shape[1] - 1 and rest >= weights[row, index]:
            rest -= weights[row, index]
            index += 1
        out[row] = index
    return out
