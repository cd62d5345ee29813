"""Measures of drift: how far the feeds of an arm are from the same readers' feeds in the reference.

The functions take arrays and give one value per row. `MEASURES` holds those that a study computes,
each from a `FeedPair`; a new one is a function in one of these files and an entry here.
"""

from __future__ import annotations

from collections.abc import Iterable

from recsys.drift.base import FeedPair, Measure
from recsys.drift.exposure import (
    coverage,
    gini,
    newcomer_share,
    newcomer_slots,
    position_weighted_share,
)
from recsys.drift.mix import (
    calibration_kl,
    feed_mix,
    hellinger,
    jsd,
    mix_measure,
    share_measure,
    tv,
)
from recsys.drift.overlap import (
    Comparison,
    SlotAccounting,
    average_overlap,
    average_overlap_drift,
    compare,
    default_persistence,
    displaced_share,
    frbo,
    jaccard,
    jaccard_drift,
    kendall_topk,
    notes_drift,
    overlap,
    rbo_ext,
    reshuffled_share,
    slot_accounting,
    slots_changed,
)
from recsys.drift.quality import feed_ndcg, feed_recall, feed_utility, ndcg, recall, utility

__all__ = [
    "MEASURES",
    "Comparison",
    "FeedPair",
    "Measure",
    "SlotAccounting",
    "available",
    "average_overlap",
    "calibration_kl",
    "compare",
    "coverage",
    "default_persistence",
    "feed_mix",
    "frbo",
    "gini",
    "hellinger",
    "jaccard",
    "jsd",
    "kendall_topk",
    "mix_measure",
    "ndcg",
    "overlap",
    "position_weighted_share",
    "rbo_ext",
    "recall",
    "share_measure",
    "slot_accounting",
    "tv",
    "utility",
]

MEASURES: dict[str, Measure] = {
    "notes": Measure(
        name="notes",
        title="drift of notes",
        kind="drift",
        unit="0 to 1",
        formula="1 - (1-p)/(1-p^k) Σ p^(d-1) X_d/d, p = 1 - 1/k",
        function=notes_drift,
        rung="notes",
    ),
    "jaccard": Measure(
        name="jaccard",
        title="Jaccard drift of notes",
        kind="drift",
        unit="0 to 1",
        formula="1 - X_k/(2k - X_k)",
        function=jaccard_drift,
    ),
    "average_overlap": Measure(
        name="average_overlap",
        title="average-overlap drift of notes",
        kind="drift",
        unit="0 to 1",
        formula="1 - (1/k) Σ X_d/d",
        function=average_overlap_drift,
    ),
    "slots_changed": Measure(
        name="slots_changed",
        title="slots changed",
        kind="drift",
        unit="share of slots",
        formula="1 - X_k/k",
        function=slots_changed,
    ),
    "displaced": Measure(
        name="displaced",
        title="slots displaced by newcomers' notes",
        kind="drift",
        unit="share of slots",
        formula="(newcomers' notes not in the reference)/k",
        function=displaced_share,
        needs=("from_newcomers",),
    ),
    "reshuffled": Measure(
        name="reshuffled",
        title="slots reshuffled among other notes",
        kind="drift",
        unit="share of slots",
        formula="(other notes not in the reference)/k",
        function=reshuffled_share,
        needs=("from_newcomers",),
    ),
    "language_format": mix_measure(
        "language_format", ("language", "format"), "tv", rung="language x format"
    ),
    "language_format_jsd": mix_measure("language_format_jsd", ("language", "format"), "jsd"),
    "topic": mix_measure("topic", ("topic",), "tv", rung="topics"),
    "topic_jsd": mix_measure("topic_jsd", ("topic",), "jsd"),
    "newcomer_share": Measure(
        name="newcomer_share",
        title="attention to newcomers' notes",
        kind="level",
        unit="share of attention",
        formula="Σ examine·newcomer / Σ examine",
        function=newcomer_share,
        needs=("from_newcomers",),
    ),
    "newcomer_slots": Measure(
        name="newcomer_slots",
        title="slots with newcomers' notes",
        kind="level",
        unit="share of slots",
        formula="(newcomers' notes)/k",
        function=newcomer_slots,
        needs=("from_newcomers",),
    ),
    "utility": Measure(
        name="utility",
        title="utility to the reader",
        kind="level",
        unit="clicks per look",
        formula="Σ examine·P(click) / Σ examine",
        function=feed_utility,
        needs=("relevance",),
    ),
    "ndcg": Measure(
        name="ndcg",
        title="NDCG on later clicks",
        kind="level",
        unit="0 to 1",
        formula="Σ hit/log2(r+1), over its value with min(n_relevant, k) hits on top",
        function=feed_ndcg,
        needs=("hits", "n_relevant"),
    ),
    "recall": Measure(
        name="recall",
        title="recall of later clicks",
        kind="level",
        unit="share of relevant notes",
        formula="hits / n_relevant",
        function=feed_recall,
        needs=("hits", "n_relevant"),
    ),
}


def available(provides: Iterable[str]) -> tuple[str, ...]:
    """Names of the measures that can be computed.

    Args:
        provides: attributes of the items and optional fields of `FeedPair` that are at hand, as in
            `FeedPair.provides`.

    Returns:
        Keys of `MEASURES`, in its order.

    Example:
        >>> "topic" in available(["topic"]), "ndcg" in available(["topic"])
        (True, False)
    """
    present = frozenset(provides)
    return tuple(name for name, measure in MEASURES.items() if present.issuperset(measure.needs))
