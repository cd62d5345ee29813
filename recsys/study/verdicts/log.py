"""The verdict on a study of a platform's own log, from its tables `drift` and `matching`.

The tested measure is the drift of `posts`: 1 - FRBO, in which the top of a feed counts most. The
answer for a recommender is

- `evidence`: its p-value is at most .05 (`LEVEL`): removing the newcomers moves feeds further than
  removing all but a few of the placebo groups does;
- `no evidence`: its p-value is larger;
- `not testable`: there is no p-value, as where all placebo groups are the same people; or no group
  does as much as the newcomers did, so that volume explains a part; or less than half of their
  activity (`LEAST_SHARE`) could be matched, so that the test is about a minority of it.

That of the study is the first of these that any recommender has.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from recsys.study.result import StudyResult
from recsys.study.verdicts.phrases import by, listed, of_100, sentence, where
from recsys.study.verdicts.value import Finding, Verdict

EVIDENCE, NO_EVIDENCE, NOT_TESTABLE = ANSWERS = ("evidence", "no evidence", "not testable")
"""The answers, the strongest first."""
TESTED = "posts"
"""The measure that the answer rests on."""
LEVEL = 0.05
"""Largest p-value that is evidence."""
LEAST_SHARE = 0.5
"""Least share of the newcomers' activity that must be matched."""
_QUALITY = "ndcg"
_MOST = 4

Row = Mapping[str, Any]


def answer_of(row: Row, matching: Row) -> str:
    """The answer for a recommender.

    Args:
        row: its row of the table `drift`, of the tested measure over all days.
        matching: the row of the table `matching`; may be empty where it is not known.

    >>> answer_of({"influx": 0.2, "p_value": 0.01}, {"matched": True, "share": 1.0})
    'evidence'
    >>> answer_of({"influx": 0.2, "p_value": 0.01}, {"matched": True, "share": 0.2})
    'not testable'
    """
    if row["p_value"] is None or row["influx"] is None or not matching.get("matched", True):
        return NOT_TESTABLE
    if matching.get("share", 1.0) < LEAST_SHARE:
        return NOT_TESTABLE
    return EVIDENCE if row["p_value"] <= LEVEL else NO_EVIDENCE


def verdict_of_log(result: StudyResult) -> Verdict:
    """The verdict on a study of a log.

    Args:
        result: its result.
    """
    matching = next(result.matching.iter_rows(named=True), {})
    whole = result.drift.filter(pl.col("day").is_null())
    rows = list(whole.filter(measure=TESTED).iter_rows(named=True))
    rows.sort(key=lambda row: math.inf if row["influx"] is None else row["influx"])
    found = [Finding(r["recommender"], r["mitigation"], answer_of(r, matching)) for r in rows]
    answer = min((finding.answer for finding in found), key=ANSWERS.index, default=NOT_TESTABLE)
    parts = (
        _opening(found),
        _figures(found, rows),
        _matched(matching, found),
        _quality(whole.filter(measure=_QUALITY)),
        _sureness(result, found),
    )
    return Verdict(answer, tuple(sentence(part) for part in parts if part), tuple(found))


def _opening(found: Sequence[Finding]) -> str:
    """The answer of each recommender, the strongest first."""
    names = [finding.name for finding in found]
    groups = by(
        lambda finding: finding.answer, sorted(found, key=lambda f: ANSWERS.index(f.answer))
    )
    texts = {
        EVIDENCE: "evidence that the newcomers changed long-time users' feeds",
        NO_EVIDENCE: "no evidence that the newcomers changed long-time users' feeds",
        NOT_TESTABLE: "not testable whether the newcomers changed long-time users' feeds",
    }
    short = {
        EVIDENCE: "evidence",
        NO_EVIDENCE: "no evidence",
        NOT_TESTABLE: "not testable",
    }
    clauses = [
        f"{texts[answer] if not place else short[answer]}{where([f.name for f in same], names)}"
        for place, (answer, same) in enumerate(groups.items())
    ]
    return "; ".join(clauses)


def _figures(found: Sequence[Finding], rows: Sequence[Row]) -> str:
    """The tested measure, and its figures of each recommender."""
    shown = list(zip(found, rows, strict=True))
    left_out = f", and {len(shown) - _MOST} more are in the table" if len(shown) > _MOST else ""
    texts = []
    for finding, row in shown[:_MOST]:
        name = f"with {finding.name} " if rows[1:] else ""
        if row["influx"] is None:
            texts.append(f"{name}by an unknown amount, since nobody's feeds could be compared")
            continue
        if row["placebo"] is None:
            texts.append(f"{name}by {of_100(row['influx'])}")
            continue
        text = f"{name}by {of_100(row['influx'])} and {of_100(row['placebo'])}"
        if row["p_value"] is not None:
            text += f" ({of_100(row['p_value'])} of 100 such groups move them as far)"
        texts.append(text)
    return (
        "tested is how far whole feeds move, the top counting most, from 0 for the same posts to "
        "100 for none in common: without the newcomers and without as many equally active "
        f"long-time users they move {listed(texts)}{left_out}"
    )


def _matched(matching: Row, found: Sequence[Finding]) -> str:
    """Which share of the newcomers' activity could be matched."""
    if not matching:
        return ""
    share = of_100(matching["share"])
    theirs = "all clicks" if share == "100" else f"{share} of 100 clicks"
    text = f"{theirs} of the newcomers could be matched with long-time users who did as much"
    if not matching["matched"]:
        equal = of_100(matching["placebo_events"] / matching["events_tested"])
        return (
            f"a group of as many long-time users did {equal} clicks for every 100 of the "
            "newcomers', so that volume alone explains a part"
        )
    if matching["share"] < LEAST_SHARE:
        return f"{text}, which is less than half, so that most of what they did is not tested"
    if any(finding.answer == NOT_TESTABLE for finding in found):
        return f"{text}, but there are too few long-time users to draw groups that differ"
    return text


def _quality(rows: pl.DataFrame) -> str:
    """Whether what users clicked later is found better or worse because of the newcomers."""
    kinds = by(_kind, list(rows.iter_rows(named=True)))
    if not kinds:
        return ""
    found = [Finding(r["recommender"], r["mitigation"], "") for r in rows.iter_rows(named=True)]
    names = [finding.name for finding in found]
    clauses = [
        f"{kind}{where([Finding(r['recommender'], r['mitigation'], '').name for r in same], names)}"
        for kind, same in kinds.items()
    ]
    return f"what long-time users clicked later is found {listed(clauses)} with the newcomers"


def _kind(row: Row) -> str:
    """The drift of quality is that of removing the newcomers: below 0, they had helped."""
    if row["influx"] is None or row["p_value"] is None or row["p_value"] > LEVEL:
        return "no better and no worse"
    return "better" if row["influx"] < (row["placebo"] or 0.0) else "worse"


def _sureness(result: StudyResult, found: Sequence[Finding]) -> str:
    return "; ".join(_reservations(result, found))


def _reservations(result: StudyResult, found: Sequence[Finding]) -> Iterator[str]:
    yield f"this rests on {result.study.log.placebo_draws} such groups and one history"
    if found[1:]:
        yield "each recommender is tested alone, so that 1 in 20 is accused by luck"
