"""Finds the start of a wave of newcomers: a change point in the counts of users first seen.

The counts are taken in equal periods. Their square roots 2 sqrt(count + 3/8) have a variance of
about 1 if counts are Poisson (Anscombe 1948). PELT (Killick et al. 2012, from `ruptures`) cuts the
series into levels. The wave begins at the cut that raises the level most. It ends where the level
falls below the middle of the two levels, or never. It is reported only if all of this holds:

- it saves more squared error than its penalty of 3 σ² ln(periods) for each of its ends;
- arrivals are at least `MIN_RISE` times those before;
- it describes the counts better than a straight line, so that steady growth is no wave;
- its p-value is at most `LEVEL`.

The p-value is the share of series without a wave in which some window stands out as much:
p = (1 + #{as much}) / (`SHUFFLES` + 1). Such series are made in two ways, by shuffling the periods
and as normal series with the correlation between neighbouring periods that the wave leaves
unexplained. The larger of the two p-values is taken.

Only rises are looked for, since the count of users first seen falls in the first weeks of any log:
users who were there before the log began are first seen then. Counts that rise and fall slowly by
themselves give false alarms more often than `LEVEL`, because a slow rise looks like a wave
(docs/log.md has rates).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.core.errors import ConfigError
from recsys.statistics.arrays import Floats

LEVEL = 0.01
"""Largest p-value at which a wave is reported."""
MIN_PERIODS = 16
"""Least number of periods in which a wave is looked for."""
MIN_RISE = 1.5
"""Least arrivals per period in a wave, as a multiple of those before it."""
SHUFFLES = 999
"""Number of series without a wave that are made for the p-value."""
_SHORTEST = 2
"""Periods of the shortest wave; a single high period stands out in any order of periods."""
_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class Wave:
    """The best candidate for a wave in counts of users first seen, reported or not.

    Attributes:
        start: first period of the wave; None if no cut raises the level.
        end: first period after the wave, or the number of periods if the wave goes on; None as for
            `start`.
        before: mean arrivals per period before `start`.
        during: mean arrivals per period from `start` to `end`.
        gain: squared error that the wave saves, in units of the variance of the noise.
        penalty: gain that the wave must exceed.
        line: gain of a straight line.
        p_value: share of series without a wave in which a window stands out as much.
        refusal: reason why this is not reported as a wave; empty if it is.
    """

    start: int | None
    end: int | None
    before: float
    during: float
    gain: float
    penalty: float
    line: float
    p_value: float
    refusal: str = ""

    @property
    def found(self) -> bool:
        """Whether this is reported as a wave."""
        return not self.refusal

    @property
    def evidence(self) -> str:
        """The figures as a sentence for people."""
        return (
            f"{self.during:,.1f} arrivals a period after {self.before:,.1f} before; penalised gain "
            f"{self.gain - self.penalty:,.1f} (gain {self.gain:,.1f}, penalty {self.penalty:,.1f}; "
            f"a straight line gains {self.line:,.1f}); p = {self.p_value:.3g}"
        )


def find_wave(counts: ArrayLike, seed: int = 0, level: float = LEVEL) -> Wave:
    """Looks for a wave of newcomers in counts of users first seen.

    Args:
        counts: (n,), number of users first seen in each of n equal periods, in the order of time;
            n is at least `MIN_PERIODS`.
        seed: seed of the series without a wave, such as 0.
        level: largest p-value at which a wave is reported, such as 0.01.

    Raises:
        ValueError: negative or too few counts.
        ConfigError: `ruptures` is not installed.

    >>> wave = find_wave([3, 5, 4, 2, 6, 4, 3, 5, 4, 3, 4, 40, 35, 20, 5, 4, 3, 5])
    >>> wave.found, wave.start, wave.end, wave.before.__round__(2), wave.during.__round__(2)
    (True, 11, 14, 3.91, 31.67)
    >>> find_wave([3, 5, 4, 2, 6, 4, 3, 5, 4, 3, 4, 4, 3, 2, 5, 4, 3, 5]).refusal
    'the level never rises'
    """
    y = np.asarray(counts, dtype=np.float64)
    if y.ndim != 1 or y.size < MIN_PERIODS or (y < 0).any():
        raise ValueError(
            f"counts have shape {y.shape}; give {MIN_PERIODS} or more in one row, none below 0"
        )
    z = 2 * np.sqrt(y + 0.375)
    noise = _noise_variance(z)
    penalty = 3 * noise * float(np.log(y.size))  # for each end of the wave
    start, end = _rise(z, _cuts(z, penalty))
    if start is None or end is None:
        nothing = float("nan")
        return Wave(
            None,
            None,
            float(y.mean()),
            nothing,
            0.0,
            penalty / noise,
            nothing,
            1.0,
            "the level never rises",
        )
    gain = _gain(z, start, end)
    wave = Wave(
        start=start,
        end=end,
        before=float(y[:start].mean()),
        during=float(y[start:end].mean()),
        gain=gain / noise,
        penalty=penalty * (1 + (end < y.size)) / noise,
        line=_line_gain(z) / noise,
        p_value=_p_value(z, start, end, seed),
    )
    return Wave(**{**wave.__dict__, "refusal": _refusal(wave, level)})


def first_seen_by(gaps: ArrayLike, share: float = 0.9) -> float:
    """Time from the start of a log until most earlier users have been seen in it.

    For a user whose gaps G between visits have mean E[G], the time from the start of the log to the
    next visit exceeds b with probability E[max(G - b, 0)] / E[G] (renewal theory; Cox 1962). The
    result is the b at which this has fallen to 1 - share. Gaps longer than the log cannot be seen,
    and where there are such gaps b is too short.

    Args:
        gaps: (n,), times between visits of the same user, at least 0, in any unit such as days.
        share: share of the earlier users who should have been seen, in (0, 1), such as 0.9.

    Returns:
        b in the unit of the gaps; 0 without gaps.

    >>> first_seen_by([2.0, 2.0, 2.0], 0.5)
    1.0
    """
    lengths = np.sort(np.asarray(gaps, dtype=np.float64))
    total = float(lengths.sum())
    if total <= 0:
        return 0.0
    # n E[max(G - b, 0)] with b at each length: what exceeds b, summed over the longer gaps.
    n_longer = lengths.size - np.arange(1, lengths.size + 1)
    excess = (total - np.cumsum(lengths)) - n_longer * lengths
    place = int(np.argmax(excess <= (1 - share) * total))
    count = lengths.size - place  # number of gaps from lengths[place] up
    tail = float(lengths[place:].sum())
    return max((tail - (1 - share) * total) / count, 0.0)


def _noise_variance(z: Floats) -> float:
    """Variance of single counts, from the median of their differences; at least Poisson's 1."""
    steps = np.diff(z)
    spread = _TO_SIGMA * float(np.median(np.abs(steps - np.median(steps)))) / np.sqrt(2)
    return float(max(spread**2, 1.0))


