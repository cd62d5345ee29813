"""Which recommender a study of a world recommends, and why."""

from collections.abc import Mapping, Sequence

import polars as pl

from recsys.study.paired import difference, net_by_user
from recsys.study.result import StudyResult
from recsys.study.verdicts.phrases import listed, spread
from recsys.study.verdicts.variants import Variant

MARGIN = 0.05
"""Share of the highest utility by which feeds may be less useful and yet count as useful."""


def choice(result: StudyResult, variants: Sequence[Variant]) -> tuple[tuple[str, str] | None, str]:
    """The recommended recommender, and why, as the begin of a sentence.

    Args:
        result: the result of a study of a world.
        variants: its recommenders, in the order of `in_order`.

    Returns:
        Recommender and mitigation, None where there is no choice; and the words, or none.
    """
    oracles = {spec.name for spec in result.study.recommenders if spec.kind == "oracle"}
    real = [v for v in variants if v.finding.recommender not in oracles]
    clicks = _clicks_for_best(result, real)
    able = [v for v in real if not clicks or v.key in clicks]
    useful = [v for v in able if clicks.get(v.key, 1.0) >= 1 - MARGIN and v.row["net"] is not None]
    if len(variants) < 2 or not useful:
        return None, ""
    best, *others = useful
    reason = (
        f"of those whose feeds give at most {100 * MARGIN:.0f} of 100 clicks less than the best, "
        f"{best.name} changes least"
        f"{_left_out(best, able, clicks)}"
    )
    if not others:
        reason = (
            f"take {best.name}: each of the others gives more than {100 * MARGIN:.0f} of 100 "
            "clicks less"
        )
    elif not _told_apart(result, best, others[0]):
        reason += f", though not by so much that it can be told from {others[0].name}"
    return best.key, f"{reason}; "


def _left_out(
    best: Variant, able: Sequence[Variant], clicks: Mapping[tuple[str, str], float]
) -> str:
    """Who changes less than the recommended recommender, and gives too few clicks."""
    calmer = able[: able.index(best)]
    few = [v for v in calmer if v.row["net"] is not None]
    if not few:
        return ""
    missing = spread([1 - clicks[v.key] for v in few])
    names = listed([v.name for v in few[:2]]) if len(few) <= 2 else f"{len(few)} others"
    verbs = "changes less, but gives" if len(few) == 1 else "change less, but give"
    return f" ({names} {verbs} {missing} less)"


def _clicks_for_best(
    result: StudyResult, variants: Sequence[Variant]
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


def _told_apart(result: StudyResult, best: Variant, other: Variant) -> bool:
    """Whether the seeds tell the net changes of two recommenders apart.

    By the paired difference; where the rows of users are not at hand, by intervals that do not
    overlap, which is stricter.
    """
    both = [net_by_user(result.per_user, result.study, v.key) for v in (best, other)]
    if both[0] is not None and both[1] is not None:
        return bool(difference(both[0], both[1]).low > 0)
    high, low = best.row["net_ci_high"], other.row["net_ci_low"]
    return high is not None and low is not None and low > high
