"""What: creators, and every note that they may publish in a run, drawn before it starts.

A note's address is its creator and slot (day and number on that day), so how long a run lasts and
who else posts changes no note. Incumbents' notes come first, then newcomers'.
"""
# mypy: disallow-untyped-decorators=False

import math
from typing import NamedTuple

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

_MOST_A_DAY = 16


class NoteTable(NamedTuple):
    """One row a note; published or not. Floats are float32 unless said otherwise."""

    key: NDArray[np.uint64]
    """Stable key in logs; its low word addresses the note's draws."""
    creator: NDArray[np.int32]
    """Row of the creator among the people."""
    published: NDArray[np.float64]
    """Days since the start of day 0."""
    topic: NDArray[np.int32]
    format: NDArray[np.int32]
    language: NDArray[np.int32]
    """In which it is posted."""
    subtitled: NDArray[np.bool_]
    """Carries subtitles in the other language."""
    tagged: NDArray[np.bool_]
    """Carries a product tag."""
    quality: NDArray[np.float32]
    """Logits."""
    latent: NDArray[np.float32]
    """(n, latent_factors)."""
    influx: NDArray[np.bool_]
    """By one who came with a real influx; never true in a placebo."""

    @property
    def n(self) -> int:
        """Number of notes."""
        return int(self.key.size)

    def live(self, day: float, window_days: int) -> NDArray[np.bool_]:
        """Bool (n,): published before the start of `day`, and not older than the window."""
        age = day - self.published
        return (age > 0) & (age < window_days)


def first_day(world: World) -> int:
    """The first day that is run: the burn-in, then the log's days before the influx."""
    return -world.days_before - world.burn_in_days


def is_creator(world: World, people: People) -> NDArray[np.bool_]:
    """Bool (n,): which incumbents post."""
    u = uniforms(world.population_seed, Stream.CREATOR, people.address)
    return np.asarray(u[:, 0] < world.population.creators)


def draw_incumbents_notes(world: World, people: People, seed: int) -> NoteTable:
    """All notes of the incumbents from one window before the first day to the last day.

    Args:
        world: the world.
        people: the incumbents.
        seed: world seed: what is posted is luck.
    """
    creators = np.flatnonzero(is_creator(world, people))
    days = np.arange(first_day(world) - world.notes.window_days, world.days_after)
    u = uniforms(seed, Stream.POSTING, people.address[creators][:, None], 0, moment(days))[..., 0]
    return _draw_notes(
        world,
        people,
        world.population.incumbents,
        creators,
        days,
        _poisson(world.notes.per_creator_day, u),
        seed,
    )


def draw_newcomers_notes(
    world: World, everybody: People, law: Cohort, seed: int, *, influx: bool
) -> NoteTable:
    """All notes of the newcomers; their number is the same under every law.

    Args:
        world: the world.
        everybody: incumbents, then newcomers; the rows from `world.incumbents` on post.
        law: the law from which the newcomers were drawn.
        seed: world seed.
        influx: whether readers take these notes for the newcomers' (False in a placebo).
    """
    newcomers = np.arange(world.incumbents, everybody.n)
    schedule = Schedule(
        everybody.arrival[newcomers],
        everybody.departure[newcomers],
        everybody.presence[newcomers],
    )
    counts = posts_by_day(world, everybody.address[newcomers], schedule, seed)
    days = np.arange(world.days_after)
    table = _draw_notes(world, everybody, law, newcomers, days, counts, seed)
    return table._replace(influx=np.full(table.n, influx))


