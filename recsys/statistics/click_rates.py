"""Shrunk click rates: what a platform's own ranker learns by counting clicks and looks.

A user's rate for a topic rests on few looks. So it is shrunk toward the rate of the user's group
(all whose app has the same language), and the group's rate toward that of all users. Shrinking adds
`prior` clicks at the parent's rate to what was counted; this is the mean of a gamma posterior for
a Poisson count (Gelman et al., *Bayesian Data Analysis*, 3rd ed., ch. 2.6).

The world's house policy and the recommender `platform_ranker` both take their arithmetic from here.
"""
# mypy: disallow-untyped-decorators=False

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FIRST = (1.0, 10.0)
"""Clicks and looks that every count begins with, so that no rate is 0 or undefined."""


def shrunk(clicks: Floats, looks: Floats, parent: Floats | float, prior: float) -> Floats:
    """Click rates with `prior` clicks at the parent's rate added.

    Args:
        clicks: float (…), clicks counted.
        looks: float (…), looks counted.
        parent: float, shape that broadcasts to (…): the rates to shrink to; above 0.
        prior: weight of the parent's rate, in clicks.

    Returns:
        float64 (…), clicks per look.

    >>> shrunk(np.array([0.0, 30.0]), np.array([0.0, 100.0]), 0.1, 10.0).tolist()
    [0.1, 0.2]
    """
    return np.asarray((clicks + prior) / (looks + prior / np.asarray(parent)))


class GroupRates(NamedTuple):
    """Click rates of groups of users, as priors of the users' own rates."""

    topic: Floats
    """(groups, topics) clicks per look at posts of a topic."""
    language: Floats
    """(groups, languages) clicks per look at posts in a language."""
    whole: Floats
    """(groups,) clicks per look at any post."""


def group_rates(
    clicks: NDArray[Any],
    looks: NDArray[Any],
    group: NDArray[np.integer[Any]],
    n_groups: int,
    n_topics: int,
    prior: float,
    most_looks: float,
) -> GroupRates:
    """Rates of each group by topic and by language of the post.

    A user counts for at most `most_looks` looks at each topic and at each language. A ranker shows
    posts to those who click them, so without this bound the few who are shown most would stand for
    the whole group. Users are summed in the order of rows, so that users without looks change no
    bit.

    Args:
        clicks: numbers (n, topics · languages), clicks of each user; languages of one topic stand
            side by side.
        looks: numbers, the same shape.
        group: int (n,), group of each user, below `n_groups`.
        n_groups: number of groups.
        n_topics: number of topics.
        prior: clicks at the rate of all users that are added to a group's clicks, such as 4.
        most_looks: such as 36.

    >>> clicks, looks = np.array([[4, 0], [0, 0]], np.float32), np.full((2, 2), 40, np.float32)
    >>> rates = group_rates(clicks, looks, np.array([0, 0]), 1, 1, 4.0, 36.0)
    >>> rates.language.round(3).tolist()
    [[0.044, 0.015]]
    """
    languages = clicks.shape[1] // n_topics
    sums = [np.zeros((2, n_groups, size)) for size in (n_topics, languages, 1)]
    _add_up(clicks, looks, np.asarray(group, np.int64), float(most_looks), *sums)
    whole_clicks, whole_looks = sums[2][:, :, 0].sum(axis=1)
    overall = (whole_clicks + _FIRST[0]) / (whole_looks + _FIRST[1])

    def rates(of: Floats) -> Floats:
        everybody = shrunk(of[0].sum(axis=0), of[1].sum(axis=0), overall, prior)
        return shrunk(of[0], of[1], everybody, prior)

    topic, language, whole = (rates(of) for of in sums)
    return GroupRates(topic, language, whole[:, 0])


@njit(nogil=True, cache=True)
def _add_up(clicks, looks, group, most, topic, language, whole):  # type: ignore[no-untyped-def]
    """Adds each user's clicks and looks to the sums of the user's group, (2, groups, size) each."""
    n_topics, n_languages = topic.shape[2], language.shape[2]
    by_language = np.zeros((2, n_languages))
    for user in range(clicks.shape[0]):
        mine, shown, to = clicks[user], looks[user], group[user]
        by_language[:] = 0.0
        for code in range(n_topics):
            c, n = 0.0, 0.0
            for other in range(n_languages):
                c += mine[code * n_languages + other]
                n += shown[code * n_languages + other]
                by_language[0, other] += mine[code * n_languages + other]
                by_language[1, other] += shown[code * n_languages + other]
            if n > 0:
                share = min(1.0, most / n)
                topic[0, to, code] += share * c
                topic[1, to, code] += share * n
        total_clicks, total = by_language[0].sum(), by_language[1].sum()
        if total == 0:
            continue
        for other in range(n_languages):
            n = by_language[1, other]
            if n > 0:
                share = min(1.0, most / n)
                language[0, to, other] += share * by_language[0, other]
                language[1, to, other] += share * n
        share = min(1.0, most / total)
        whole[0, to, 0] += share * total_clicks
        whole[1, to, 0] += share * total


