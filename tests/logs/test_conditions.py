"""SQL conditions: evaluated on the whole column, with the first row on which they fail."""

import polars as pl
import pytest

from recsys.core.errors import ConfigError
from recsys.logs.conditions import holds

FRAME = pl.DataFrame({"age": ["20"] * 118 + ["NULL", "?"], "days": [None, *range(119)]})


def test_a_null_is_neither():
    assert holds(FRAME, "days < 2", "log.newcomers").to_list()[:4] == [None, True, True, False]


def test_a_constant_holds_everywhere():
    assert holds(FRAME, "true", "log.newcomers").to_list() == [True] * 120


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "CAST(age AS INT) < 15",
            r"in row 119, where age is 'NULL'; TRY_CAST gives null where CAST",
        ),
        ("CAST(age AS INT) < days", r"in row 119, where age is 'NULL', days is 117;"),
        ("MAX(days) > 3", r"gives 1 values for 120 rows; give a condition on each row by itself"),
        ("days = 1 OR " * 200 + "days = 2", r"has 2,408 characters, more than 2,000"),
        ("(" * 900 + "days = 1" + ")" * 900, "log.newcomers: cannot evaluate"),
        ("CAST(age AS DECIMAL(1000,3)) = 1", r"polars fails on it \(index out of bounds"),
        ("weeks < 3", r'unable to find column "weeks".* The columns are age, days'),
    ],
)
def test_what_cannot_be_evaluated(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        holds(FRAME, text, "log.newcomers")
    assert "\n" not in str(caught.value)
