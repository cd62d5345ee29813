"""What a summary of a log says."""

import dataclasses
from datetime import date, timedelta

import polars as pl
import pytest

from recsys.logs.newcomers import ARRIVALS
from recsys.statistics.arrivals import Wave
from recsys.study.arms.by_exposure import EXPOSED
from recsys.study.result import StudyResult
from tests.kit.tiny import printed, with_drift


def test_log_shows_the_placebos(log_result: StudyResult) -> None:
    text = printed(log_result)
    lines = text.splitlines()
    assert len(lines) <= 45
    assert max(len(line) for line in lines) <= 100
    for words in ("20 times", "90 % of these", "NDCG with", "recall with", "p cannot be below"):
        assert words in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"p_value": 0.5}, "item_knn: no evidence that newcomers did it"),
        (
            {"p_value": 1 / 21},
            "item_knn: evidence that newcomers did it; their removal is beyond all placebos",
        ),
        ({"p_value": 0.0499}, "their removal is beyond most placebos"),
        (
            {"p_value": 1.0, "who_ci_high": -0.01},
            "item_knn: no evidence that newcomers did it; removing as many others moves feeds more",
        ),
        ({"p_value": None}, "item_knn: cannot be told"),
    ],
)
def test_log_has_a_verdict(
    values: dict[str, float | None], words: str, log_result: StudyResult
) -> None:
    study = log_result.study
    if words.endswith("most placebos"):
        assert study.log is not None
        log = study.log.model_copy(update={"placebo_draws": 99})
        study = study.model_copy(update={"log": log})
    result = with_drift(dataclasses.replace(log_result, study=study), "item_knn", "notes", **values)
    assert words in printed(result)


def test_a_log_s_verdict_and_its_p_are_of_notes(log_result: StudyResult) -> None:
    result = with_drift(log_result, "item_knn", "notes", p_value=0.0312, who=0.0471)
    result = with_drift(result, "item_knn", p_value=0.777, who=0.123)
    text = printed(result)
    assert "p (notes)" in text
    assert "0.031" in next(line for line in text.splitlines() if line.startswith("item_knn  "))
    assert "all placebos, 4.7 points of drift of notes above their mean" in " ".join(text.split())
    assert "0.777" not in text


def test_log_says_in_one_sentence_what_holds_of_all(log_result: StudyResult) -> None:
    nothing = with_drift(
        with_drift(log_result, "item_knn", "notes", p_value=0.5), "trending", "notes", p_value=0.3
    )
    assert "No evidence that newcomers did it, whichever recommender:" in printed(nothing)
    one = with_drift(nothing, "trending", "notes", p_value=0.01)
    assert "whichever recommender" not in printed(one)
    assert "item_knn: no evidence that newcomers did it" in printed(one)
    assert "trending: evidence that newcomers did it" in printed(one)
    unmatched = dataclasses.replace(one, notes=("5 newcomers; NOT MATCHED to 5%, so volume …",))
    assert "the placebos are NOT MATCHED (see the note): volume may explain it" in printed(
        unmatched
    )
    calm = dataclasses.replace(nothing, notes=unmatched.notes)
    assert "volume may explain" not in printed(calm)


def test_log_shows_when_newcomers_arrived(log_result: StudyResult) -> None:
    weeks = [date(2024, 11, 4) + timedelta(days=7 * i) for i in range(20)]
    arrivals = pl.DataFrame(
        {
            "from": weeks,
            "days": [7] * 20,
            "first_seen": [900, *[40] * 11, *[400] * 4, *[40] * 4],
            "used": [False] + [True] * 19,
            "wave": [False] * 12 + [True] * 4 + [False] * 4,
        },
        schema=ARRIVALS,
    )
    wave = Wave(11, 15, 40.0, 400.0, 90.0, 20.0, 3.0, 0.001)
    found = dataclasses.replace(log_result, arrivals=arrivals, wave=wave, arrived=date(2025, 1, 29))
    lines = printed(found).splitlines()
    start = lines.index("When did newcomers arrive?  (found: from 2025-01-29 on)")
    assert [line.split() for line in lines[start + 4 : start + 6]] == [
        ["2025-01-20", "40"],
        ["2025-01-27", "400", "yes"],
    ]
    assert "400.0 a week after 40.0 before; p = 0.001; penalised gain 70.0." in lines
    assert "When did newcomers arrive?" not in printed(log_result)


@pytest.mark.parametrize(
    ("p_value", "difference", "check_p", "words"),
    [
        (0.5, 0.01, 0.5, "topic: no evidence that newcomers did it, by this view."),
        (0.01, 0.05, 0.5, "topic: the most exposed changed more, as if newcomers did it."),
        (0.01, -0.05, 0.5, "topic: the most exposed changed less, as if newcomers did it."),
        (0.01, 0.05, 0.01, "topic: cannot be told; the two differed before anybody came."),
        (0.01, 0.05, None, "as if newcomers did it; unchecked before they came."),
    ],
)
def test_log_has_a_view_by_exposure(
    p_value: float, difference: float, check_p: float | None, words: str, log_result: StudyResult
) -> None:
    row = {
        "outcome": "topic",
        "check": False,
        "window_days": 7,
        "exposure_low": 0.1,
        "exposure_high": 0.3,
        "low": 0.1,
        "high": 0.1 + difference,
        "difference": difference,
        "ci_low": difference - 0.02,
        "ci_high": difference + 0.02,
        "p_value": p_value,
        "n_low": 30,
        "n_high": 30,
        "lost_low": 0,
        "lost_high": 10,
    }
    rows = [row] if check_p is None else [row, {**row, "check": True, "p_value": check_p}]
    text = printed(dataclasses.replace(log_result, exposed=pl.DataFrame(rows, schema=EXPOSED)))
    assert words in text
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "Assumed: parallel trends. Without newcomers, both would have changed alike." in text
    assert "0, 25" in text
    low, high = 100 * (difference - 0.02), 100 * (difference + 0.02)
    assert f"{100 * difference:.1f} [{low:.1f}, {high:.1f}]" in text