def _cuts(z: Floats, penalty: float) -> list[int]:
    """Ends of the levels that PELT finds; the last is the number of periods."""
    try:
        from ruptures import Pelt
    except ModuleNotFoundError as error:
        raise ConfigError(
            "log.newcomers: auto needs the package ruptures, which is not installed (it has no "
            "release for Python 3.14 and later); use first_seen with dates, or an earlier Python"
        ) from error
    pelt = Pelt(model="l2", min_size=_SHORTEST, jump=1).fit(z.reshape(-1, 1))
    return [int(end) for end in pelt.predict(pen=penalty)]


def _rise(z: Floats, cuts: list[int]) -> tuple[int | None, int | None]:
    """Start of the highest rise, and the period from which the level is below its middle again."""
    edges = [0, *cuts]
    levels = [float(z[a:b].mean()) for a, b in pairwise(edges)]
    rises = [after - before for before, after in pairwise(levels)]
    if not rises or max(rises) <= 0:
        return None, None
    place = int(np.argmax(rises)) + 1
    middle = (levels[place - 1] + levels[place]) / 2
    lower = [edges[i] for i in range(place + 1, len(levels)) if levels[i] < middle]
    return edges[place], lower[0] if lower else z.size


def _gain(z: Floats, start: int, end: int) -> float:
    """Squared error saved by a mean before, one in and one after a window, over a single mean."""
    centred = z - z.mean()
    parts = (centred[:start], centred[start:end], centred[end:])
    return float(sum(part.sum() ** 2 / part.size for part in parts if part.size))


