"""The verdict on a study of a synthetic platform, from its tables `headline` and `summary`.

The answer for a recommender is

- `yes`: the interval of net lies above 0, and net is at least 5 of 100 posts (`LITTLE`);
- `a little`: the interval lies above 0, and net is below that;
- `no detectable change`: the interval holds 0, or lies below it;
- `not known`: there is no interval, since the study has a single seed;
- `not measurable`: there is no net, since the floor is .8 or more, or since the study has none.

That of the study is the first of these that any recommender has. Clicks count as lost or gained
where the interval of the change of utility leaves out 0. An equal crowd changes as much where the
interval of the ratio to `locals` holds 1.

The recommended recommender changes least (net) of those whose feeds with the influx have a utility
of at least .95 of the highest (`MARGIN`). The oracle, which no platform has, is never recommended.
The seeds can tell it from the next where the interval of their paired difference leaves out 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from recsys.statistics import MIN_SEEDS_FOR_CLAIMS
from recsys.study.paired import difference, net_by_user
from recsys.study.result import StudyResult
from recsys.study.tables.headline import BILINGUAL, FLOOR, OTHERS
from recsys.study.verdicts.phrases import between, by, listed, of_100, sentence, spread, where
from recsys.study.verdicts.value import Finding, Verdict

YES, A_LITTLE, NONE, NOT_KNOWN, NOT_MEASURABLE = ANSWERS = (
    "yes",
    "a little",
    "no detectable change",
    "not known",
    "not measurable",
)
"""The answers, the strongest first."""
LITTLE = 0.05
"""Net change below which a change is a little one."""
MARGIN = 0.05
"""Share of the highest utility by which feeds may be less useful and yet count as useful."""
_FEW = 5
"""With fewer users among the most affected hundredth, the most affected tenth is told."""
_HARDEST = {"top 1 %": "the hundredth", "top 10 %": "the tenth"}

Row = Mapping[str, Any]


class _Variant(NamedTuple):
    """One recommender under one mitigation: its answer, and its rows over all days by group."""

    finding: Finding
    groups: Mapping[str, Row]

    @property
    def name(self) -> str:
        return self.finding.name

    @property
    def row(self) -> Row:
        return self.groups["all"]

    @property
    def key(self) -> tuple[str, str]:
        return self.finding.recommender, self.finding.mitigation


def answer_of(row: Row) -> str:
    """The answer that a row of the table `headline` gives.

    Args:
        row: the row of all users over all days.

    >>> answer_of({"net": 0.12, "net_ci_low": 0.05}), answer_of({"net": 0.02, "net_ci_low": 0.01})
    ('yes', 'a little')
    """
    if row["net"] is None:
        return NOT_MEASURABLE
    if row["net_ci_low"] is None:
        return NOT_KNOWN
    if row["net_ci_low"] <= 0:
        return NONE
    return YES if row["net"] >= LITTLE else A_LITTLE


def verdict_of_world(result: StudyResult) -> Verdict:
    """The verdict on a study of a world.

    Args:
        result: its result.
    """
    variants = _in_order(result)
    if not variants:
        return Verdict(NOT_MEASURABLE, ("Not measurable: no feeds could be compared.",), ())
    answer = min((v.finding.answer for v in variants), key=ANSWERS.index)
    chosen, choice = _choice(result, variants)
    parts = (
        _opening(answer, variants),
        _crowd(result, variants),
        _clicks(answer, variants),
        _people(variants),
        f"{choice}{_sureness(result)}",
    )
    sentences = tuple(sentence(part) for part in parts if part)
    return Verdict(answer, sentences, tuple(v.finding for v in variants), chosen)


def _in_order(result: StudyResult) -> list[_Variant]:
    """Recommenders by net change; those without one come last, by slots changed."""
    groups: dict[tuple[str, str], dict[str, Row]] = {}
    for row in result.headline.filter(pl.col("day").is_null()).iter_rows(named=True):
        groups.setdefault((row["recommender"], row["mitigation"]), {})[row["group"]] = row
    found = [
        _Variant(Finding(*key, answer_of(g["all"])), g) for key, g in groups.items() if "all" in g
    ]

    def change(variant: _Variant) -> tuple[bool, float]:
        net = variant.row["net"]
        return net is None, variant.row["changed"] if net is None else net

    return sorted(found, key=change)


def _opening(answer: str, variants: Sequence[_Variant]) -> str:
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
        f"{_answer(answer, variants)}: of 100 posts shown to long-time users, the newcomers' "
        f"coming changed {listed(texts)}{between_them}, and {own} of 100 are newcomers' own"
        f"{_indirect(answer, told)}{_up_to(answer, told)}{rest}"
    )


def _indirect(answer: str, variants: Sequence[_Variant]) -> str:
    """That most of the change is no newcomer's post, where that is so under each recommender."""
    if answer in (YES, A_LITTLE) and all(v.row["displaced"] < v.row["net"] / 2 for v in variants):
        return ", so most of the change is among posts of long-time users"
    return ""


