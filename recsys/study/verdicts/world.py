"""The verdict on a study of a synthetic platform, from its tables `headline` and `summary`.

The answer for a recommender is

- `yes`: the interval of net lies above 0, and net is at least 5 of 100 posts (`LITTLE`);
- `a little`: the interval lies above 0, and net is below that;
- `no detectable change`: the interval holds 0, or lies below it;
- `not known`: there is no interval, since the study has a single seed;
- `not measurable`: there is no net, since the floor is .8 or more, or since the study has none.

That of the study is the first of these that any recommender has. Clicks count as lost or gained
where the interval of the change of utility leaves out 0, English posts as more or fewer where that
of their share does. A crowd changes as much where the interval of the ratio to `locals`, or to
`placebo` if the crowd posts as much as the newcomers, holds 1.

The recommended recommender changes least (net) of those whose feeds with the influx have a utility
of at least .95 of the highest (`MARGIN`). The oracle, which no platform has, is never recommended.
The seeds can tell it from the next where the interval of their paired difference leaves out 0.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from recsys.statistics import MIN_SEEDS_FOR_CLAIMS
from recsys.study.result import StudyResult
from recsys.study.tables.headline import FLOOR
from recsys.study.verdicts.choice import choice
from recsys.study.verdicts.phrases import between, by, listed, of_100, sentence, spread, where
from recsys.study.verdicts.value import Verdict
from recsys.study.verdicts.variants import (
    A_LITTLE,
    ANSWERS,
    LITTLE,
    NONE,
    NOT_KNOWN,
    NOT_MEASURABLE,
    YES,
    Variant,
    in_order,
)

_FEW = 5
"""With fewer users among the most affected hundredth, the most affected tenth is told."""
_HARDEST = {"top 1 %": "the one in a hundred", "top 10 %": "the one in ten"}
_EQUAL = "about as much"
_CROWDS = {
    "locals": "as many people like themselves would have changed",
    "placebo": "if they posted as much as the newcomers,",
}
"""What is told of each arm with other newcomers: as many locals, and as many who post as much."""


def verdict_of_world(result: StudyResult) -> Verdict:
    """The verdict on a study of a world.

    Args:
        result: its result.
    """
    variants = in_order(result)
    if not variants:
        return Verdict(NOT_MEASURABLE, ("Not measurable: no feeds could be compared.",), ())
    answer = min((v.finding.answer for v in variants), key=ANSWERS.index)
    chosen, reason = choice(result, variants)
    parts = (
        _opening(answer, variants),
        _crowds(result, variants),
        _english(result, variants),
        _clicks(answer, variants),
        f"{reason}{_sureness(result)}",
    )
    sentences = tuple(sentence(part) for part in parts if part)
    return Verdict(answer, sentences, tuple(v.finding for v in variants), chosen)


def _opening(answer: str, variants: Sequence[Variant]) -> str:
    """The answer, and how many of 100 posts changed under each recommender."""
    told = [v for v in variants if v.finding.answer != NOT_MEASURABLE]
    if not told:
        return f"{_answer(answer, variants)}: {_no_room(variants)}"
    figures = [(v, v.row["net"], v.row["net_ci_low"], v.row["net_ci_high"]) for v in told]
    shown = figures if len(figures) <= 4 else [*figures[:3], figures[-1]]
    texts = [
        f"{of_100(max(net, 0.0))}{between(low, high)}{f' with {v.name}' if variants[1:] else ''}"
        for v, net, low, high in shown
    ]
    between_them = f"; the {len(figures) - 4} others lie between" if len(figures) > 4 else ""
    own = spread([v.row["displaced"] for v in told])
    room = [v for v in variants if v not in told]
    rest = f"; {_no_room(room)}{where([v.name for v in room], [])}" if room else ""
    return (
        f"{_answer(answer, variants)}: of 100 posts that chance leaves in place in long-time "
        f"users' feeds, the newcomers' coming changed {listed(texts)}{between_them}; {own} of all "
        f"100 are newcomers' own"
        f"{_indirect(answer, told)}{_up_to(answer, told)}{rest}"
    )


def _indirect(answer: str, variants: Sequence[Variant]) -> str:
    """That most of the change is no newcomer's post, where that is so under each recommender."""
    if answer in (YES, A_LITTLE) and all(v.row["displaced"] < v.row["net"] / 2 for v in variants):
        return ", so most of the change is among posts of long-time users"
    return ""


