"""What a reader does with a served note: the click logit, and a keyed draw for every action.

    x = b + a·taste_u[topic_i] + <p_u, q_i> + f_u[format_i] + quality_i + trend_u·buzz_i
        + commerce_u·tag_i + curiosity_u(t)·influx_i - pi·(1 - comprehension)
        - fatigue·(notes of topic_i seen today)
    comprehension = s + (1 - s)·max(subtitle_i·skill_u[other language], tau(t))
        with s = skill_u[language_i]
    P(click) = examine(rank)·sigmoid(x)

The kernels release the GIL and write each visit to its own rows, so callers may run blocks of
visits in threads without changing a bit.
"""
# mypy: disallow-untyped-decorators=False

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Platform, World
from recsys.noise import Stream, philox4x32, uniforms, unit
from recsys.schema import KINDS

__all__ = [
    "Conditions",
    "click_probability",
    "examination",
    "logits",
    "respond",
    "scroll_depth",
    "solve_intercept",
]

_CLICK = int(Stream.CLICK)
_KINDS = tuple(KINDS.categories)
CLICKED = np.uint16(1 << _KINDS.index("click"))
SHOWN = np.uint16(1 << _KINDS.index("impression"))
_FOLLOW_BIT = np.uint16(1 << _KINDS.index("follow"))
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
    """Probability after a click of like, save, comment, share, follow, hide, product click and
    purchase."""

    @classmethod
    def on(
        cls, world: World, intercept: float, day: int, *, influx: bool, adapted: bool = True
    ) -> "Conditions":
        """Coefficients on a day.

        Args:
            world: the config.
            intercept: b.
            day: 0 is the first day of the influx.
            influx: whether a real influx is there, to be curious about.
            adapted: whether the platform answers it with translation.
        """
        settings, drive = world.behaviour, world.platform.drive
        translated = influx and adapted and day >= settings.translation_day
        wearing_off = math.exp(-day / settings.curiosity_days) if influx and day >= 0 else 0.0
        return cls(
            intercept=intercept,
            taste=settings.taste,
            penalty=settings.language_penalty,
            translation=settings.translation if translated else 0.0,
            curiosity=settings.curiosity * wearing_off,
            fatigue=settings.fatigue,
            drive=(drive.interest, drive.trend, drive.similarity),
            rates=np.array([getattr(settings.actions, kind) for kind in _AFTER_CLICK]),
        )


def examination(platform: Platform, ranks: int | None = None) -> NDArray[np.float64]:
    """Probability that each rank is looked at: row^-examination, cards of a row alike.

    Args:
        platform: layout.
        ranks: how many ranks; a whole visit by default.

    >>> examination(Platform(), 4).round(3).tolist()
    [1.0, 1.0, 0.574, 0.574]
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
    u = uniforms(seed, Stream.DEPTH, address, 0, when)
    failure = -np.expm1(np.log(u[:, 0]) / rho)
    rows = 1 + np.floor(np.log(u[:, 1]) / np.log(np.clip(failure, 1e-12, 1 - 1e-12)))
    return np.asarray(np.minimum(rows * platform.columns, platform.visit_ranks), dtype=np.int32)


@njit(inline="always")
def _logit(people, taste, skill, notes, subtitled, buzz, conditions, user, row, note):  # type: ignore[no-untyped-def]
    """x of a reader and a note, without fatigue; `row` is the reader's in taste and skill."""
    language = notes.language[note]
    known = skill[row, language]
    help_ = conditions.translation
    if subtitled[note]:
        help_ = max(help_, skill[row, 1 - language])
    comprehension = known + (1.0 - known) * help_
    interest, trend, similarity = conditions.drive
    x = (
        conditions.intercept
        + interest * conditions.taste * taste[row, notes.topic[note]]
        + people.format_pull[user, notes.format[note]]
        + notes.quality[note]
        + trend * people.trend[user] * buzz[note]
        - conditions.penalty * (1.0 - comprehension)
    )
    product = np.float32(0.0)
    for factor in range(people.latent.shape[1]):
        product += people.latent[user, factor] * notes.latent[note, factor]
    x += similarity * product
    if notes.tagged[note]:
        x += people.commerce[user]
    if notes.influx[note] and people.curious[user]:
        x += conditions.curiosity
    return x


@njit(nogil=True, cache=True)
def logits(people, readers, notes, subtitled, buzz, conditions, users, feeds):  # type: ignore[no-untyped-def]
    """x of each served slot with fatigue, float32 (n, ranks); NaN where the slot is empty."""
    out = np.full(feeds.shape, np.nan, dtype=np.float32)
    for visit in range(feeds.shape[0]):
        user = users[visit]
        today = readers.seen_today[user].copy()
        for rank in range(feeds.shape[1]):
            note = feeds[visit, rank]
            if note < 0:
                continue
            topic = notes.topic[note]
            x = _logit(
                people, readers.taste, readers.skill, notes, subtitled, buzz, conditions,
                user, user, note,
            )  # fmt: skip
            out[visit, rank] = x - conditions.fatigue * today[topic]
            today[topic] += 1
    return out


