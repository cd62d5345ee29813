"""The verdict on a study of a platform's own log, from its tables `drift`, `mix` and `matching`.

The tested measure is the drift of `posts`: 1 - FRBO, in which the top of a feed counts most. The
answer for a recommender is

- `evidence`: its p-value, adjusted for the number of recommenders, is at most .05 (`LEVEL`):
  removing the newcomers moves feeds further than removing all but a few of the placebo groups does;
- `no evidence`: its p-value is larger;
- `not testable`: no group does as much as the newcomers did, so that volume explains a part; or too
  few newcomers or too few of their events could be matched, so that the test is about a part of
  them; or there is no p-value, since in some arm nobody's feeds could be compared. The first
  sentence then says why, and what to do.

That of the study is the first of these that any recommender has.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from recsys.statistics.matching import LEAST_EVENTS, LEAST_USERS
from recsys.study.result import StudyResult
from recsys.study.verdicts.phrases import by, listed, of_100, sentence, where
from recsys.study.verdicts.value import Finding, Verdict

EVIDENCE, NO_EVIDENCE, NOT_TESTABLE = ANSWERS = ("evidence", "no evidence", "not testable")
"""The answers, the strongest first."""
TESTED = "posts"
"""The measure that the answer rests on."""
LEVEL = 0.05
"""Largest p-value that is evidence."""
FEEDS, MIX, QUALITY = "feeds", "mix", "quality"
"""What the sentences of a verdict say of newcomers: that they changed feeds, or what feeds are made
of, or that what users click later is found better or worse with them."""
_AS_NOISE = 0.8
"""Ratio of the placebos' drift to training noise from which on the first is taken to be noise."""
_QUALITY = "ndcg"
_UNCHANGED = "no better and no worse"
_MOST, _MOST_MIXES = 4, 3
_SMALLER = "take a smaller evaluation.panel, which leaves more long-time users to match with"
_NOTHING_COMPARED = (
    "nobody's feeds could be compared without the newcomers, or without some group of others; take "
    "a larger evaluation.panel, or leave fewer items out (log.min_item_events)"
)

Row = Mapping[str, Any]


def answer_of(row: Row, matching: Row) -> str:
    """The answer for a recommender.

    Args:
        row: its row of the table `drift`, of the tested measure over all days.
        matching: the row of the table `matching`; may be empty where it is not known.

    >>> answer_of({"influx": 0.2, "p_value": 0.01}, {"matched": True, "share": 1.0})
    'evidence'
    >>> answer_of({"influx": 0.2, "p_value": 0.01}, {"matched": True, "share": 0.7})
    'not testable'
    """
    p = p_of(row)
    if p is None or row["influx"] is None or _unmatched(matching):
        return NOT_TESTABLE
    return EVIDENCE if p <= LEVEL else NO_EVIDENCE


def p_of(row: Row) -> float | None:
    """The p-value that an answer rests on: adjusted, where a study adjusts it.

    >>> p_of({"p_value": 0.01, "p_adjusted": 0.03}), p_of({"p_value": None})
    (0.03, None)
    """
    adjusted = row.get("p_adjusted")
    p = row.get("p_value") if adjusted is None else adjusted
    return None if p is None else float(p)


def _unmatched(matching: Row) -> str:
    """Why a test would not be about the newcomers, and what to do; empty if it is about them."""
    if not matching.get("matched", True):
        equal = of_100(matching["placebo_events"] / matching["events_tested"])
        return (
            f"a group of as many long-time users did {equal} clicks for every 100 of the "
            "newcomers', so that volume alone explains a part; say otherwise who is a newcomer in "
            f"log.newcomers, or {_SMALLER}"
        )
    share = matching.get("share", 1.0)
    if share < LEAST_EVENTS:
        return (
            f"only {of_100(share)} of 100 clicks of the newcomers could be matched with long-time "
            f"users, and {of_100(LEAST_EVENTS)} are needed; {_SMALLER}, or raise "
            "log.max_pool_fraction"
        )
    tested = matching.get("newcomers_tested", 1) / matching.get("newcomers", 1)
    if tested < LEAST_USERS:
        return (
            f"only {of_100(tested)} of 100 newcomers could be matched with long-time users, and "
            f"{of_100(LEAST_USERS)} are needed; {_SMALLER}, or raise log.max_pool_fraction"
        )
    return ""


