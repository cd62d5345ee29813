"""What an estimator tells: a value and its standard error over users."""

from typing import NamedTuple

import numpy as np

from recsys.statistics.arrays import Floats

_NORMAL_95 = 1.959963984540054
"""Half the width of a 95 % interval, in standard errors."""


class Told(NamedTuple):
    """An estimate.

    Attributes:
        value: the estimate, in the unit of what is estimated.
        se: its standard error over users; NaN where it is not known. All users of a platform share
            its luck, which this error does not hold.
    """

    value: float
    se: float = float("nan")

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - _NORMAL_95 * self.se

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + _NORMAL_95 * self.se


def mean_of(values: Floats) -> Told:
    """The mean over users and its standard error.

    Args:
        values: (n_users,) float; NaN leaves a user out.

    >>> mean_of(np.array([0.1, 0.3, np.nan]))
    Told(value=0.2, se=0.1)
    """
    known = values[~np.isnan(values)]
    if known.size == 0:
        return Told(float("nan"))
    spread = float(known.std(ddof=1)) if known.size > 1 else float("nan")
    return Told(float(known.mean()), spread / float(np.sqrt(known.size)))
