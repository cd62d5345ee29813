"""Claim 3: each estimator of `recsys.estimates` on one platform, beside the truth.

The truth is known because the same platform is also run without the influx: what the panel was
served that morning, less what it would have been served. Shares of slots are net of the floor, or
less the mean of the nudges, in each of which one person more comes who never posts. Clicks are per
look: what people are expected to click in the state that they have in each world, in a neutral
mood, over what they look at; an estimator has what they clicked, in all moods.

What newcomers' posts displace is counted in the feeds that were served, and skip and promote counts
the same feeds: so it is no estimate of it, and has no row.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.checks.candidates import told_by_choices
from recsys.checks.proof.joined import Platform, platform_of
from recsys.checks.shown import (
    CLICKS,
    SHORT_VIDEO,
    Shown,
    newcomers_language,
    shown_to_incumbents,
)
from recsys.core.noise import integer_seed
from recsys.estimates import (
    Told,
    by_thirds,
    change,
    displaced,
    mean_of,
    promoted,
    roll_forward,
    without_trace,
)
from recsys.measures.overlap import overlap
from recsys.measures.quality import utility
from recsys.recommenders import Recommender
from recsys.statistics import net_values
from recsys.statistics.arrays import Floats
from recsys.study.arms.worlds import Worlds
from recsys.world.arms import INCUMBENTS
from recsys.world.simulate import Simulation

SHARES = ("displaced", "net")
"""Shares of slots: those that hold newcomers' posts, and those that changed, net of the floor."""
SIGNED = ("english", "short video", CLICKS)
"""Changes that may go either way: the share of slots with a post in the newcomers' language or with
a short video, and clicks per look."""
ROW = {
    "estimator": pl.String,
    "estimand": pl.String,
    "size": pl.Float64,
    "seed": pl.Int64,
    "truth": pl.Float64,
    "told": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}
"""Columns of an estimate. `low` and `high` are a 95 % interval over users: a point where all users
have the same value, null where there is none."""

Levels = dict[str, Floats]
"""Values of each user of the panel, by estimand; NaN for an empty feed."""


def held_against_twin(worlds: Worlds, recommender: Recommender, size: float) -> pl.DataFrame:
    """What each estimator tells of one influx, and the truth.

    Args:
        worlds: from `recsys.checks.proof.joined.worlds_of`.
        recommender, size: as given there.

    Returns:
        Rows of `ROW`, one for each estimator and what it estimates; an estimator that refuses has
        none. No row if no newcomer has liked anything yet.
    """
    platform = platform_of(worlds)
    if platform is None:
        return pl.DataFrame(schema=ROW)
    truth = _truth(worlds)
    rows = [
        {
            "estimator": estimator,
            "estimand": estimand,
            "size": size,
            "seed": worlds.seed,
            "truth": truth[estimand],
            "told": told.value,
            "low": None if np.isnan(told.se) else told.low,
            "high": None if np.isnan(told.se) else told.high,
        }
        for estimator, estimand, told in _estimates(_Kept(worlds, platform), recommender)
        if np.isfinite(told.value)
    ]
    return pl.DataFrame(rows, schema=ROW)


# The truth


def _truth(worlds: Worlds) -> dict[str, float]:
    """What the influx changed in the panel's feeds, by estimand."""
    day, panel, k = worlds.evaluation.days[-1], worlds.panel, worlds.evaluation.k
    feeds = {arm: _served(world, panel, day)[:, :k] for arm, world in worlds.simulations.items()}
    nudges = [arm for arm in feeds if worlds.simulations[arm].arm.newcomers == "nudge"]
    influx = levels_of(worlds.simulations["influx"], feeds["influx"])
    changed = 1 - overlap(feeds["control"], feeds["influx"])
    floor = np.mean([1 - overlap(feeds["control"], feeds[arm]) for arm in nudges], axis=0)
    truth = {
        "displaced": float(np.nanmean(influx["displaced"])),
        "net": float(np.nanmean(net_values(changed[:, None], floor[:, None]))),
    }
    for name in SIGNED:
        if name == CLICKS:
            with_them, *without = (_clicks(worlds, arm, feeds[arm]) for arm in ("influx", *nudges))
        else:
            with_them = influx[name]
            without = [levels_of(worlds.simulations[arm], feeds[arm])[name] for arm in nudges]
        truth[name] = float(np.nanmean(with_them) - np.nanmean(without))
    return truth


def _served(simulation: Simulation, panel: NDArray[np.int64], day: int) -> NDArray[np.int32]:
    served = simulation.morning(day).served
    return served.feeds[np.searchsorted(served.users, panel)]