def draw_follows(world: World, people: People) -> NDArray[np.int32]:
    """Whom incumbents follow at the start: creators with their tastes, the attractive ones more.

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
            mine = topic == code
            chosen[mine] = sample_by_weight(attraction[code], u[mine, 1])
        follows[:, slot] = np.where(slot < count, creators[chosen], -1)
    return follows


def _draw_notes(
    world: World,
    people: People,
    law: Cohort,
    creators: NDArray[np.int64],
    days: NDArray[np.int64],
    counts: NDArray[np.int64],
    seed: int,
) -> NoteTable:
    """Notes in the order of creator, day and number on that day; `counts` is (creators, days)."""
    counts = np.minimum(counts, _MOST_A_DAY)
    row, column = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    number = np.arange(row.size) - np.repeat(
        np.cumsum(counts.ravel()) - counts.ravel(), counts.ravel()
    )
    creator, day = creators[row], days[column]
    key = stable_keys(
        Stream.NOTE_KEY, people.address[creator], (day + 2**15) * _MOST_A_DAY + number
    )
    u = uniforms(seed, Stream.NOTE, key, 0)
    v = uniforms(seed, Stream.NOTE, key, 1)
    return NoteTable(
        key=key,
        creator=creator.astype(np.int32),
        published=day + u[:, 0],
        topic=_categorical(people.taste[creator], u[:, 1]),
        format=sample_by_weight(np.cumsum(law.formats or world.platform.formats), u[:, 2]).astype(
            np.int32
        ),
        language=np.full(key.size, LANGUAGES.index(law.language), dtype=np.int32),
        subtitled=np.zeros(key.size, dtype=np.bool_),
        tagged=u[:, 3] < law.product_tags,
        quality=(
            world.notes.quality_scale * np.sqrt(-2 * np.log(v[:, 0])) * np.cos(2 * np.pi * v[:, 1])
        ).astype(np.float32),
        latent=latent_factors(world, seed, Stream.NOTE_LATENT, key),
        influx=np.zeros(key.size, dtype=np.bool_),
    )


def adaptation(audience: NDArray[np.float64], most: float, days: float) -> NDArray[np.float64]:
    """Share of new notes that answer newcomers on each day: it follows the foreign audience.

    da/dt = (a_inf·audience - a)/tau: while everybody stays that is a_inf(1 - exp(-t/tau)), and it
    goes back, as slowly, when they leave.

    Args:
        audience: float (days,), newcomers there by day, as a share of the most there ever were;
            less where those were few.
        most: a_inf, the share once creators have adapted to all of them.
        days: tau.

    Returns:
        float64 (days,), the share on each day from day 0 on.

    >>> adaptation(np.ones(4), 0.1, 2.0).round(3).tolist()
    [0.0, 0.039, 0.063, 0.078]
    """
    share, shares = 0.0, np.zeros(audience.size)
    keep = math.exp(-1 / days)
    for day, there in enumerate(audience):
        shares[day] = share
        share = keep * share + (1 - keep) * most * there
    return shares


def _audience(world: World, newcomers: People) -> NDArray[np.float64]:
    days = np.arange(world.days_after)[:, None]
    there = ((newcomers.arrival <= days) & (days < newcomers.departure)).sum(axis=1)
    enough = world.notes.adaptation_audience * world.incumbents
    peak = there.max(initial=0)
    return np.asarray(there / max(peak, 1) * min(peak / enough, 1.0))


def adapted(world: World, notes: NoteTable, newcomers: People, seed: int) -> NoteTable:
    """Incumbents' notes once their creators answer an influx: with subtitles, or in its language.

    Whether a note carries subtitles and in which language it is posted are draws of their own.

    Args:
        world: how many notes answer, and how soon.
        notes: the incumbents' notes.
        newcomers: who comes and goes when.
        seed: world seed.
    """
    audience, settings = _audience(world, newcomers), world.notes
    day = np.floor(notes.published).astype(np.int64)

    def answers(most: float, draw: int) -> NDArray[np.bool_]:
        shares = np.append(adaptation(audience, most, settings.adaptation_days), 0.0)
        share = np.where(day >= 0, shares[np.clip(day, 0, world.days_after)], 0.0)
        return np.asarray(uniforms(seed, Stream.NOTE, notes.key, draw)[:, 0] < share)

    theirs = np.int32(LANGUAGES.index(world.population.newcomers.language))
    return notes._replace(
        subtitled=answers(settings.subtitled, 2),
        language=np.where(answers(settings.posted_across, 3), theirs, notes.language),
    )


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
    """One index a row, with probability proportional to the row's weights."""
    out = np.empty(u.size, dtype=np.int32)
    for row in range(u.size):
        rest = u[row] * weights[row].sum()
        index = 0
        while index < weights.shape[1] - 1 and rest >= weights[row, index]:
            rest -= weights[row, index]
            index += 1
        out[row] = index
    return out
