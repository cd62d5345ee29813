"""What the page says of recovery and of the smallest effect that a study can detect."""

from types import SimpleNamespace
from typing import Any

import polars as pl

from pipelines.report.recovery import power_lines, recovery_sections


def _study(**columns: Any) -> Any:
    rows = {"measure": "posts", "detectable": [0.058, 0.194], "seeds_needed": None, "n_seeds": 3}
    return SimpleNamespace(power=pl.DataFrame([rows | columns]).explode("detectable"))


def test_power_is_an_estimate_and_few_seeds_do_not_plan() -> None:
    (line,) = power_lines(_study())
    assert line == (
        "Smallest composition that 3 seeds detect in 4 of 5 studies, as estimated: "
        "5.8 to 19.4 points of posts. Use seeds=8 or more for smaller ones."
    )
    (line,) = power_lines(_study(detectable=[0.666, 3.3]))
    assert "66.6 to more than 100 points" in line  # drift ends at 100
    (line,) = power_lines(_study(n_seeds=8, seeds_needed=31.0))
    assert line.endswith("To detect 1 point takes 31 seeds.")
    (line,) = power_lines(_study(n_seeds=8))
    assert line.endswith("To detect 1 point takes more than 200 seeds.")
    assert list(power_lines(SimpleNamespace(power=pl.DataFrame()))) == []  # type: ignore[arg-type]


def test_recovery_claims_no_more_than_was_shown() -> None:
    def row(event: str, **more: Any) -> dict[str, Any]:
        return {
            "recommender": "als",
            "mitigation": "none",
            "measure": "posts",
            "event": event,
            "days": None,
            "ci_low": None,
            "ci_high": None,
            "reached": None,
            "last_day": 19,
            "peak": 0.3,
            "peak_day": 5,
            "outside": True,
            "saturated": False,
            **more,
        }

    def page(**inside: Any) -> Any:
        rows = [row("half", days=4.0, ci_low=2.0, reached=0.9), row("inside", **inside)]
        study = SimpleNamespace(
            world=SimpleNamespace(influx=SimpleNamespace(reversal_day=8)),
            evaluation=SimpleNamespace(days=(1, 8, 10, 27)),
        )
        result: Any = SimpleNamespace(study=study, recovery=pl.DataFrame(rows))
        (section,) = recovery_sections(result, [("als", "none")])
        (line,) = section.rows
        return line

    assert page()[1:] == ("30.0 on day 5", "4 [2, ≥ 19]", "≥ 19")
    assert page(outside=False)[-1] == "not shown to be above it"
    assert page(days=6.0)[-1] == "6"
