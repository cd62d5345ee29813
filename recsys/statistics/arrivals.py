"""Finds the start of a wave of newcomers in the counts of users first seen.

The counts are taken in equal periods. Their square roots z = 2 sqrt(count + 3/8) have a variance of
about 1 if counts are Poisson (Anscombe 1948). Without a wave they are taken to be

    z = b·x + level + noise,    level[t] = level[t-1] + step,    variance of a step = q · noise

with regressors x: a constant, a straight line, three decays (what is left of the beginning of a
log) and, by the day, the days of the week. So a rise is not compared with the mean of the log, but
with a local trend, which follows slow swings as far as the log shows them (a local level model,
Harvey 1989; with steps of variance q = 0 it is a plain regression). A wave is a shape on top: a
level from one period to another, or a jump that decays. Arrivals in it must be at least `MIN_RISE`
times the usual ones before and around it, and those of two periods must be. Of such shapes the most
likely one is the candidate, with the q that suits it best. It is reported if its p-value is at most
`LEVEL`.

The p-value is the share of series without a wave in which some shape gains as much likelihood:
p = (1 + #{as much}) / (1 + `SERIES`). Such series are drawn from the model, with the noise that
the wave leaves over, for every q that is nearly as likely as the best; the largest p counts.

Only rises are looked for, since the count of users first seen falls in the first weeks of any log:
users who were there before the log began are first seen then (`settled_after`). docs/log.md has the
rates of false alarms and of waves found.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.statistics.arrays import Floats

LEVEL = 0.01
"""Largest p-value at which a wave is reported."""
MIN_PERIODS = 16
"""Least number of periods in which a wave is looked for."""
MIN_RISE = 1.5
"""Least arrivals per period in a wave, as a multiple of the usual ones."""
SERIES = 499
"""Most series without a wave that are drawn for the p-value."""
_ENOUGH = 30
"""Series that gain as much after which no more are drawn: p is above `LEVEL` by then."""
_STEPS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Variances q of a step of the level, in units of the noise."""
_NEARLY = 2.0
"""Log-likelihood by which another q may be less likely than the best and still counts."""
_LENGTHS = (2, 3, 4, 5, 7, 10, 14)
"""Periods of the shorter waves of one level; a single high period is none. Longer ones are each
1.4 times as long, up to half the series; and any may last until the end."""
_DECAYS = (2.0, 4.0, 8.0)
"""Periods after which a jump has fallen to 1/e of its height."""
_BEGINNING = (2.0, 6.0, 20.0)
"""The same, of the decays with which a log begins."""
_LEFT = 4
"""A jump that decays ends when a fourth of its height is left, in square roots."""
_AROUND = 14
"""Periods before a wave whose median is its local level."""
_WEEK = 7
"""Days of a week; a log by the day needs four weeks before their days are told apart."""
_CHUNK = 50
"""Series that are drawn at a time."""


@dataclass(frozen=True)
class Wave:
    """The best candidate for a wave in counts of users first seen, reported or not.

    Attributes:
        start: first period of the wave; None if nothing rises.
        end: first period after the wave, or the number of periods if the wave goes on; None as for
            `start`.
        before: usual arrivals per period: the median before the wave or outside it, whichever is
            larger.
        during: mean arrivals per period from `start` to `end`.
        peak: arrivals in the highest period from `start` to `end`.
        gain: twice the log-likelihood that the wave gains.
        p_value: share of series without a wave in which some shape gains as much; 1 if it
            is refused before.
        refusal: reason why this is not reported as a wave; empty if it is.
    """

    start: int | None
    end: int | None
    before: float
    during: float
    peak: float
    gain: float
    p_value: float
    refusal: str = ""

    @property
    def found(self) -> bool:
        """Whether this is reported as a wave."""
        return not self.refusal

    @property
    def size(self) -> float:
        """Arrivals in the wave beyond the usual ones; 0 if nothing rises."""
        if self.start is None or self.end is None:
            return 0.0
        return (self.during - self.before) * (self.end - self.start)

    @property
    def evidence(self) -> str:
        """The figures as a sentence for people."""
        p = f"; p = {self.p_value:.3g}" if self.p_value < 1 else ""
        more = f"{self.size:,.0f} more" if self.size >= 0.5 else "no more"
        return (
            f"{self.during:,.1f} arrivals a period for {self.before:,.1f} usually, "
            f"{self.peak:,.0f} at most, {more} than usual in all{p}"
        )


