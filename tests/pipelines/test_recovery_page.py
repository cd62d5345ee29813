"""What the page says of recovery and of what a study could have seen."""

from types import SimpleNamespace
from typing import Any

import polars as pl

from pipelines.report.recovery import power_lines


def _study(**columns: Any) -> Any:
    rows = {"measure": "notes", "detectable": [0.058, 0.194], "seeds_needed": None, "n_seeds": 3}
    return SimpleNamespace(power=pl.DataFrame([rows | columns]).explode("detectable"))


def test_power_is_an_estimate_and_few_seeds_do_not_plan() -> None:
    (line,) = power_lines(_study())
    assert line == (
        "Estimated: a who of 5.8 to 19.4 points of notes would be seen in 4 of 5 such studies; "
        "how many seeds 1 point takes, 8 can tell."
    )
    (line,) = power_lines(_study(n_seeds=8, seeds_needed=31.0))
    assert line.endswith("such studies; 1 point takes 31 seeds.")
    (line,) = power_lines(_study(n_seeds=8))
    assert line.endswith("1 point takes more than 200 seeds.")
    assert list(power_lines(SimpleNamespace(power=pl.DataFrame()))) == []  # type: ignore[arg-type]