def bucket_rates(clicks: Floats, looks: Floats, n_topics: int, prior: float) -> Floats:
    """Clicks per look that posts of each topic × language get from those who are shown them.

    Args:
        clicks: float (topics · languages,), languages of one topic side by side.
        looks: float, the same shape.
        n_topics: number of topics.
        prior: clicks at the rate of all users that are added to a group's clicks, such as 4.

    Returns:
        float64 (topics · languages,): the rate of the topic times that of the language, over that
        of all posts.

    >>> bucket_rates(np.array([10.0, 10.0]), np.array([90.0, 190.0]), 1, 0.0).round(3).tolist()
    [0.11, 0.052]
    """
    c, n = clicks.reshape(n_topics, -1), looks.reshape(n_topics, -1)
    overall = (c.sum() + _FIRST[0]) / (n.sum() + _FIRST[1])
    topic, language = (shrunk(c.sum(axis), n.sum(axis), overall, prior) for axis in (1, 0))
    return np.asarray(np.outer(topic, language).reshape(-1) / overall)


def affinities(
    clicks: NDArray[Any],
    looks: NDArray[Any],
    group: NDArray[np.integer[Any]],
    rates: GroupRates,
    prior: float,
    language_weight: float = 1.0,
) -> NDArray[np.float32]:
    """How much each user likes each topic × language: the product of two shrunk click rates.

    Its logarithm is the log click rate for the topic plus, times `language_weight`, the log click
    rate for the language, both relative to the user's rate for all posts. A group's rates are taken
    at the user's own readiness to click, since else users who click little would seem to like what
    they have not been shown.

    Args:
        clicks: numbers (n, topics · languages), clicks of each user.
        looks: numbers, the same shape.
        group: int (n,), group of each user.
        rates: the groups' rates.
        prior: clicks at the group's rate that are added to a user's own clicks, such as 1.
        language_weight: 0 for a ranker that does not know the language of a post.

    Returns:
        float32 (n, topics · languages). Each row depends on that user's counts alone.

    >>> clicks, looks = np.array([[3, 0]], np.float32), np.array([[10, 10]], np.float32)
    >>> rates = group_rates(clicks, looks, np.array([0]), 1, 1, 4.0, 36.0)
    >>> liking = affinities(clicks, looks, np.array([0]), rates, 1.0)
    >>> bool(liking[0, 0] > liking[0, 1])
    True
    """
    out = np.empty(clicks.shape, dtype=np.float32)
    _affinities(
        clicks,
        looks,
        np.asarray(group, dtype=np.int64),
        rates.topic,
        rates.language,
        rates.whole,
        prior,
        language_weight,
        out,
    )
    return out


@njit(nogil=True, cache=True)
def _affinities(clicks, looks, group, topic, language, whole, prior, weight, out):  # type: ignore[no-untyped-def]
    n_topics, n_languages = topic.shape[1], language.shape[1]
    by_language = np.empty(n_languages)
    for user in range(clicks.shape[0]):
        mine, shown, parent = clicks[user], looks[user], group[user]
        own = (mine.sum() + prior) / (shown.sum() + prior / whole[parent])
        # A group's rate, at this user's own readiness to click.
        level = own / whole[parent]
        for code in range(n_languages):
            c, n = 0.0, 0.0
            for place in range(code, mine.size, n_languages):
                c += mine[place]
                n += shown[place]
            rate = (c + prior) / (n + prior / (language[parent, code] * level))
            by_language[code] = rate / own
            if weight != 1:  # a power takes as long as all the rest
                by_language[code] **= weight
        for code in range(n_topics):
            c, n = 0.0, 0.0
            for place in range(code * n_languages, (code + 1) * n_languages):
                c += mine[place]
                n += shown[place]
            rate = (c + prior) / (n + prior / (topic[parent, code] * level)) / own
            for other in range(n_languages):
                out[user, code * n_languages + other] = rate * by_language[other]


class Level(NamedTuple):
    """How readily users click at all."""

    own: Floats
    """(n,) clicks per look of each user, shrunk to the group's."""
    whole: Floats
    """(groups,) clicks per look of each group."""


def level_of(
    clicks: Floats,
    looks: Floats,
    group: NDArray[np.integer[Any]],
    n_groups: int,
    priors: tuple[float, float],
    most_looks: float,
) -> Level:
    """Clicks per look of users and of groups, as `affinities` and `group_rates` have them.

    Args:
        clicks: float64 (n,), clicks of each user.
        looks: float64 (n,), looks of each user.
        group: int (n,), group of each user, below `n_groups`.
        n_groups: number of groups.
        priors: clicks at the group's rate that are added to a user's, and clicks at the rate of all
            users that are added to a group's, such as (1, 4).
        most_looks: see `group_rates`.
    """
    rates = _rates_of_groups(clicks[:, None], looks[:, None], group, n_groups, priors, most_looks)
    whole = rates[:, 0]
    return Level(shrunk(clicks, looks, whole[group], priors[0]), whole)


