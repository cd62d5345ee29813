"""What an estimator tells: a value and its standard error over users."""

from typing import NamedTuple

import numpy as np

from recsys.statistics.arrays import Floats


class Told(NamedTuple):
    """An estimate.

    Attributes:
        value: the estimate, in the unit of what is estimated.
        se: its standard error over users or periods; NaN where it is not known. All users of a
            platform share its luck, which this error does not hold.
        df: degrees of freedom of the t distribution of its interval; infinite where the number of
            users is large.

    >>> told = Told(0.5, 0.1, df=3)
    >>> round(told.low, 3), round(told.high, 3)
    (0.182, 0.818)
    """

    value: float
    se: float = float("nan")
    df: float = float("inf")

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval; NaN where the standard error is."""
        return self.value - self._half()

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval; NaN where the standard error is."""
        return self.value + self._half()

    def _half(self) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self.df, 0.975)) * self.se


def mean_of(values: Floats) -> Told:
    """The mean over users, its standard error, and a t interval.

    Args:
        values: (n_users,) float; NaN leaves a user out.

    >>> mean_of(np.array([0.1, 0.3, np.nan]))
    Told(value=0.2, se=0.1, df=1)
    """
    known = values[~np.isnan(values)]
    if known.size < 2:
        return Told(float(known[0]) if known.size else float("nan"))
    se = float(known.std(ddof=1)) / float(np.sqrt(known.size))
    return Told(float(known.mean()), se, known.size - 1)
