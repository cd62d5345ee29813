"""Laws of luck have the means that they claim, and the proof judges intervals by them."""

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.checks.proof.claims import judge
from recsys.checks.proof.luck import CLAIMED, LAWS, SEEDS, Draws, luck, run_luck
from recsys.checks.proof.run import Effort, prove
from recsys.statistics import two_way_interval


@pytest.mark.parametrize("law", LAWS)
def test_estimates_scatter_around_the_mean_of_the_law(law):
    rows = run_luck(law, 5, 600)
    means = rows["mean"].to_numpy()
    assert abs(means.mean() - LAWS[law].mean) < 4 * means.std() / np.sqrt(means.size)
    assert rows["truth"].unique().to_list() == [LAWS[law].mean]


def test_laws_by_hand():
    """One user's draws in two seeds, of which the second is viral."""
    draws = Draws(
        users=np.array([[[1.0]]]),
        seeds=np.array([[[0.0, 1.0]]]),
        rest=np.array([[[-1.0, 0.0]]]),
        users_lot=np.array([[[0.01]]]),
        seeds_lot=np.array([[[0.9, 0.1]]]),
    )
    found = {name: law.values(draws).ravel() for name, law in LAWS.items()}
    np.testing.assert_allclose(found["gaussian"], [0.2 - 0.2, 0.2 + 0.05])
    np.testing.assert_allclose(found["one viral seed in five"], [0.0, 0.2 + 0.05 * 5])
    np.testing.assert_allclose(found["lognormal luck of seeds"], [0.05, 0.2 + 0.05 * np.e])
    np.testing.assert_allclose(found["2 % of users carry all"], [1.0, np.exp(0.5)])


def test_studies_do_not_depend_on_how_many_there_are():
    few, many = run_luck("gaussian", 8, 7), run_luck("gaussian", 8, 130)
    assert many.head(7).equals(few)
    assert many["mean"].n_unique() == 130


@pytest.mark.parametrize(("held", "verdict"), [(0.96, "holds"), (0.90, "fails")])
def test_claims_are_of_eight_seeds_and_of_the_worse_side(held, verdict):
    """Made-up intervals, of which as many hold the truth; all others lie below it."""
    n = 1000
    high = np.where(np.arange(n) % 100 < 100 * held, 1.0, -0.5)
    rows = {"study": np.arange(n), "truth": 0.0, "mean": 0.0, "ci_low": -1.0, "ci_high": high}
    frame = pl.DataFrame(rows).with_columns(t_low=-1.0, t_high=1.0, law=pl.lit("gaussian"))
    both = pl.concat([frame.with_columns(n_seeds=pl.lit(seeds)) for seeds in (3, CLAIMED)])
    table, figures = luck(both)
    assert table["n_seeds"].to_list() == [3, CLAIMED]
    assert table["truth_above"].to_list() == pytest.approx([1 - held] * 2)
    assert table["covered"].to_list() == pytest.approx([held] * 2)
    assert table["t_covered"].to_list() == [1.0, 1.0]
    assert table["width"].to_list() == [1.0, 1.0]
    shares = judge(figures).filter(pl.col("quantity") != "median width, over the t interval's")
    assert shares["mean"].to_list() == pytest.approx([held, 1 - held])
    assert shares["verdict"].to_list() == [verdict] * 2


def test_the_proof_has_a_row_for_each_law():
    study = recsys.load_study("configs/prove.yaml", ["workers=1", "tracking.enabled=false"])
    proof = prove(study, Effort(lucky_studies=40), ("luck",))
    assert proof.tables["luck"].height == len(LAWS) * len(SEEDS)
    assert proof.verdicts["check"].unique().to_list() == [1]
    assert proof.verdicts.height == 2 * len(LAWS) + 1


def test_intervals_are_those_of_studies():
    from recsys.checks.proof.luck import _drawn

    y = LAWS["lognormal luck of seeds"].values(_drawn(2, np.arange(3), 5))
    expected, rows = two_way_interval(y), run_luck("lognormal luck of seeds", 5, 3)
    np.testing.assert_array_equal(rows["ci_high"], expected.high)
    middle = (rows["t_low"] + rows["t_high"]) / 2
    np.testing.assert_allclose(middle, rows["mean"])