@njit(nogil=True, cache=True)
def respond(  # type: ignore[no-untyped-def]
    people, readers, notes, subtitled, buzz, conditions, examine, seed, when, users, feeds,
    actions, rewards,
):  # fmt: skip
    """Draws what each reader does with each served note, and what the visit was worth.

    Args:
        people, readers, notes: People, Readers, NoteTable; `readers.seen_today` is changed.
        subtitled: bool (n_notes,), which notes carry subtitles.
        buzz: float32 (n_notes,), log-buzz.
        conditions: Conditions.
        examine: float64 (ranks,).
        seed: uint64, world seed.
        when: the visit's `moment`, draw 0.
        users: int (n,), rows of the readers, each at most once.
        feeds: int32 (n, ranks), -1 from the end of the visit on.
        actions: uint16 (n, ranks) out: a bit for each kind of event, 0 where nothing was shown.
        rewards: float32 (n,) out: Σ examine·sigmoid(x) / Σ examine over what was shown.
    """
    k0, k1 = seed & np.uint64(0xFFFFFFFF), seed >> np.uint64(32)
    x = np.empty(feeds.shape[1])
    words = np.empty((4, feeds.shape[1]), dtype=np.uint64)
    for visit in range(feeds.shape[0]):
        user, shown = users[visit], feeds[visit]
        # three short loops: each keeps more loads in flight than one long loop does
        for rank in range(shown.size):
            note = shown[rank]
            if note < 0:
                continue
            topic = notes.topic[note]
            x[rank] = _logit(
                people, readers.taste, readers.skill, notes, subtitled, buzz, conditions,
                user, user, note,
            ) - conditions.fatigue * readers.seen_today[user, topic]  # fmt: skip
            if readers.seen_today[user, topic] < 255:
                readers.seen_today[user, topic] += 1
        entity = np.uint64(people.address[user])
        _first_words(words, notes.key, shown, entity, np.uint64(when), k0, k1)
        worth, looks = 0.0, 0.0
        for rank in range(shown.size):
            note = shown[rank]
            if note < 0:
                actions[visit, rank] = 0
                continue
            done = SHOWN
            odds = 1.0 + math.exp(-x[rank])
            worth += examine[rank] / odds
            looks += examine[rank]
            if unit(words[0, rank]) * odds < examine[rank]:
                item = notes.key[note] & np.uint64(0xFFFFFFFF)
                done |= CLICKED | _after_click(
                    words[:, rank], conditions.rates, notes.tagged[note], item, entity,
                    np.uint64(when), k0, k1,
                )  # fmt: skip
            actions[visit, rank] = done
        rewards[visit] = worth / max(looks, 1e-9)


@njit(inline="always")
def _first_words(words, keys, shown, entity, when, k0, k1):  # type: ignore[no-untyped-def]
    """The four words of each rank's first draw; a loop of its own, since it can be vectorised."""
    for rank in range(shown.size):
        words[0, rank] = keys[max(shown[rank], 0)] & np.uint64(0xFFFFFFFF)
    for rank in range(shown.size):
        words[0, rank], words[1, rank], words[2, rank], words[3, rank] = philox4x32(
            np.uint64(_CLICK), words[0, rank], entity, when, k0, k1
        )


@njit(nogil=True, cache=True)
def _after_click(first, rates, tagged, item, entity, when, k0, k1):  # type: ignore[no-untyped-def]
    """Bits of what follows a click; the rest of the first draw is used first."""
    second = philox4x32(np.uint64(_CLICK), item, entity, when + np.uint64(1), k0, k1)
    third = philox4x32(np.uint64(_CLICK), item, entity, when + np.uint64(2), k0, k1)
    words = (
        first[1], first[2], first[3], second[0], second[1], second[2], second[3], third[0],
    )  # fmt: skip
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
            f"a click rate of {click_rate} cannot be reached: readers look at "
            f"{seen.mean() if seen.size else 0:.3f} of the impressions; lower click_rate, or "
            "examination, or let more people visit"
        )
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        rate = float(np.mean(seen / (1 + np.exp(-(middle + values)))))
        low, high = (middle, high) if rate < click_rate else (low, middle)
    return (low + high) / 2


@njit(nogil=True, cache=True)
def click_probability(people, taste, skill, notes, subtitled, conditions, users, feeds):  # type: ignore[no-untyped-def]
    """sigmoid(x) of each slot without fatigue and buzz, float32 (n, ranks), NaN where empty.

    `taste` and `skill` have a row for each of `users`, in whatever state readers are asked about.
    """
    out = np.full(feeds.shape, np.nan, dtype=np.float32)
    buzz = np.zeros(notes.key.size, dtype=np.float32)
    for row in range(feeds.shape[0]):
        for rank in range(feeds.shape[1]):
            note = feeds[row, rank]
            if note >= 0:
                x = _logit(
                    people, taste, skill, notes, subtitled, buzz, conditions,
                    users[row], row, note,
                )  # fmt: skip
                out[row, rank] = 1.0 / (1.0 + math.exp(-x))
    return out
