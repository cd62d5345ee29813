"""An estimate and its interval."""

import numpy as np
import pytest
from scipy.stats import t

from recsys.estimates import Told, mean_of


def test_an_interval_has_the_quantile_of_its_degrees_of_freedom():
    few, many = Told(0.5, 0.1, df=3), Told(0.5, 0.1)
    assert (few.low, few.high) == pytest.approx(t.interval(0.95, 3, 0.5, 0.1))
    assert (many.low, many.high) == pytest.approx((0.5 - 0.1959964, 0.5 + 0.1959964))
    assert np.isnan([Told(0.5).low, Told(0.5).high]).all()


def test_a_mean_of_few_users_has_a_t_interval():
    values = np.array([0.1, np.nan, 0.3, 0.8])
    told = mean_of(values)
    known = values[~np.isnan(values)]
    assert (told.low, told.high) == pytest.approx(
        t.interval(0.95, 2, known.mean(), known.std(ddof=1) / np.sqrt(3))
    )
    assert np.isnan(mean_of(np.array([0.1])).se)
    assert np.isnan(mean_of(np.array([np.nan])).value)
