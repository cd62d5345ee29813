"""Two studies compared: paired differences, and what is refused."""

import polars as pl
import pytest

from recsys import ConfigError, load_study, run
from recsys.study.compare import COLUMNS, compare_studies
from tests.kit.small_study import CONFIG


@pytest.fixture(scope="module")
def both():
    result = run(load_study(CONFIG))
    return result.study, result.per_user


def _moved(per_user, measure, by):
    """The rows with a measure raised in the arm influx."""
    raised = pl.when(arm="influx").then(pl.col(measure) + by).otherwise(pl.col(measure))
    return per_user.with_columns(raised.alias(measure))


def test_a_study_and_itself_differ_in_nothing(both):
    table = compare_studies(both, both)
    assert table.columns == list(COLUMNS)
    assert table["difference"].abs().max() == 0
    assert table["measure"][0] == "net"


def test_a_difference_of_all_is_found_exactly(both):
    study, rows = both
    table = compare_studies(both, (study, _moved(rows, "utility", 0.125)))
    changed = table.filter(pl.col("difference").abs() > 1e-9)
    assert set(changed["measure"]) == {"utility"}
    for row in changed.iter_rows(named=True):
        assert row["difference"] == pytest.approx(0.125)
        assert row["second"] - row["first"] == pytest.approx(0.125)
        assert row["ci_low"] == pytest.approx(0.125)
        assert row["n_seeds"] == study.seeds


def test_means_are_over_what_both_have(both):
    study, rows = both
    fewer = rows.filter(pl.col("user_id") != rows.filter(cohort="incumbent")["user_id"].max())
    table = compare_studies(both, (study, fewer))
    assert table["difference"].abs().max() == 0
    assert (table["first"] == table["second"]).all()


def test_recommenders_that_one_lacks_are_left_out(both):
    study, rows = both
    name = rows["recommender"][0]
    table = compare_studies(both, (study, rows.filter(recommender=name)))
    assert table["recommender"].unique().to_list() == [name]
    with pytest.raises(ConfigError, match="share no recommender"):
        compare_studies(both, (study, rows.with_columns(recommender=pl.lit("other"))))


def test_other_days_or_depths_are_refused(both):
    study, rows = both
    for change in ({"k": study.evaluation.k + 1}, {"days": (*study.evaluation.days, 99)}):
        evaluation = study.evaluation.model_copy(update=change)
        other = study.model_copy(update={"evaluation": evaluation})
        with pytest.raises(ConfigError, match=next(iter(change))):
            compare_studies(both, (other, rows))


def test_no_common_user_is_refused(both):
    study, rows = both
    with pytest.raises(ConfigError, match="share no user"):
        compare_studies(both, (study, rows.with_columns(pl.col("user_id") + 10_000)))
