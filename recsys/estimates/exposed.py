"""Exposure design: doubly robust difference in differences over an exposure set beforehand.

Some incumbents were always going to meet more of the newcomers: those who read their language, or
who come at their hour. How much more did they change? Exposure must be measured before a separate
window from which the change is counted, or regression to the mean passes for an effect. Source:
Sant'Anna & Zhao (2020), "Doubly robust difference-in-differences estimators", J. Econometrics 219.

The contrast is between thirds of incumbents. To speak of all, it is scaled as if the effect were in
proportion to exposure, and none without: what reaches everybody alike is not seen.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.estimates.told import Told
from recsys.statistics.arrays import Floats

FEWEST = 20
"""Fewest users in either third."""
_MOST_ODDS = 20.0
"""Largest odds of being among the most exposed by which a user is weighted."""
_STEPS = 25
"""Steps of Newton's method for the propensity score."""
_RIDGE = 1e-3
"""Keeps the propensity score finite where covariates separate the thirds."""


class Exposed(NamedTuple):
    """What exposure tells.

    Attributes:
        contrast: change of the most exposed third less that of the least exposed, adjusted.
        average: the contrast, scaled to the mean exposure of all.
        pre_trend: the same contrast between two windows before anybody came; NaN if not given.
        pre_trend_p: p-value of no pre-trend, two-sided; NaN if not given.
    """

    contrast: Told
    average: Told
    pre_trend: Told
    pre_trend_p: float

    @property
    def credible(self) -> bool:
        """Whether a pre-trend was looked for and none was found at the 5 % level."""
        return self.pre_trend_p > 0.05


def by_thirds(
    exposure: Floats,
    change: Floats,
    change_before: Floats | None = None,
    given: Floats | None = None,
) -> Exposed | None:
    """Effect of exposure on a change, between the most and the least exposed third.

    Args:
        exposure: (n_users,) float, at least 0, from before both windows of `change`; NaN leaves a
            user out.
        change: (n_users,) float, a user's value in the window after the arrival less that in the
            window before; NaN where it is not known.
        change_before: (n_users,) float, the same between two windows before the arrival.
        given: (n_users, covariates) float, what the thirds are made alike by, such as activity.

    Returns:
        The estimate; None if either third has fewer than `FEWEST` users. Where the thirds have one
        bound, such as no exposure at all, those above it are compared with all others.

    >>> exposure = np.repeat([0.0, 0.1, 0.4], 30)
    >>> told = by_thirds(exposure, np.tile([-0.01, 0.01], 45) + 0.5 * exposure)
    >>> round(told.contrast.value, 6), round(told.average.value, 6)
    (0.2, 0.083333)
    """
    covariates = np.zeros((exposure.size, 0)) if given is None else given
    asked = ~np.isnan(exposure)
    if not asked.any():
        return None
    lower, upper = np.quantile(exposure[asked], [1 / 3, 2 / 3])
    least = asked & (exposure <= lower)
    most = asked & (exposure >= upper if lower < upper else exposure > lower)
    contrast = _contrast(change, most, least, covariates)
    if contrast is None:
        return None
    pre, pre_p = Told(float("nan")), float("nan")
    if change_before is not None:
        earlier = _contrast(change_before, most, least, covariates)
        if earlier is not None:
            pre, pre_p = earlier, _p_value(earlier)
    apart = float(exposure[most].mean() - exposure[least].mean())
    scale = float(exposure[asked].mean()) / apart
    average = Told(contrast.value * scale, contrast.se * scale, contrast.df)
    return Exposed(contrast, average, pre, pre_p)


def _p_value(told: Told) -> float:
    from scipy.special import stdtr

    if not told.se > 0:
        return 1.0 if told.value == 0 else 0.0
    return float(2 * stdtr(told.df, -abs(told.value) / told.se))


def _contrast(
    change: Floats, most: NDArray[np.bool_], least: NDArray[np.bool_], covariates: Floats
) -> Told | None:
    """Doubly robust contrast of changes; None where too few are known.

    The least exposed are weighted by their odds of being among the most exposed, and what a
    regression among the least exposed expects of each user is taken out of all changes. It is right
    if either model is.
    """
    known = (most | least) & ~np.isnan(change) & ~np.isnan(covariates).any(axis=1)
    treated = most[known]
    if min(treated.sum(), (~treated).sum()) < FEWEST:
        return None
    x = covariates[known]
    spread = x.std(axis=0)
    x = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)])
    y = change[known]
    coefficients = np.linalg.lstsq(x[~treated], y[~treated], rcond=None)[0]
    rest = y - x @ coefficients
    odds = np.where(treated, 0.0, np.minimum(np.exp(x @ _logistic(x, treated)), _MOST_ODDS))
    of_most, of_least = treated / treated.mean(), odds / odds.mean()
    value_most, value_least = float((of_most * rest).mean()), float((of_least * rest).mean())
    influence = of_most * (rest - value_most) - of_least * (rest - value_least)
    worth = min(float(treated.sum()), float(odds.sum() ** 2 / (odds**2).sum()))
    se = float(influence.std(ddof=1) / np.sqrt(len(y)))
    return Told(value_most - value_least, se, max(worth - x.shape[1], 1.0))


def _logistic(x: Floats, treated: NDArray[np.bool_]) -> Floats:
    """Coefficients of a logistic regression, slightly shrunk."""
    beta = np.zeros(x.shape[1])
    ridge = _RIDGE * len(x) * np.eye(x.shape[1])
    ridge[0, 0] = 0.0
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        curvature = (x * (p * (1 - p))[:, None]).T @ x + ridge + 1e-9 * np.eye(x.shape[1])
        beta = beta + np.linalg.solve(curvature, x.T @ (treated - p) - ridge @ beta)
    return beta
