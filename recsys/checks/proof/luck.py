"""Claim 1, continued: intervals hold the truth where the luck of seeds and users is skewed.

Studies are drawn from laws of luck whose mean is known, with users crossed with seeds. Their
intervals are compared with the t intervals that suppose symmetric luck.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.checks.proof.claims import Figure
from recsys.checks.verdicts import mean_and_ends
from recsys.core.noise import Stream, normals, uniforms
from recsys.statistics import nested_interval, two_way_interval

SEEDS = (3, 5, 8, 16)
"""Numbers of seeds of a study."""
CLAIMED = 8
"""Number of seeds for which coverage is claimed."""
_GAUSSIAN = "gaussian"
_USERS, _BATCH = 200, 100
_SD_USERS, _SD_SEEDS, _SD_REST = 0.2, 0.05, 0.2
_VIRAL, _VIRAL_SDS, _CARRIERS = 0.2, 4.0, 0.02


class Draws(NamedTuple):
    """Standard draws of some studies; each field has the shape (studies, users, seeds), where axes
    along which nothing varies have the length 1.

    Attributes:
        users, seeds, rest: float64, standard normal.
        users_lot, seeds_lot: float64, uniform in (0, 1).
    """

    users: NDArray[np.float64]
    seeds: NDArray[np.float64]
    rest: NDArray[np.float64]
    users_lot: NDArray[np.float64]
    seeds_lot: NDArray[np.float64]


class Law(NamedTuple):
    """A law of luck.

    Attributes:
        values: from draws to values, float64 (studies, users, seeds).
        mean: mean of the values.
    """

    values: Callable[[Draws], NDArray[np.float64]]
    mean: float


def _crossed(luck: Callable[[Draws], NDArray[np.float64]]) -> Callable[[Draws], Any]:
    return lambda draws: _SD_USERS * draws.users + _SD_REST * draws.rest + _SD_SEEDS * luck(draws)


LAWS: Mapping[str, Law] = {
    _GAUSSIAN: Law(_crossed(lambda draws: draws.seeds), 0.0),
    "one viral seed in five": Law(
        _crossed(lambda draws: draws.seeds + _VIRAL_SDS * (draws.seeds_lot < _VIRAL)),
        _SD_SEEDS * _VIRAL_SDS * _VIRAL,
    ),
    "lognormal luck of seeds": Law(
        _crossed(lambda draws: np.exp(draws.seeds)), _SD_SEEDS * float(np.exp(0.5))
    ),
    "2 % of users carry all": Law(
        lambda draws: np.where(draws.users_lot < _CARRIERS, np.exp(draws.seeds / 2), 0.0),
        _CARRIERS * float(np.exp(0.125)),
    ),
}
"""The laws by name. Where nothing else is said, users differ with a standard deviation of .2, seeds
with .05 and the rest with .2. A viral seed is 4 of its standard deviations higher than others;
lognormal luck has the standard deviation 1 in logs. Users who carry all have the value 1, times the
seed's luck, and all others 0."""


def run_luck(law: str, n_seeds: int, studies: int) -> pl.DataFrame:
    """Intervals of studies with 200 users whose luck follows a law.

    Args:
        law: a key of `LAWS`.
        n_seeds: number of seeds of each study, such as 8.
        studies: number of studies, such as 4000.

    Returns:
        law · n_seeds · study · truth · mean · ci_low · ci_high · t_low · t_high, where the last two
        are the ends of the t interval.
    """
    from scipy.special import stdtrit

    place, frames = list(LAWS).index(law), []
    for first in range(0, studies, _BATCH):
        numbers = np.arange(first, min(first + _BATCH, studies))
        y = two_way_interval(LAWS[law].values(_drawn(place, numbers, n_seeds)))
        half = np.where(y.variance > 0, stdtrit(y.df, 0.975) * np.sqrt(y.variance), 0.0)
        ends = {"ci_low": y.low, "ci_high": y.high, "t_low": y.mean - half, "t_high": y.mean + half}
        frames.append(pl.DataFrame({"study": numbers, "mean": y.mean, **ends}))
    keys = {"law": pl.lit(law), "n_seeds": pl.lit(n_seeds), "truth": pl.lit(LAWS[law].mean)}
    columns = ("law", "n_seeds", "study", "truth", "mean", "ci_low", "ci_high", "t_low", "t_high")
    return pl.concat(frames).with_columns(**keys).select(columns)