def liking(
    clicks: Floats,
    looks: Floats,
    group: NDArray[np.integer[Any]],
    level: Level,
    priors: tuple[float, float],
    most_looks: float,
) -> NDArray[np.float32]:
    """How much each user likes each kind of post: a factor of `affinities`, for kinds of any sort.

    Args:
        clicks: float64 (n, kinds), clicks of each user at posts of each kind.
        looks: float64 (n, kinds), looks likewise.
        group, priors, most_looks: see `level_of`.
        level: its result.

    Returns:
        float32 (n, kinds): the user's shrunk click rate for the kind, over that for all posts.

    >>> clicks, looks = np.array([[3.0, 0.0]]), np.array([[10.0, 10.0]])
    >>> group, priors = np.array([0]), (1.0, 4.0)
    >>> level = level_of(clicks.sum(1), looks.sum(1), group, 1, priors, 36.0)
    >>> first, second = liking(clicks, looks, group, level, priors, 36.0)[0]
    >>> bool(first > 1 > second)
    True
    """
    rates = _rates_of_groups(clicks, looks, group, level.whole.size, priors, most_looks)
    ready = level.own / level.whole[group]
    mine = shrunk(clicks, looks, rates[group] * ready[:, None], priors[0])
    return np.asarray(mine / level.own[:, None], dtype=np.float32)


def _rates_of_groups(
    clicks: Floats,
    looks: Floats,
    group: NDArray[np.integer[Any]],
    n_groups: int,
    priors: tuple[float, float],
    most_looks: float,
) -> Floats:
    """Float64 (groups, kinds): see `group_rates`."""
    share = most_looks / np.maximum(looks, most_looks)
    kinds = clicks.shape[1]
    place = (np.asarray(group)[:, None] * kinds + np.arange(kinds)).ravel()

    def added(of: Floats) -> Floats:
        sums = np.bincount(place, (share * of).ravel(), n_groups * kinds)
        return sums.astype(np.float64).reshape(n_groups, kinds)

    c, n = added(clicks), added(looks)
    total = most_looks / np.maximum(looks.sum(axis=1), most_looks)
    # bincount sums in the order of rows, so that users without looks change no bit.
    one = np.zeros(looks.shape[0], dtype=np.int64)
    whole = [np.bincount(one, total * of.sum(axis=1), 1)[0] for of in (clicks, looks)]
    overall = (whole[0] + _FIRST[0]) / (whole[1] + _FIRST[1])
    everybody = shrunk(c.sum(axis=0), n.sum(axis=0), overall, priors[1])
    return shrunk(c, n, everybody, priors[1])


def expected_rates(
    clicks: Sequence[Floats], looks: Sequence[Floats], prior: float
) -> tuple[float, list[Floats]]:
    """Clicks per look of all users, and by how much they differ between kinds of posts.

    Args:
        clicks: for each way to sort posts, float64 (kinds,): clicks at posts of each kind.
        looks: looks likewise.
        prior: clicks at the rate of all posts that are added to a kind's clicks, such as 4.

    Returns:
        The rate at all posts; and for each way float64 (kinds,), the rate over that of all.
    """
    overall = (clicks[0].sum() + _FIRST[0]) / (looks[0].sum() + _FIRST[1])
    rates = (shrunk(c, n, overall, prior) for c, n in zip(clicks, looks, strict=True))
    return overall, [rate / overall for rate in rates]


def early_rates(clicks: Floats, looks: Floats, expected: Floats, prior: float) -> Floats:
    """How much more than expected each post has been clicked so far, shrunk toward 1.

    Args:
        clicks: float (n,), clicks on each post.
        looks: float (n,), looks at each post.
        expected: float (n,), clicks per look that posts of its kind get.
        prior: expected clicks that 1 counts for.

    Returns:
        float64 (n,), clicks over expected clicks; 1 for a post that nobody has seen.

    >>> early_rates(np.array([0.0, 8.0]), np.array([0.0, 40.0]), np.array([0.1, 0.1]), 4.0).tolist()
    [1.0, 1.5]
    """
    return np.asarray((clicks + prior) / (looks * expected + prior))


def newness(age: Floats, half_life_days: float, tail: float) -> Floats:
    """Weight of posts by their age: it halves every half-life, down to a tail.

    Args:
        age: float64 (n,), days, 0 or more.
        half_life_days: such as 2.0.
        tail: weight that a post keeps however old it is, from 0 to 1.

    >>> newness(np.array([0.0, 2.0]), 2.0, 0.0).tolist()
    [1.0, 0.5]
    """
    return np.asarray(tail + (1 - tail) * np.exp2(-age / half_life_days))
