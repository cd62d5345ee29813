"""When a wave of newcomers began: a change point in the counts of people first seen, or none.

The counts of equal periods are made alike in spread by 2 sqrt(count + 3/8) (Anscombe 1948; variance
1 for Poisson counts). PELT (Killick et al. 2012, from `ruptures`) cuts them into levels. The wave
begins where a cut raises the level most, and ends where the level falls below the middle again, if
it does. It is announced only if all of this holds:

- the cost that it saves is more than its penalty of 3 σ² ln(periods) for each of its ends;
- arrivals are at least `MIN_RISE` times those before;
- it describes the counts better than a straight line, so that steady growth is no wave;
- of `SHUFFLES` shuffles of the periods, and of as many normal series whose periods hang together as
  what the wave leaves over does (lag 1, corrected for the fitted levels), at most one in a hundred
  has a window that stands out as much: p = (1 + #{as much}) / (shuffles + 1), the larger of two.

Only rises count: who was there before a log began is first seen in its first weeks, which decays.
Counts that swing slowly by themselves raise false alarms more often than one in a hundred, since a
slow swing and a wave are alike (docs/log.md has rates).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsys.core.errors import ConfigError

LEVEL = 0.01
"""Largest p at which a wave is announced."""
MIN_PERIODS = 16
"""Fewest periods in which a change is looked for."""
MIN_RISE = 1.5
"""Arrivals in a wave, as a multiple of those before."""
SHUFFLES = 999
_SHORTEST = 2
"""Periods of the shortest wave: a single one that stands out does so in any order."""
_TO_SIGMA = 1.4826
"""Standard deviations in a median absolute deviation, for a normal distribution."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Wave:
    """What was found in the counts of people first seen, whether or not it is enough.

    Attributes:
        start, end: first period of the wave and the first after it; `end` is the number of periods
            where it goes on. Both None if no cut raises the level.
        before, during: mean arrivals a period before `start`, and from `start` to `end`.
        gain: squared error that the wave saves, in units of the noise's variance.
        penalty: what it has to save.
        line: what a straight line saves.
        p_value: share of shuffled, or of simulated, series with a window that stands out as much.
        refusal: why it is no wave; empty if it is one.
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
        """Whether it is one."""
        return not self.refusal

    @property
    def evidence(self) -> str:
        """The figures in words."""
        return (
            f"{self.during:,.1f} arrivals a period after {self.before:,.1f} before; penalised gain "
            f"{self.gain - self.penalty:,.1f} (gain {self.gain:,.1f}, penalty {self.penalty:,.1f}; "
            f"a straight line gains {self.line:,.1f}); p = {self.p_value:.3g}"
        )


def find_wave(counts: ArrayLike, seed: int = 0, level: float = LEVEL) -> Wave:
    """Looks for a wave in counts of arrivals.

    Args:
        counts: (n,) people first seen in each of n equal periods, in the order of time, at least
            `MIN_PERIODS`.
        seed: draws the shuffles.
        level: largest p at which a wave is announced.

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
        raise ValueError(f"{y.shape} counts; {MIN_PERIODS} or more of at least 0 are needed")
    z = 2 * np.sqrt(y + 0.375)
    noise = _noise_variance(z)
    each = 3 * noise * float(np.log(y.size))
    start, end = _rise(z, _cuts(z, each))
    if start is None or end is None:
        nothing = float("nan")
        return Wave(
            None,
            None,
            float(y.mean()),
            nothing,
            0.0,
            each / noise,
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
        penalty=each * (1 + (end < y.size)) / noise,
        line=_line_gain(z) / noise,
        p_value=_p_value(z, start, end, seed),
    )
    return Wave(**{**wave.__dict__, "refusal": _refusal(wave, level)})