def _answer(answer: str, variants: Sequence[Variant]) -> str:
    """The answer as the begin of a sentence, with the number of recommenders where they differ."""
    same = [v for v in variants if v.finding.answer == answer]
    some = "" if len(same) == len(variants) else f" with {len(same)} of {len(variants)}"
    return {
        YES: f"Yes{some and f'{some} recommenders'}",
        A_LITTLE: f"A little{some and f',{some} recommenders'}",
        NONE: "No change can be detected",
        NOT_KNOWN: "Not known, since one repetition cannot tell the newcomers' effect from luck",
        NOT_MEASURABLE: "Not measurable",
    }[answer]


def _up_to(answer: str, variants: Sequence[Variant]) -> str:
    """How large a change that was not detected may be."""
    if answer != NONE:
        return ""
    high = max(v.row["net_ci_high"] for v in variants)
    if high < LITTLE:
        return ", so that any change is a small one"
    return f", so that a change of up to {of_100(min(high, 1.0))} is not ruled out"


def _no_room(variants: Sequence[Variant]) -> str:
    """Why there is no net, and what is known all the same: the posts by newcomers."""
    own = spread([v.row["displaced"] for v in variants])
    floors = [v.row["floor"] for v in variants if v.row["floor"] is not None]
    if not floors:
        return f"what changes by chance was not simulated; {own} of 100 posts are newcomers' own"
    return (
        f"{spread(floors)} of 100 posts change even where one more person joins, which leaves no "
        f"room to tell what the newcomers change beyond their own posts, {own} of 100"
    )


def _crowds(result: StudyResult, variants: Sequence[Variant]) -> str:
    """What crowds of people like the long-time users would have changed."""
    if not any(v.row["net"] is not None for v in variants):
        return ""
    if "locals" not in result.study.arms:
        return "what as many people like themselves would change was not simulated"
    return "; ".join(filter(None, (_crowd(arm, variants) for arm in _CROWDS)))


def _crowd(arm: str, variants: Sequence[Variant]) -> str:
    """What one crowd changes, beside what the newcomers change; empty if that is not known."""
    told = [v for v in variants if v.row["net"] is not None and v.row[arm] is not None]
    clauses = []
    for kind, same in by(lambda variant: _against(variant, arm), told).items():
        shares = spread([max(v.row[arm], 0.0) for v in same])
        clauses.append(f"{kind}{where([v.name for v in same], told)} ({shares} of 100)")
    kinds = {_against(variant, arm) for variant in told}
    reason = arm == "placebo" and kinds == {_EQUAL}
    why = ", so the amount that is posted may be the whole reason" if reason else ""
    return f"{_CROWDS[arm]} {listed(clauses)}{why}" if clauses else ""


def _against(variant: Variant, arm: str) -> str:
    """How what a crowd changes compares with what the newcomers change."""
    low, high = (variant.row[f"over_{arm}_ci_{end}"] for end in ("low", "high"))
    if low is None or high is None:
        return "an amount that cannot be told from chance"
    if low > 1:
        return "less"
    return "more" if high < 1 else _EQUAL


def _english(result: StudyResult, variants: Sequence[Variant]) -> str:
    """How much more English the feeds hold, and what the most affected users get."""
    measured = [v for v in variants if v.row["english"] is not None]
    clauses = []
    for kind, same in by(lambda variant: _direction(variant, "english"), measured).items():
        names, changes = where([v.name for v in same], measured), [v.row["english"] for v in same]
        if kind == "neither":
            clauses.append(f"no change of English posts can be detected{names}")
            continue
        amounts = spread([abs(change) for change in changes])
        text = " in this repetition" if kind == "one seed" else ""
        more = "more" if sum(changes) > 0 else "fewer"
        clauses.append(f"{amounts} {more} of 100 posts are in English{text}{names}")
    before = _english_before(result, measured)
    usual = f", where {before} would be without the newcomers" if before else ""
    return "; ".join(
        filter(None, [f"{listed(clauses)}{usual}" if clauses else "", _hardest(variants)])
    )


def _english_before(result: StudyResult, variants: Sequence[Variant]) -> str:
    """How many of 100 posts are in English without the newcomers."""
    rows = result.summary.filter(
        pl.col("day").is_null(), arm="control", cohort="incumbent", measure="language:en"
    ).drop_nulls("mean")
    levels = {(r["recommender"], r["mitigation"]): r["mean"] for r in rows.iter_rows(named=True)}
    known = [levels[v.key] for v in variants if v.key in levels]
    return spread(known) if known else ""