def _answer(answer: str, variants: Sequence[_Variant]) -> str:
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


def _up_to(answer: str, variants: Sequence[_Variant]) -> str:
    """How large a change that was not detected may be."""
    if answer != NONE:
        return ""
    high = max(v.row["net_ci_high"] for v in variants)
    if high < LITTLE:
        return ", so that any change is a small one"
    return f", so that a change of up to {of_100(min(high, 1.0))} is not ruled out"


def _no_room(variants: Sequence[_Variant]) -> str:
    """Why there is no net, and what is known all the same: the posts by newcomers."""
    own = spread([v.row["displaced"] for v in variants])
    floors = [v.row["floor"] for v in variants if v.row["floor"] is not None]
    if not floors:
        return f"what changes by chance was not simulated; {own} of 100 posts are newcomers' own"
    return (
        f"{spread(floors)} of 100 posts change even where one more person joins, which leaves no "
        f"room to tell what the newcomers change beyond their own posts, {own} of 100"
    )


def _crowd(result: StudyResult, variants: Sequence[_Variant]) -> str:
    """What an equal crowd of people like the long-time users would have changed."""
    told = [v for v in variants if v.row["net"] is not None]
    if not told:
        return ""
    if "locals" not in result.study.arms:
        return "what an equal crowd of people like themselves would change was not simulated"
    told = [v for v in told if v.row["locals"] is not None]
    if not told:
        return ""
    clauses = []
    for kind, same in by(_against_locals, told).items():
        shares = spread([max(v.row["locals"], 0.0) for v in same])
        clauses.append(f"{kind}{where([v.name for v in same], told)} ({shares} of 100)")
    return f"an equal crowd of people like themselves would have changed {listed(clauses)}"


def _against_locals(variant: _Variant) -> str:
    """How what an equal crowd changes compares with what the newcomers change."""
    low, high = (variant.row[f"over_locals_ci_{end}"] for end in ("low", "high"))
    if low is None or high is None:
        return "an amount that cannot be told from chance"
    if low > 1:
        return "less"
    return "more" if high < 1 else "about as much"


def _clicks(answer: str, variants: Sequence[_Variant]) -> str:
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


def _harm(variant: _Variant) -> str:
    low, high = (variant.row[f"utility_ci_{end}"] for end in ("low", "high"))
    if low is None or high is None:
        return "one seed"
    return "lose" if high < 0 else "gain" if low > 0 else "neither"


def _clause(kind: str, same: Sequence[_Variant], measured: Sequence[_Variant]) -> str:
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


def _people(variants: Sequence[_Variant]) -> str:
    """Which long-time users were hit most, and how hard; nothing where chance may have done it."""
    told = [v for v in variants if _hits(v)]
    top = next((g for g in _HARDEST if told and _enough(told, g)), None)
    if top is None:
        return ""

    def shares(group: str) -> str:
        rows = [v.groups[group]["net"] for v in told if group in v.groups]
        return spread([max(net, 0.0) for net in rows if net is not None] or [0.0])

    text = (
        f"hit hardest is {_HARDEST[top]} of long-time users who get most of the newcomers' posts, "
        f"with {shares(top)} of 100 posts changed{where([v.name for v in told], variants)}"
    )
    if all(group in v.groups for v in told for group in (BILINGUAL, OTHERS)):
        text += (
            f"; it is {shares(BILINGUAL)} for those who read both languages well and "
            f"{shares(OTHERS)} for the others"
        )
    return text