def _line_gain(z: Floats) -> float:
    """Squared error saved by a straight line, over a single mean."""
    time = np.arange(z.size) - (z.size - 1) / 2
    return float((time @ z) ** 2 / (time @ time))


def _refusal(wave: Wave, level: float) -> str:
    """Why a wave is not reported; empty if it is."""
    if wave.gain <= wave.penalty:
        return "the rise saves less than its penalty"
    if wave.line >= wave.gain:
        return "a straight line describes the arrivals as well: they grow or fall steadily"
    if wave.during < MIN_RISE * wave.before:
        return f"arrivals rise to less than {MIN_RISE:g} times those before"
    if wave.p_value > level:
        return f"p is above {level:g}: series in which nothing happens stand out as much"
    return ""


def _p_value(z: Floats, start: int, end: int, seed: int) -> float:
    """Share of series without a wave in which some window stands out as much; see the module."""
    from recsys.core.noise import Stream, normals, uniforms

    windows = _windows(z.size)
    observed = _largest_gain(z, windows) * (1 - 1e-12)  # ties count in spite of rounding
    numbers, periods = np.arange(SHUFFLES)[:, None], np.arange(z.size)
    lots = uniforms(seed, Stream.SHUFFLE, periods, numbers)[..., 0]
    shuffled = z[np.argsort(lots, axis=1, kind="stable")]
    independent = normals(seed, Stream.SHUFFLE, periods, numbers, 1)[..., 0]
    correlated = _correlated(independent, _correlation_of_neighbours(z, start, end))
    n_as_much = [
        sum(_largest_gain(series, windows) >= observed for series in without_wave)
        for without_wave in (shuffled, correlated)
    ]
    return (1 + max(n_as_much)) / (SHUFFLES + 1)


def _correlation_of_neighbours(z: Floats, start: int, end: int) -> float:
    """Correlation of neighbouring periods after the levels of the wave are removed, 0 to .95.

    To fit a mean to m values lowers the estimate by (1 + 3 r) / m (Kendall 1954), which is added
    back.
    """
    parts = [part - part.mean() for part in (z[:start], z[start:end], z[end:]) if part.size]
    rest = np.concatenate(parts)
    square = float(rest @ rest)
    if square == 0:
        return 0.0
    raw = float(rest[1:] @ rest[:-1]) / square
    return float(np.clip(raw + len(parts) * (1 + 3 * raw) / z.size, 0.0, 0.95))


def _correlated(independent: Floats, correlation: float) -> Floats:
    """Normal series (series, periods) with this correlation of neighbouring periods."""
    series = independent.copy()
    for period in range(1, independent.shape[1]):
        new_part = np.sqrt(1 - correlation**2) * independent[:, period]
        series[:, period] = correlation * series[:, period - 1] + new_part
    return series


def _windows(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of all windows; no window, nor what is beside it, is a single period long."""
    start, end = np.meshgrid(np.arange(n), np.arange(n + 1), indexing="ij")
    after = n - end
    fits = (start >= _SHORTEST) & (end - start >= _SHORTEST)
    fits &= (after == 0) | (after >= _SHORTEST)
    return start[fits], end[fits]


def _largest_gain(z: Floats, windows: tuple[NDArray[np.int64], NDArray[np.int64]]) -> float:
    """Largest `_gain` of a window that is higher than both sides, as a share of all squares."""
    start, end = windows
    n = z.size
    centred = z - z.mean()
    square = float(centred @ centred)
    if square == 0:
        return 0.0
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    before, inside, after = sums[start], sums[end] - sums[start], -sums[end]
    size, rest = end - start, np.maximum(n - end, 1)
    higher = (inside / size > before / start) & ((end == n) | (inside / size > after / rest))
    gain = before**2 / start + inside**2 / size + np.where(end < n, after**2 / rest, 0.0)
    return float(np.max(gain, where=higher, initial=0.0)) / square