def _clicks(answer: str, variants: Sequence[Variant]) -> str:
    """What the influx costs long-time users in clicks, and what retraining alone changes."""
    measured = [v for v in variants if v.row["utility"] is not None]
    clauses = [_clause(kind, same, measured) for kind, same in by(_harm, measured).items()]
    lost = any(_harm(v) == "lose" for v in measured)
    yet = "yet " if lost and answer in (NONE, NOT_MEASURABLE) else ""
    cost = f"{yet}{listed(clauses)}" if clauses else "what it costs in clicks was not measured"
    again = [v for v in variants if v.row["retrain"] is not None]
    if not again:
        return cost
    changing = [v for v in again if v.row["retrain"] > 0]
    if not changing:
        return f"{cost}; retraining alone changes no post"
    share = spread([v.row["retrain"] for v in changing])
    names = where([v.name for v in changing], again)
    rest = " and none with the others" if len(changing) < len(again) else ""
    return f"{cost}; retraining alone changes {share} of 100 posts{names}{rest}"


def _direction(variant: Variant, column: str) -> str:
    """Whether the interval of a change lies above 0, below it, or holds it."""
    low, high = (variant.row[f"{column}_ci_{end}"] for end in ("low", "high"))
    if low is None or high is None:
        return "one seed"
    return "lose" if high < 0 else "gain" if low > 0 else "neither"


def _harm(variant: Variant) -> str:
    return _direction(variant, "utility")


def _clause(kind: str, same: Sequence[Variant], measured: Sequence[Variant]) -> str:
    """One clause on clicks, about the recommenders that it holds for."""
    names = where([v.name for v in same], measured)
    changes = [v.row["utility"] for v in same]
    if kind == "one seed":
        worst = min(changes)
        return f"whether it costs clicks is not known ({_signed(worst)} in this repetition){names}"
    if kind == "neither":
        return f"no gain or loss of clicks can be detected{names}"
    amounts = spread([abs(change) for change in changes])
    return f"long-time users {kind} {amounts} of 100 clicks{names}"


def _signed(change: float) -> str:
    """A change of clicks in words.

    >>> _signed(-0.021), _signed(0.0)
    ('2.1 of 100 lost at most', 'none of 100 lost at most')
    """
    return f"{of_100(max(-change, 0.0))} of 100 lost at most"


def _hardest(variants: Sequence[Variant]) -> str:
    """Which long-time users were hit most, and how hard; nothing where chance may have done it."""
    told = [v for v in variants if _hits(v)]
    top = next((g for g in _HARDEST if told and _enough(told, g)), None)
    if top is None:
        return ""
    rows = [v.groups[top] for v in told if top in v.groups]
    english = [row["english"] for row in rows if row["english"] is not None]
    more = f" and {spread(english)} more in English" if english and min(english) > 0 else ""
    return (
        f"hit hardest is {_HARDEST[top]} of long-time users who get most of the newcomers' posts, "
        f"with {spread([max(row['net'], 0.0) for row in rows if row['net'] is not None])} of 100 "
        f"posts changed{more}{where([v.name for v in told], variants)}"
    )


def _hits(variant: Variant) -> bool:
    """Whether the influx shows in everybody's feeds, or in those of the most affected."""
    lows = (variant.groups.get(group, {}).get("net_ci_low") for group in ("all", *_HARDEST))
    return any(low is not None and low > 0 for low in lows)


def _enough(variants: Sequence[Variant], group: str) -> bool:
    """Whether a group of the most affected is measured, and not a handful of people."""
    rows = [v.groups[group] for v in variants if group in v.groups]
    return bool(rows) and all(row["net"] is not None and row["n_users"] >= _FEW for row in rows)


def _sureness(result: StudyResult) -> str:
    """On how many seeds all of this rests, and what is missing from the study."""
    return "; ".join(_reservations(result))


def _reservations(result: StudyResult) -> Iterator[str]:
    seeds = result.study.seeds
    rests = f"this rests on {seeds} repetition{'s' * (seeds > 1)} with other luck (seeds)"
    more = f"run {MIN_SEEDS_FOR_CLAIMS} before you rely on it"
    yield rests if seeds >= MIN_SEEDS_FOR_CLAIMS else f"{rests}, so {more}"
    if FLOOR not in result.study.arms and "retrain" in result.study.arms:
        yield "chance is measured by retraining alone, so the change is overstated"
