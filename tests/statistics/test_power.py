"""What an effect has to be to be seen, and how many seeds it takes."""

import numpy as np
import pytest

from recsys.statistics.intervals import (
    Interval,
    two_way_interval,
)
from recsys.statistics.power import minimum_detectable_effect, planning_interval, seeds_needed
from tests.kit.crossed import EXAMPLE, anova_by_hand, crossed


def test_minimum_detectable_effect_is_found_as_often_as_it_says():
    n_users, n_seeds, sd_users, sd_seeds, sd_residual = 40, 6, 0.1, 0.2, 0.3
    users = n_seeds * sd_users**2 + sd_residual**2
    seeds = n_users * sd_seeds**2 + sd_residual**2
    residual = sd_residual**2
    total = users + seeds - residual
    noise = users**2 / 39 + seeds**2 / 5 + residual**2 / 195
    truth = two_way_interval(np.zeros((n_users, n_seeds)))
    truth = Interval(
        **{
            **vars(truth),
            "variance": np.array(total / (n_users * n_seeds)),
            "df": np.array(total**2 / noise),
        }
    )
    rng = np.random.default_rng(17)
    for power in (0.5, 0.8, 0.95):
        effect = minimum_detectable_effect(truth, power=power)
        y = crossed(rng, 4000, n_users, n_seeds, sd_users, sd_seeds, sd_residual) + effect
        found = (two_way_interval(y).p_value < 0.05).mean()
        # Standard error at most .8 points (4,000 repetitions); 1 point for Satterthwaite's law
        # being an approximation: 4 * .8 + 1.
        assert abs(found - power) < 0.042


def test_seeds_needed_is_where_the_detectable_effect_crosses():
    pilot = crossed(np.random.default_rng(2), 1, 60, 8, 0.02, 0.2, 0.1)[0]
    needed = seeds_needed(pilot, 0.15)
    assert 2 < needed < 200
    assert seeds_needed(pilot, -0.15) == needed
    assert seeds_needed(pilot, 0.05) > needed
    assert seeds_needed(pilot, 0.15, power=0.95) > needed
    assert seeds_needed(pilot, 0.15, max_seeds=int(needed) - 1) == np.inf
    # The pilot's own number of seeds is enough for the effect that it can just detect, not for
    # less: at 8 seeds the planned variance is that of the bound.
    own = minimum_detectable_effect(planning_interval(pilot))
    assert seeds_needed(pilot, own * 1.0001) == 8
    assert seeds_needed(pilot, own * 0.9999) == 9


def test_the_bound_is_that_of_a_chi_square():
    from scipy.stats import chi2

    users, seeds, residual = anova_by_hand(EXAMPLE)
    bound = planning_interval(EXAMPLE)
    luck = seeds * 2 / chi2.ppf(0.2, 2)
    assert bound.variance == pytest.approx((users + luck - residual) / 12)
    assert bound.mean == two_way_interval(EXAMPLE).mean
    at_median = planning_interval(EXAMPLE, confidence=chi2.sf(2, 2))  # where it is the estimate
    assert at_median.variance == pytest.approx(two_way_interval(EXAMPLE).variance)
    assert np.isnan(planning_interval(EXAMPLE[:, :1]).variance)
    with pytest.raises(ValueError, match="confidence"):
        planning_interval(EXAMPLE, confidence=1)
    with pytest.raises(ValueError, match="confidence"):
        seeds_needed(EXAMPLE, 0.1, confidence=0)


@pytest.mark.parametrize("n_seeds", [2, 3, 8])
def test_plans_from_few_seeds_hold_in_four_of_five(n_seeds):
    """The told effect has a true power of .8 or more in .8 of pilots; by the estimate, in fewer
    than half of them."""
    rng, n_users, sds = np.random.default_rng(19), 30, (0.1, 0.3, 0.2)
    pilots = crossed(rng, 1000, n_users, n_seeds, *sds)
    errors = two_way_interval(crossed(rng, 20_000, n_users, n_seeds, *sds))
    enough = np.quantile(-errors.low, 0.8)  # effects from here on are found in .8 of studies
    told = minimum_detectable_effect(planning_interval(pilots))
    # Standard error 1.3 points; as much again for what users differ by being an estimate.
    assert abs((told >= enough).mean() - 0.8) < 0.055
    assert (minimum_detectable_effect(two_way_interval(pilots)) >= enough).mean() < 0.5


def test_seeds_cannot_replace_users():
    differ = np.random.default_rng(4).normal(0, 1, (10, 1)) * np.ones((1, 4))
    assert seeds_needed(differ, 0.05) == np.inf
    assert seeds_needed(differ, [5.0, 0.05]).tolist() == [2.0, np.inf]