class Said(NamedTuple):
    """What a verdict says of the newcomers in one respect."""

    about: str
    """`FEEDS`, `MIX` or `QUALITY`."""
    accused: bool | None
    """Whether it says that they changed something; None if it says that this is not testable."""
    p_value: float | None
    """The smallest of the p-values that this rests on; None without any."""


def said_of_newcomers(drift: pl.DataFrame, mix: pl.DataFrame, matching: Row) -> list[Said]:
    """All that the verdict on a study of a log says of its newcomers.

    Args:
        drift: the table `drift` of the study.
        mix: the table `mix` of it.
        matching: the row of the table `matching`; may be empty where it is not known.

    Returns:
        What is said of the newcomers in each respect that the verdict has a sentence on.

    Example:
        >>> row = {"recommender": "als", "mitigation": "none", "day": None, "measure": "posts"}
        >>> drift = pl.DataFrame([{**row, "influx": 0.2, "placebo": 0.1, "p_adjusted": 0.01}])
        >>> said_of_newcomers(drift, pl.DataFrame(), {})
        [Said(about='feeds', accused=True, p_value=0.01)]
    """
    whole = drift.filter(pl.col("day").is_null())
    tested, quality = (
        list(whole.filter(measure=measure).iter_rows(named=True)) for measure in (TESTED, _QUALITY)
    )
    answers = {answer_of(row, matching) for row in tested}
    feeds = None if answers <= {NOT_TESTABLE} else EVIDENCE in answers
    found = [Said(FEEDS, feeds, _least([p_of(row) for row in tested]))]
    changed = _changed_shares(mix, matching)
    if changed is not None:
        found.append(Said(MIX, not changed.is_empty(), _least(mix["p_adjusted"])))
    if quality:
        accused = any(_kind(row) != _UNCHANGED for row in quality)
        found.append(Said(QUALITY, accused, _least([p_of(row) for row in quality])))
    return found


def _least(p_values: Iterable[float | None]) -> float | None:
    return min((p for p in p_values if p is not None), default=None)


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
        _opening(found, matching),
        _figures(found, rows),
        _own_posts(result.summary, found),
        _mix(result.mix, matching),
        _quality(whole.filter(measure=_QUALITY)),
        _sureness(result, found, matching),
    )
    return Verdict(answer, tuple(sentence(part) for part in parts if part), tuple(found))


def _opening(found: Sequence[Finding], matching: Row) -> str:
    """The answer of each recommender, the strongest first; and what to do where there is none."""
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
    if NOT_TESTABLE not in groups:
        return "; ".join(clauses)
    return f"{'; '.join(clauses)}: {_unmatched(matching) or _NOTHING_COMPARED}"


def _figures(found: Sequence[Finding], rows: Sequence[Row]) -> str:
    """The tested measure, and its figures of each recommender."""
    shown = list(zip(found, rows, strict=True))
    left_out = f", and {len(shown) - _MOST} more are in the table" if len(shown) > _MOST else ""
    theirs = "those of some recommender" if rows[1:] else "them"
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
        p = p_of(row)
        if p is not None:
            text += f" ({of_100(p)} of 100 such groups move {theirs} as far)"
        texts.append(text)
    return (
        "tested is how far whole feeds move, the top counting most, from 0 for the same posts to "
        "100 for none in common: without the newcomers and without as many equally active "
        f"long-time users they move {listed(texts)}{left_out}"
    )


def _own_posts(summary: pl.DataFrame, found: Sequence[Finding]) -> str:
    """How many slots hold newcomers' own posts, where it is known who made them.

    That share is what leaving out events and posts tells of displaced slots. In worlds where the
    truth is known it comes near, and no estimate of net does (`recsys prove --parts offline`).
    """
    rows = summary.filter(
        pl.col("day").is_null(), arm="full", cohort="incumbent", measure="newcomer_slots"
    )
    mean = {(r["recommender"], r["mitigation"]): r["mean"] for r in rows.iter_rows(named=True)}
    known = [(each, mean.get((each.recommender, each.mitigation))) for each in found]
    texts = [
        f"{of_100(share)}{f' with {finding.name}' if found[1:] else ''}"
        for finding, share in known
        if share is not None
    ]
    if not texts:
        return ""
    left_out = f", and {len(texts) - _MOST} more are in the table" if len(texts) > _MOST else ""
    return (
        f"of 100 slots newcomers' own posts hold {listed(texts[:_MOST])}{left_out}; no log tells "
        "how many other posts they moved"
    )