def find_wave(
    counts: ArrayLike, seed: int = 0, level: float = LEVEL, *, daily: bool = True
) -> Wave:
    """Looks for a wave of newcomers in counts of users first seen.

    Args:
        counts: (n,), number of users first seen in each of n equal periods, in the order of time;
            n is at least `MIN_PERIODS`.
        seed: seed of the series without a wave, such as 0.
        level: largest p-value at which a wave is reported, such as 0.01.
        daily: whether a period is a day, so that every seventh may differ.

    Raises:
        ValueError: negative or too few counts.

    >>> quiet = [3, 5, 4, 2, 6, 4, 3, 5, 4, 3, 4, 5, 2, 4, 6, 3, 4, 5, 3, 4]
    >>> wave = find_wave([*quiet, 32, 24, 15, 8, *quiet])
    >>> wave.found, wave.start, wave.end, wave.before, wave.during
    (True, 20, 23, 4.0, 23.67)
    >>> find_wave([*quiet, *quiet]).refusal
    'arrivals rise to less than 1.5 times the usual'
    """
    y = np.asarray(counts, dtype=np.float64)
    if y.ndim != 1 or y.size < MIN_PERIODS or (y < 0).any():
        raise ValueError(
            f"counts have shape {y.shape}; give {MIN_PERIODS} or more in one row, none below 0"
        )
    n = y.size
    shapes = _shapes(n)
    models = _models(n, daily and n >= 4 * _WEEK)
    z = 2 * np.sqrt(y + 0.375)
    rising = _rising(y, shapes)
    best = _best(z[None], shapes, models, rising if rising.any() else None)
    if best.gain[0] <= 0:
        nothing = float("nan")
        usual = float(np.median(y))
        return Wave(None, None, usual, nothing, nothing, 0.0, 1.0, "arrivals never rise")
    place = int(best.shape[0])
    start, end = _dates(z, int(shapes.start[place]), int(shapes.end[place]))
    inside = y[start:end]
    usual = _usual(y, start, end)
    wave = Wave(
        start, end, usual, float(inside.mean()), float(inside.max()), float(best.gain[0]), 1.0
    )
    if not rising.any():
        why = _refused(y, int(shapes.start[place]), int(shapes.end[place]))
        return replace(wave, refusal=why)
    p_value = _p_value(best, shapes, models, n, seed, level)
    refusal = f"p is above {level:g}: series in which nothing happens rise as much"
    return replace(wave, p_value=p_value, refusal=refusal if p_value > level else "")