def _clicks(worlds: Worlds, arm: str, feeds: NDArray[np.int32]) -> Floats:
    """Expected clicks per look of each user, in the state that the user has in this arm."""
    day = worlds.evaluation.days[-1]
    probability = worlds.simulations[arm].click_probability(worlds.panel, feeds, day)
    return utility(probability, worlds.examine)


def levels_of(simulation: Simulation, feeds: NDArray[np.int32]) -> Levels:
    """Shares of each feed's slots that hold newcomers' posts, their language, and short videos.

    Args:
        simulation: the world in which the feeds were served.
        feeds: int32 (n, k) posts, -1 where empty.
    """
    filled = feeds >= 0
    slots = np.where(filled.any(axis=1), filled.sum(axis=1), np.nan)

    def share(which: NDArray[np.bool_]) -> Floats:
        return np.asarray((filled & which[feeds]).sum(axis=1) / slots)

    posts = simulation.posts_for[INCUMBENTS]
    return {
        "displaced": share(simulation.from_newcomers),
        "english": share(posts.language == newcomers_language(simulation)),
        "short video": share(posts.format == SHORT_VIDEO),
    }


# What a platform has kept


class _Kept(NamedTuple):
    """What a platform has kept of the days until the measured one, which is over."""

    worlds: Worlds
    platform: Platform

    @property
    def simulation(self) -> Simulation:
        return self.worlds.simulations["influx"]

    @property
    def day(self) -> int:
        return self.worlds.evaluation.days[-1]

    @property
    def k(self) -> int:
        return self.worlds.evaluation.k

    def deep(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """The panel's rankings of that morning, deeper than served, and their sources."""
        served = self.simulation.morning(self.day).served
        rows = np.searchsorted(served.users, self.worlds.panel)
        return served.feeds[rows], served.sources[rows]

    def shown(self) -> Shown:
        """What incumbents were shown up to the measured day, in as many slots as are measured."""
        return shown_to_incumbents(self.simulation, self.k, last=self.day)


# The estimators


def _estimates(kept: _Kept, recommender: Recommender) -> Iterator[tuple[str, str, Told]]:
    """Estimator, estimand and what is told."""
    shown = kept.shown()
    yield from _counted(kept, shown)
    yield from _before_and_after(kept, shown)
    yield from _exposed(kept, shown)
    yield from _skipped(kept)
    yield from _chosen(kept)
    yield from _left_out(kept, recommender)
    yield from _rolled(kept, recommender)


def _counted(kept: _Kept, shown: Shown) -> Iterator[tuple[str, str, Told]]:
    today = shown.day == kept.day
    user, new = shown.user[today], shown.by_newcomers[today]
    yield "count", "displaced", displaced(user, new)
    for name, values in shown.of.items():
        yield "count", name, change(user, new, values[today], shown.per(name)[today])


class _Windows(NamedTuple):
    """Days. No two windows overlap."""

    exposure: range
    """The first days, over which exposure is measured."""
    earlier: range
    """The next days; from these to the base there was nobody, so trends are looked for."""
    base: range
    """The last days before the influx."""
    after: range
    """The last days up to the measured one, none of them before the first newcomer came."""


def _windows(kept: _Kept) -> _Windows | None:
    """Windows of a third of the days before the influx; None if these are fewer than three."""
    before, width = kept.simulation.world.days_before, kept.simulation.world.days_before // 3
    if width == 0:
        return None
    arrived = int(kept.simulation.people.arrival[kept.simulation.world.incumbents :].min())
    return _Windows(
        exposure=range(-before, -2 * width),
        earlier=range(-2 * width, -width),
        base=range(-width, 0),
        after=range(max(kept.day - width + 1, arrived), kept.day + 1),
    )


def _before_and_after(kept: _Kept, shown: Shown) -> Iterator[tuple[str, str, Told]]:
    windows = _windows(kept)
    if windows is None:
        return
    for name, values in shown.of.items():
        base, after = (
            shown.rates(values, shown.per(name), days) for days in (windows.base, windows.after)
        )
        yield "before and after", name, mean_of(after - base)


def _exposed(kept: _Kept, shown: Shown) -> Iterator[tuple[str, str, Told]]:
    """Over the language that people were shown, and the hour at which they came, before."""
    windows = _windows(kept)
    if windows is None:
        return
    looks = np.bincount(shown.user, (shown.day < 0).astype(np.float64), minlength=shown.n)
    activity, ones = np.log1p(looks)[:, None], np.ones(shown.user.size)
    exposures = {
        "exposure: language": shown.rates(shown.of["english"], ones, windows.exposure),
        "exposure: hour": shown.rates(shown.night, ones, windows.exposure),
    }
    for name, values in shown.of.items():
        earlier, base, after = (shown.rates(values, shown.per(name), days) for days in windows[1:])
        for estimator, exposure in exposures.items():
            told = by_thirds(exposure, after - base, base - earlier, activity)
            if told is not None and told.credible:
                yield estimator, name, told.average


def _skipped(kept: _Kept) -> Iterator[tuple[str, str, Told]]:
    """All but what was displaced, which the truth counts in the same feeds."""
    deep, sources = kept.deep()
    without = promoted(deep, kept.simulation.from_newcomers, kept.k, sources)
    served = deep[:, : kept.k]
    for row in _told("skip and promote", kept, without, served, served):
        if row[1] != "displaced":
            yield row


def _chosen(kept: _Kept) -> Iterator[tuple[str, str, Told]]:
    told = told_by_choices(kept.simulation, (kept.day,), kept.worlds.panel, kept.k)
    yield "choice model", "net", told.pop("displaced")  # others' posts are taken to stay
    for name, one in told.items():
        yield "choice model", name, one


def _left_out(kept: _Kept, recommender: Recommender) -> Iterator[tuple[str, str, Told]]:
    """Two fits of that morning: of the whole log, and of the log without newcomers' events."""
    platform, log, seed = kept.platform, kept.platform.day.log, _seed(kept)
    newcomers = np.flatnonzero(log.newcomers)
    fits = [recommender.fit(log, seed=seed)]
    if not recommender.deterministic:
        fits.append(recommender.fit(log, seed=seed + 1))
    whole, *others = (platform.serve(fit, log, newcomers, "full").item_ids for fit in fits)
    less = log.without_users(newcomers)
    model = recommender.fit(less, seed=seed + 1)
    for estimator, serve in (
        ("leave out events", platform.serve),
        ("leave out events and posts", platform.serve_without_posts),
    ):
        without = serve(model, less, newcomers, "influx").item_ids
        yield from _told(estimator, kept, without, whole, others[0] if others else whole)


def _rolled(kept: _Kept, recommender: Recommender) -> Iterator[tuple[str, str, Told]]:
    """Each morning's fit since the arrival, as the platform would have made it without newcomers.

    The fits of the whole logs are made again in the same way, and not taken from what was served:
    the log does not hold what people saw before it began, and the platform knew it.
    """
    platform, training_days = kept.platform, kept.worlds.evaluation.training_days
    days = range(kept.day + 1) if recommender.warm_starts else range(kept.day, kept.day + 1)
    mornings = [kept.simulation.log_before(day, training_days) for day in days]
    log, seed, posts = mornings[-1], _seed(kept), kept.simulation.from_newcomers
    newcomers, nobody, none = log.newcomers, np.zeros_like(log.newcomers), np.zeros_like(posts)
    left_out = np.flatnonzero(newcomers)
    seeds = [seed] if recommender.deterministic else [seed, seed + 1]
    fits = [roll_forward(recommender, mornings, nobody, none, number) for number in seeds]
    whole, *others = (platform.serve(fit, log, left_out, "full").item_ids for fit in fits)
    model = roll_forward(recommender, mornings, newcomers, posts, seed + 1)
    less = without_trace(log, newcomers, posts)
    without = platform.serve_without_posts(model, less, left_out, "influx").item_ids
    yield from _told("roll forward", kept, without, whole, others[0] if others else whole)


def _seed(kept: _Kept) -> int:
    """The training seed with which the platform itself fits."""
    return integer_seed(kept.simulation.seed, 1 if kept.simulation.arm.retrained else 0)


def _told(
    estimator: str,
    kept: _Kept,
    without: NDArray[np.int32],
    whole: NDArray[np.int32],
    again: NDArray[np.int32],
) -> Iterator[tuple[str, str, Told]]:
    """What feeds without newcomers tell.

    Args:
        estimator: its name.
        kept: what the platform has kept.
        without: int32 (n, k), the panel's feeds without newcomers.
        whole: int32 (n, k), its feeds with them.
        again: int32 (n, k), its feeds with them by the training seed of `without`: what training
            alone changes is the floor.
    """
    with_them, less = levels_of(kept.simulation, again), levels_of(kept.simulation, without)
    for name, values in with_them.items():
        yield estimator, name, mean_of(values - less[name])
    changed, moved = 1 - overlap(whole, without), 1 - overlap(whole, again)
    yield estimator, "net", mean_of(net_values(changed[:, None], moved[:, None])[:, 0])