def _mix(mix: pl.DataFrame, matching: Row) -> str:
    """Whether the newcomers changed what the feeds are made of, and which share moved furthest."""
    found = _changed_shares(mix, matching)
    if found is None:
        return ""
    names = " and ".join(mix["attribute"].unique(maintain_order=True))
    if found.is_empty():
        return f"no evidence that they changed the mix of feeds, by {names}"
    shares = found.filter(pl.col("value").is_not_null()).with_columns(
        size=(pl.col("moved") - pl.col("placebo")).abs()
    )
    if shares.is_empty():
        which = " and ".join(found["attribute"].unique(maintain_order=True))
        return f"evidence that they changed the mix of feeds, by {which}"
    several = mix["recommender"].n_unique() > 1 or mix["mitigation"].n_unique() > 1
    texts = []
    for row in shares.sort("size", descending=True)[:_MOST_MIXES].iter_rows(named=True):
        name = f" with {Finding(row['recommender'], row['mitigation'], '').name}" if several else ""
        texts.append(
            f"{row['attribute']} {_plain(row['value'])} takes {of_100(row['with'])} instead of "
            f"{of_100(row['without'])} of 100 slots{name}"
        )
    return f"evidence that they changed the mix of feeds: {listed(texts)}"


def _changed_shares(mix: pl.DataFrame, matching: Row) -> pl.DataFrame | None:
    """The rows of the mix that the newcomers changed; None where none could be tested."""
    if mix.is_empty() or mix["p_adjusted"].null_count() == mix.height or _unmatched(matching):
        return None
    return mix.filter(pl.col("p_adjusted") <= LEVEL)


def _plain(value: str) -> str:
    """A value from data as a word of a sentence: letters, digits, spaces, and - _ . , : alone."""
    return "".join(c if c.isalnum() or c in " -_.,:·" else " " for c in value).strip() or "unnamed"


def _matched(matching: Row) -> str:
    """Which share of the newcomers' activity could be matched."""
    share = of_100(matching["share"])
    theirs = "all clicks" if share == "100" else f"{share} of 100 clicks"
    return f"{theirs} of the newcomers could be matched with long-time users who did as much"


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
    p = p_of(row)
    if row["influx"] is None or p is None or p > LEVEL:
        return _UNCHANGED
    return "better" if row["influx"] < (row["placebo"] or 0.0) else "worse"


def _sureness(result: StudyResult, found: Sequence[Finding], matching: Row) -> str:
    return "; ".join(_reservations(result, found, matching))


def _reservations(result: StudyResult, found: Sequence[Finding], matching: Row) -> Iterator[str]:
    if matching and not _unmatched(matching):
        yield _matched(matching)
    if matching.get("early"):
        yield (
            f"some newcomers, {matching['early']:,}, did something before the day that was given "
            "as their first, so placebos are whole users, and the notes say what to do"
        )
    elif result.arrived is not None and matching.get("joined") is False:
        yield (
            "too few long-time users were active when the newcomers were, so the groups did as "
            "much at other times, and a recommender that favours what is recent, such as trending, "
            "may tell the two apart by that alone"
        )
    yield f"this rests on {result.study.log.placebo_draws} such groups and one history"
    noisy = [name for row, name in _with_rows(result, found) if _is_noise(row)]
    if noisy:
        yield (
            f"with {listed(noisy)} another training seed moves feeds as far as leaving out such a "
            "group, so that only a large effect can be found there; the mitigation ensemble, which "
            "averages over seeds, lessens this"
        )
    if found[1:]:
        yield f"that {len(found)} recommenders are tested is allowed for"


def _with_rows(result: StudyResult, found: Sequence[Finding]) -> Iterator[tuple[Row, str]]:
    """The row of the tested measure of each recommender, and its name."""
    rows = result.drift.filter(pl.col("day").is_null(), measure=TESTED)
    for finding in found:
        keys = {"recommender": finding.recommender, "mitigation": finding.mitigation}
        yield rows.filter(**keys).row(0, named=True), finding.name


def _is_noise(row: Row) -> bool:
    """Whether placebo groups move feeds as training noise does, neither much less nor much more.

    All fits have one seed, but a trainer that draws from a stream of its own draws otherwise once
    anybody's events are left out. What is compared is then that noise, in which an effect has to
    stand out.
    """
    noise, placebo = row["retrain"], row["placebo"]
    if not noise or placebo is None:
        return False
    return bool(_AS_NOISE <= placebo / noise <= 1 / _AS_NOISE)