def _drawn(key: int, studies: NDArray[np.int64], n_seeds: int) -> Draws:
    """Draws of some studies; those of a seed do not depend on the number of seeds."""
    study, user = studies[:, None, None], np.arange(_USERS)[None, :, None]
    block = np.arange(-(-n_seeds // 4))[None, None, :]

    def of_seeds(draw: Any, *where: Any) -> NDArray[np.float64]:
        drawn = draw(key, Stream.LUCK, *where)
        return np.asarray(drawn.reshape(*drawn.shape[:2], -1)[..., :n_seeds])

    return Draws(
        users=normals(key, Stream.LUCK, study, user, 1)[..., 0],
        seeds=of_seeds(normals, study, block, 2),
        rest=of_seeds(normals, study, user, 5 + block),
        users_lot=uniforms(key, Stream.LUCK, study, user, 3)[..., 0],
        seeds_lot=of_seeds(uniforms, study, block, 4),
    )


def luck(studies: pl.DataFrame) -> tuple[pl.DataFrame, list[Figure]]:
    """How often the intervals hold the truth, by law and number of seeds.

    Args:
        studies: rows of `run_luck`.

    Returns:
        A frame, and figures of claim 1. The columns of the frame are law · n_seeds · covered (share
        of the intervals that hold the truth) · truth_below (share that lie above the truth) ·
        truth_above · t_covered · t_truth_below · t_truth_above (of the t interval) · width (median
        width, over that of the t interval) · studies. The figures are those with `CLAIMED` seeds;
        their intervals are over 20 groups of studies.
    """
    rows, figures = [], []
    for keys, group in studies.group_by("law", "n_seeds", maintain_order=True):
        law, n_seeds = str(keys[0]), int(str(keys[1]))
        truth = group["truth"].to_numpy()
        low, high, t_low, t_high = (
            group[name].to_numpy() for name in ("ci_low", "ci_high", "t_low", "t_high")
        )
        varies = t_high > t_low
        widths = (high - low)[varies] / (t_high - t_low)[varies]
        row: dict[str, Any] = {"law": law, "n_seeds": n_seeds}
        for prefix, one, other in (("", low, high), ("t_", t_low, t_high)):
            below, above = float((truth < one).mean()), float((truth > other).mean())
            row |= {
                f"{prefix}covered": 1 - below - above,
                f"{prefix}truth_below": below,
                f"{prefix}truth_above": above,
            }
        rows.append({**row, "width": float(np.median(widths)), "studies": group.height})
        if n_seeds != CLAIMED:
            continue
        seeds = CLAIMED * group.height
        worse = truth < low if row["truth_below"] > row["truth_above"] else truth > high
        for claim, said in (
            ("95 % intervals that hold the truth, by luck", (truth >= low) & (truth <= high)),
            ("intervals that miss on the worse side", worse),
        ):
            figures.append(Figure(claim, law, *_over_groups(said, np.mean), n_seeds=seeds))
        if law == _GAUSSIAN:
            ends = _over_groups(widths, np.median)
            figures.append(Figure("median width, over the t interval's", law, *ends, n_seeds=seeds))
    return pl.DataFrame(rows), figures


def _over_groups(
    values: NDArray[Any], figure: Callable[[NDArray[Any]], Any]
) -> tuple[float, float, float]:
    """A figure of all values, with its 95 % interval over 20 groups of them."""
    groups = np.array([[figure(part) for part in np.array_split(values, min(20, values.size))]])
    _, low, high = mean_and_ends(nested_interval(groups))
    return float(figure(values)), low, high