def settled_after(counts: ArrayLike, most: float = 0.25) -> int:
    """Periods after which the arrivals of a log have settled.

    Users who were there before a log began are first seen in its first days, so these counts fall
    steeply. They have settled where a week's mean is at most twice the median of the second half of
    the log; what falls more slowly is left to the regressors of `find_wave`.

    Args:
        counts: (n,), users first seen on each of n days, in the order of time.
        most: largest share of the log that may be left out, such as 0.25.

    Returns:
        Days to leave out, from 1 to most · n.

    >>> settled_after([400, 180, 90, 40, 22, 9, *[8, 11, 9, 10] * 10])
    3
    """
    y = np.asarray(counts, dtype=np.float64)
    later = max(float(np.median(y[y.size // 2 :])), 0.5)
    longest = max(1, int(most * y.size))
    for day in range(1, longest):
        if y[day : day + _WEEK].mean() <= 2 * later:
            return day
    return longest


class _Shapes(NamedTuple):
    """The shapes of a wave: levels from `low` to `high`, then jumps that decay, from `jumps`.

    `start` and `end` are those of all shapes in this order, the decays from the shortest on.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    jumps: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


class _Model(NamedTuple):
    """The series without a wave, for one variance q of a step.

    For residuals r = P z, the square z·r is that of the whitened residuals; a shape w lowers it by
    (w·r)² / (w·P w).
    """

    q: float
    projection: Floats
    """P, (n, n)."""
    jumps: Floats
    """P w of the jumps that decay, (n, shapes)."""
    free: int
    """Degrees of freedom: n less the number of regressors."""
    penalty: float
    """Log-determinants of the restricted likelihood."""
    squares: Floats
    """w·P w of each shape."""


class _Best(NamedTuple):
    """The most likely shape in each of m series."""

    gain: Floats
    """(m,), twice the log-likelihood gained over the best model without a wave."""
    shape: NDArray[np.int64]
    """(m,), number of the shape."""
    likelihood: Floats
    """(models, m), log-likelihood with the best shape."""
    noise: Floats
    """(models, m), variance of the noise beside the best shape."""


@lru_cache(maxsize=4)
def _shapes(n: int) -> _Shapes:
    lengths = list(_LENGTHS)
    while lengths[-1] * 1.4 < n / 2:
        lengths.append(int(lengths[-1] * 1.4))
    # Neither the wave nor what is before or after it is a single period long.
    inside = [(s, s + k) for k in lengths if k <= n // 2 for s in range(2, n - k - 1)]
    low, high = np.array([*inside, *((s, n) for s in range(2, n - 1))]).T
    jumps = np.arange(2, n - 1)
    ends = [np.minimum(jumps + ceil(decay * log(_LEFT)), n) for decay in _DECAYS]
    start = np.concatenate([low, np.tile(jumps, len(_DECAYS))])
    return _Shapes(low, high, jumps, start, np.concatenate([high, *ends]))


@lru_cache(maxsize=4)
def _models(n: int, weekdays: bool) -> tuple[_Model, ...]:
    time = np.arange(n)
    columns = [np.ones(n), time / n, *(np.exp(-time / decay) for decay in _BEGINNING)]
    if weekdays:
        columns += [np.equal(time % _WEEK, day).astype(np.float64) for day in range(1, _WEEK)]
    regressors = np.linalg.qr(np.stack(columns, axis=1))[0]
    walk = np.minimum.outer(time, time) + 1.0
    return tuple(_model(q, np.eye(n) + q * walk, regressors) for q in _STEPS)


def _model(q: float, covariance: Floats, regressors: Floats) -> _Model:
    n = covariance.shape[0]
    shapes = _shapes(n)
    inverse = np.linalg.inv(covariance)
    explained = inverse @ regressors
    inner = regressors.T @ explained
    projection = np.asarray(inverse - explained @ np.linalg.solve(inner, explained.T), np.float64)
    penalty = float(np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(inner)[1])
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = projection.cumsum(0).cumsum(1)
    low, high = shapes.low, shapes.high
    squares = [sums[high, high] - sums[low, high] - sums[high, low] + sums[low, low]]
    after = np.arange(n)[None, :] - shapes.jumps[:, None]
    jumps = np.concatenate(
        [np.where(after >= 0, np.exp(-np.maximum(after, 0) / decay), 0.0) for decay in _DECAYS]
    )
    explaining = projection @ jumps.T
    squares.append((jumps * explaining.T).sum(1))
    free = n - regressors.shape[1]
    return _Model(q, projection, explaining, free, penalty, np.concatenate(squares))


def _usual(y: Floats, start: int, end: int) -> float:
    """Usual arrivals a period: the median before a wave or outside it, whichever is larger."""
    before, outside = y[max(start - _AROUND, 0) : start], np.concatenate([y[:start], y[end:]])
    return float(max(np.median(before), np.median(outside)))


def _rising(y: Floats, shapes: _Shapes) -> NDArray[np.bool_]:
    """(shapes,), in which arrivals rise enough for a wave."""
    sums = np.concatenate([[0.0], y.cumsum()])
    mean = (sums[shapes.end] - sums[shapes.start]) / (shapes.end - shapes.start)
    starts, which = np.unique(shapes.start, return_inverse=True)
    local = np.array([np.median(y[max(start - _AROUND, 0) : start]) for start in starts])
    rising: NDArray[np.bool_] = (
        mean >= MIN_RISE * local[which]
    )  # what fails here is refused, without a closer look
    for place in np.flatnonzero(rising):
        rising[place] = not _refused(y, shapes.start[place], shapes.end[place])
    return rising


def _refused(y: Floats, start: int, end: int) -> str:
    """Why arrivals rise too little for a wave; empty if they rise enough."""
    enough, inside = MIN_RISE * _usual(y, start, end), y[start:end]
    if inside.mean() < enough:
        return f"arrivals rise to less than {MIN_RISE:g} times the usual"
    if np.partition(inside, -2)[-2] < enough:
        return "a single period stands out, which is no wave"
    return ""


def _dates(z: Floats, start: int, end: int) -> tuple[int, int]:
    """The wave with the periods just before it that are above the middle of both levels."""
    middle = (float(np.median(z[max(start - _AROUND, 0) : start])) + float(z[start:end].mean())) / 2
    while start > 1 and z[start - 1] >= middle:
        start -= 1
    return start, end


def _best(
    z: Floats,
    shapes: _Shapes,
    models: tuple[_Model, ...],
    allowed: NDArray[np.bool_] | None = None,
) -> _Best:
    """The most likely shape of each series, of those allowed (shapes,); z is (m, n)."""
    rows = np.arange(z.shape[0])
    without, beside, places, noises = [], [], [], []
    for model in models:
        free = model.free
        residual = z @ model.projection
        square = (residual * z).sum(1)
        sums = np.concatenate([np.zeros((rows.size, 1)), residual.cumsum(1)], axis=1)
        levels = sums[:, shapes.high] - sums[:, shapes.low]
        product = np.concatenate([levels, z @ model.jumps], axis=1)
        rises = (product > 0) & (model.squares > 1e-6)
        if allowed is not None:
            rises &= allowed
        gains = np.where(rises, product**2 / np.maximum(model.squares, 1e-6), 0.0)
        place = gains.argmax(1)
        left = np.maximum(square - gains[rows, place], 1e-9)
        without.append(_likelihood(square, free, model.penalty))
        beside.append(_likelihood(left, free, model.penalty))
        places.append(place)
        noises.append(np.maximum(left / (free - 1), 1.0))
    likelihood = np.array(beside)
    chosen = likelihood.argmax(0)
    gain = 2 * (likelihood[chosen, rows] - np.max(without, axis=0))
    return _Best(gain, np.array(places)[chosen, rows], likelihood, np.array(noises))


def _likelihood(square: Floats, free: int, penalty: float) -> Floats:
    """Restricted log-likelihood at the best variance of the noise, at least Poisson's 1."""
    noise = np.maximum(square / free, 1.0)
    return -(free * np.log(noise) + square / noise + penalty) / 2


def _p_value(
    best: _Best, shapes: _Shapes, models: tuple[_Model, ...], n: int, seed: int, level: float
) -> float:
    """Share of series without a wave in which some shape gains as much; see the module.

    Each q that is nearly as likely as the best is looked at, until one of them gives more than
    `level`.
    """
    likelihood = best.likelihood[:, 0]
    observed = float(best.gain[0]) * (1 - 1e-12)
    largest = 0.0
    for place in np.argsort(-likelihood, kind="stable"):
        if likelihood[place] < likelihood.max() - _NEARLY or largest > level:
            break
        model, noise = models[place], float(best.noise[place, 0])
        share = _share_as_high(observed, model.q, noise, shapes, models, n, seed)
        largest = max(largest, share)
    return largest


def _share_as_high(
    observed: float,
    q: float,
    noise: float,
    shapes: _Shapes,
    models: tuple[_Model, ...],
    n: int,
    seed: int,
) -> float:
    """(1 + #{gains as high}) / (1 + series), of series with steps of variance q · noise."""
    from recsys.core.noise import Stream, normals

    n_as_high, drawn = 0, 0
    while drawn < SERIES and n_as_high < _ENOUGH:
        numbers = np.arange(drawn, min(drawn + _CHUNK, SERIES))[:, None]
        luck = normals(seed, Stream.SHUFFLE, np.arange(n), numbers)
        series = np.sqrt(noise) * (luck[..., 0] + np.sqrt(q) * luck[..., 1].cumsum(1))
        n_as_high += int((_best(series, shapes, models).gain >= observed).sum())
        drawn += numbers.size
    return (1 + n_as_high) / (1 + drawn)
