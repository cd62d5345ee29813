"""The verdict of the view by exposure in every case, on made-up tables."""

import polars as pl
import pytest

from recsys.study.arms.by_exposure import EXPOSED
from recsys.study.verdicts.exposure import CHANGED, NO_VERDICT, verdicts_by_exposure
from recsys.study.verdicts.log import LEVEL, NO_EVIDENCE


def view(**outcomes):
    """A table: by outcome, its p-value and that of its check, None if it has none."""
    rows = [
        {"outcome": name, "check": check, "p_value": p}
        for name, ps in outcomes.items()
        for check, p in zip((False, True), ps, strict=True)
        if p is not None
    ]
    return pl.DataFrame(rows, schema=EXPOSED)


@pytest.mark.parametrize(
    ("p", "check", "answer"),
    [
        (LEVEL, 0.5, CHANGED),
        (LEVEL + 0.001, 0.5, NO_EVIDENCE),
        (LEVEL, None, CHANGED),
        (0.001, LEVEL, NO_VERDICT),
        (0.5, LEVEL, NO_VERDICT),
    ],
)
def test_the_level_and_the_check(p, check, answer):
    assert [of.answer for of in verdicts_by_exposure(view(topic=(p, check)))] == [answer]


def test_p_is_adjusted_for_the_number_of_outcomes():
    found = verdicts_by_exposure(view(topic=(0.03, 0.5), format=(0.03, 0.01), rate=(0.5, None)))
    assert [of.p_value for of in found] == pytest.approx([0.09, 0.09, 0.5])
    assert [of.row["outcome"] for of in found] == ["topic", "format", "rate"]
    assert [of.check.get("p_value") for of in found] == [0.5, 0.01, None]
    assert verdicts_by_exposure(view()) == []