def _hits(variant: _Variant) -> bool:
    """Whether the influx shows in everybody's feeds, or in those of the most affected."""
    lows = (variant.groups.get(group, {}).get("net_ci_low") for group in ("all", *_HARDEST))
    return any(low is not None and low > 0 for low in lows)


def _enough(variants: Sequence[_Variant], group: str) -> bool:
    """Whether a group of the most affected is measured, and not a handful of people."""
    rows = [v.groups[group] for v in variants if group in v.groups]
    return bool(rows) and all(row["net"] is not None and row["n_users"] >= _FEW for row in rows)


def _choice(
    result: StudyResult, variants: Sequence[_Variant]
) -> tuple[tuple[str, str] | None, str]:
    """The recommended recommender, and why, as the begin of a sentence."""
    oracles = {spec.name for spec in result.study.recommenders if spec.kind == "oracle"}
    real = [v for v in variants if v.finding.recommender not in oracles]
    clicks = _clicks_for_best(result, real)
    able = [v for v in real if not clicks or v.key in clicks]
    useful = [v for v in able if clicks.get(v.key, 1.0) >= 1 - MARGIN and v.row["net"] is not None]
    if len(variants) < 2 or not useful:
        return None, ""
    best, *others = useful
    reason = (
        "of those whose feeds give nearly as many clicks as the best (at least "
        f"{100 * (1 - MARGIN):.0f} for its 100), {best.name} changes least"
        f"{_left_out(best, able, clicks)}"
    )
    if not others:
        reason = (
            f"take {best.name}: no other gives at least {100 * (1 - MARGIN):.0f} clicks where the "
            "best gives 100"
        )
    elif not _told_apart(result, best, others[0]):
        reason += f", though not by so much that it can be told from {others[0].name}"
    return best.key, f"{reason}; "


def _left_out(
    best: _Variant, able: Sequence[_Variant], clicks: Mapping[tuple[str, str], float]
) -> str:
    """Who changes less than the recommended recommender, and gives too few clicks."""
    calmer = able[: able.index(best)]
    few = [v for v in calmer if v.row["net"] is not None]
    if not few:
        return ""
    shares = spread([clicks[v.key] for v in few])
    names = listed([v.name for v in few[:2]]) if len(few) <= 2 else f"{len(few)} others"
    verbs = "changes less and gives" if len(few) == 1 else "change less and give"
    return f" ({names} {verbs} {shares})"


def _clicks_for_best(
    result: StudyResult, variants: Sequence[_Variant]
) -> dict[tuple[str, str], float]:
    """What the feeds of each recommender give in clicks, as a share of what the best of them gives.

    Empty where utility was not measured.
    """
    able = {v.key for v in variants}
    rows = result.summary.filter(
        pl.col("day").is_null(), arm="influx", cohort="incumbent", measure="utility"
    ).drop_nulls("mean")
    levels = {(r["recommender"], r["mitigation"]): r["mean"] for r in rows.iter_rows(named=True)}
    known = {key: level for key, level in levels.items() if key in able}
    most = max(known.values(), default=0.0)
    return {key: level / most if most > 0 else 1.0 for key, level in known.items()}


def _told_apart(result: StudyResult, best: _Variant, other: _Variant) -> bool:
    """Whether the seeds tell the net changes of two recommenders apart.

    By the paired difference; where the rows of users are not at hand, by intervals that do not
    overlap, which is stricter.
    """
    both = [net_by_user(result.per_user, result.study, v.key) for v in (best, other)]
    if both[0] is not None and both[1] is not None:
        return bool(difference(both[0], both[1]).low > 0)
    high, low = best.row["net_ci_high"], other.row["net_ci_low"]
    return high is not None and low is not None and low > high


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