def first_seen_by(gaps: ArrayLike, share: float = 0.9) -> float:
    """After how long most of those who were there before a log began have been seen in it.

    Somebody who comes at intervals with mean E[G] is next seen, from a moment chosen without
    looking, later than b with probability E[max(G - b, 0)] / E[G] (renewal theory; Cox 1962). So b
    is where this has fallen to 1 - share. Intervals longer than the log are not known: b is then
    too short.

    Args:
        gaps: (n,) lengths of time between visits of the same person, at least 0.
        share: of those people, in (0, 1).

    Returns:
        In the unit of the gaps; 0 where there are none.

    >>> first_seen_by([2.0, 2.0, 2.0], 0.5)
    1.0
    """
    lengths = np.sort(np.asarray(gaps, dtype=np.float64))
    total = float(lengths.sum())
    if total <= 0:
        return 0.0
    # E[max(G - b, 0)] at each length: what is left of the longer ones.
    longer = lengths.size - np.arange(1, lengths.size + 1)
    left = (total - np.cumsum(lengths)) - longer * lengths
    place = int(np.argmax(left <= (1 - share) * total))
    count = lengths.size - place  # those that are at least lengths[place] long
    tail = float(lengths[place:].sum())
    return max((tail - (1 - share) * total) / count, 0.0)


def _noise_variance(z: Floats) -> float:
    """Of single counts, from the middle of their differences; Poisson's 1 at least."""
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
    found = Pelt(model="l2", min_size=_SHORTEST, jump=1).fit(z.reshape(-1, 1)).predict(pen=penalty)
    return [int(end) for end in found]


def _rise(z: Floats, cuts: list[int]) -> tuple[int | None, int | None]:
    """Start of the highest rise, and where the level is below its middle again."""
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
    """Squared error saved by levels of their own before, in and after a window."""
    centred = z - z.mean()
    parts = (centred[:start], centred[start:end], centred[end:])
    return float(sum(part.sum() ** 2 / part.size for part in parts if part.size))


def _line_gain(z: Floats) -> float:
    """Squared error saved by a straight line."""
    time = np.arange(z.size) - (z.size - 1) / 2
    return float((time @ z) ** 2 / (time @ time))


def _refusal(wave: Wave, level: float) -> str:
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
    """Of the window that stands out most, among series in which nothing happens."""
    from recsys.core.noise import Stream, normals, uniforms

    windows = _windows(z.size)
    observed = _most(z, windows) * (1 - 1e-12)
    each, periods = np.arange(SHUFFLES)[:, None], np.arange(z.size)
    lots = uniforms(seed, Stream.SHUFFLE, periods, each)[..., 0]
    shuffled = z[np.argsort(lots, axis=1, kind="stable")]
    steps = normals(seed, Stream.SHUFFLE, periods, each, 1)[..., 0]
    as_much = [
        sum(_most(series, windows) >= observed for series in among)
        for among in (shuffled, _hanging_together(steps, _memory(z, start, end)))
    ]
    return (1 + max(as_much)) / (SHUFFLES + 1)


def _memory(z: Floats, start: int, end: int) -> float:
    """Correlation of neighbouring periods around the wave's levels, 0 to .95.

    Fitting a mean to m values lowers it by (1 + 3 r) / m (Kendall 1954), which is added back.
    """
    parts = [part - part.mean() for part in (z[:start], z[start:end], z[end:]) if part.size]
    rest = np.concatenate(parts)
    square = float(rest @ rest)
    if square == 0:
        return 0.0
    raw = float(rest[1:] @ rest[:-1]) / square
    return float(np.clip(raw + len(parts) * (1 + 3 * raw) / z.size, 0.0, 0.95))


def _hanging_together(steps: Floats, memory: float) -> Floats:
    """Normal series with this correlation of neighbours; steps: independent (series, periods)."""
    series = steps.copy()
    for period in range(1, steps.shape[1]):
        fresh = np.sqrt(1 - memory**2) * steps[:, period]
        series[:, period] = memory * series[:, period - 1] + fresh
    return series


def _windows(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of all windows, but for those with a single period beside or in them."""
    start, end = np.meshgrid(np.arange(n), np.arange(n + 1), indexing="ij")
    after = n - end
    fits = (start >= _SHORTEST) & (end - start >= _SHORTEST)
    fits &= (after == 0) | (after >= _SHORTEST)
    return start[fits], end[fits]


def _most(z: Floats, windows: tuple[NDArray[np.int64], NDArray[np.int64]]) -> float:
    """The largest share of the squares that a window saves whose level is above either side's."""
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
