"""Measures of drift: how far the feeds of an arm are from the same users' feeds in the reference.

The functions of this package take arrays and give one value per row. `MEASURES` holds the measures
that a study computes, each from a `FeedPair`. To add a measure, write its function in one of the
package's files and add an entry here.
"""

from __future__ import annotations

from collections.abc import Iterable

from recsys.measures.embedding import embedding_drift
from recsys.measures.exposure import (
    influx_heavy,
    newcomer_share,
    newcomer_slots,
    noticeable,
    popularity,
)
from recsys.measures.mix_drift import joint_mix, mix_measure, topic_calibration
from recsys.measures.overlap_drift import (
    SourceSlots,
    average_overlap_drift,
    creators_drift,
    displaced_share,
    jaccard_drift,
    kendall_drift,
    one_step_drift,
    posts_drift,
    rbo_ext_drift,
    rbo_ext_ties_drift,
    reshuffled_share,
    slots_changed,
    turnover,
)
from recsys.measures.pair import Measure
from recsys.measures.quality import feed_ndcg, feed_recall, feed_utility

SLOT_SOURCES = {
    "personal": ("personal", "fallback"),
    "following": ("following",),
    "trending": ("trending",),
    "fresh": ("fresh",),
}
"""The kinds of slots that a platform has, and the names of what fills them, as in `SOURCES`. The
trending list fills a personal slot for which the recommender has no post: the fallback."""


def _by_source(name: str, title: str, formula: str, *, displaced: bool) -> dict[str, Measure]:
    """A measure for each source of slots, such as `changed_trending`."""
    needs = ("sources", "from_newcomers") if displaced else ("sources",)
    return {
        f"{name}_{source}": Measure(
            name=f"{name}_{source}",
            title=title.format(source),
            kind="drift",
            unit="share of slots",
            formula=formula.format(source),
            function=SourceSlots(fill, displaced=displaced),
            needs=needs,
        )
        for source, fill in SLOT_SOURCES.items()
    }


MEASURES: dict[str, Measure] = {
    "posts": Measure(
        name="posts",
        title="drift of posts",
        kind="drift",
        unit="0 to 1",
        formula="1 - (1-p)/(1-p^k) Σ p^(d-1) X_d/d, p = 1 - 1/k",
        function=posts_drift,
        rung="posts",
    ),
    "one_step": Measure(
        name="one_step",
        title="one-step drift of posts",
        kind="drift",
        unit="0 to 1",
        formula="1 - FRBO of today's feeds, from fits with and without newcomers' events",
        function=one_step_drift,
        needs=("without",),
    ),
    "jaccard": Measure(
        name="jaccard",
        title="Jaccard drift of posts",
        kind="drift",
        unit="0 to 1",
        formula="1 - X_k/(2k - X_k)",
        function=jaccard_drift,
    ),
    "average_overlap": Measure(
        name="average_overlap",
        title="average-overlap drift of posts",
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
    "rbo_ext": Measure(
        name="rbo_ext",
        title="extrapolated RBO drift",
        kind="drift",
        unit="0 to 1",
        formula="1 - RBO_ext(p), p = 1 - 1/k, unequal lengths not cut",
        function=rbo_ext_drift,
    ),
    "rbo_ext_ties": Measure(
        name="rbo_ext_ties",
        title="extrapolated RBO drift, ties averaged",
        kind="drift",
        unit="0 to 1",
        formula="1 - RBO_ext^a(A, B) / RBO_ext^a(A, A), p = 1 - 1/k, over the orders of ties",
        function=rbo_ext_ties_drift,
        needs=("reference_scores", "scores"),
    ),
    "kendall": Measure(
        name="kendall",
        title="Kendall drift of posts",
        kind="drift",
        unit="share of the most",
        formula="K^(1/2)/(k² + k(k-1)/2)",
        function=kendall_drift,
    ),
    "displaced": Measure(
        name="displaced",
        title="slots displaced by newcomers' posts",
        kind="drift",
        unit="share of slots",
        formula="(newcomers' posts not in the reference)/k",
        function=displaced_share,
        needs=("from_newcomers",),
    ),
    "reshuffled": Measure(
        name="reshuffled",
        title="slots reshuffled among other posts",
        kind="drift",
        unit="share of slots",
        formula="(other posts not in the reference)/k",
        function=reshuffled_share,
        needs=("from_newcomers",),
    ),
    **_by_source(
        "changed",
        "{} slots changed",
        "(posts in {} slots not in the reference)/(such slots)",
        displaced=False,
    ),
    **_by_source(
        "displaced",
        "{} slots displaced by newcomers' posts",
        "(newcomers' posts in {} slots not in the reference)/(such slots)",
        displaced=True,
    ),
    "creators": Measure(
        name="creators",
        title="drift of creators",
        kind="drift",
        unit="0 to 1",
        formula="1 - FRBO of the creators, X_d with repeats",
        function=creators_drift,
        needs=("creators",),
        rung="creators",
    ),
    "language_format": mix_measure(
        "language_format", ("language", "format"), "tv", rung="language x format"
    ),
    "language_format_jsd": mix_measure("language_format_jsd", ("language", "format"), "jsd"),
    "language_format_hellinger": mix_measure(
        "language_format_hellinger", ("language", "format"), "hellinger"
    ),
    "topic": mix_measure("topic", ("topic",), "tv", rung="topics"),
    "topic_jsd": mix_measure("topic_jsd", ("topic",), "jsd"),
    "joint_mix": Measure(
        name="joint_mix",
        title="mix of all attributes at once changed",
        kind="drift",
        unit="share of slots",
        formula="½ Σ |p - q| over the cross of all attributes, as language × format × topic × tag",
        function=joint_mix,
        needs=("attributes",),
        pooled=True,
    ),
    "embedding": Measure(
        name="embedding",
        title="distance of feeds' middles",
        kind="drift",
        unit="0 to 2",
        formula="1 - cos(Σ examine·v over A, Σ examine·v over B)",
        function=embedding_drift,
        needs=("vectors",),
        rung="embedding",
        bounds=(0.0, 2.0),
    ),
    "turnover": Measure(
        name="turnover",
        title="turnover since the last measured day",
        kind="level",
        unit="0 to 1",
        formula="1 - FRBO of the feed and the arm's own of the measured day before",
        function=turnover,
        needs=("previous",),
    ),
    "newcomer_share": Measure(
        name="newcomer_share",
        title="attention to newcomers' posts",
        kind="level",
        unit="share of attention",
        formula="Σ examine·newcomer / Σ examine",
        function=newcomer_share,
        needs=("from_newcomers",),
    ),
    "newcomer_slots": Measure(
        name="newcomer_slots",
        title="slots with newcomers' posts",
        kind="level",
        unit="share of slots",
        formula="(newcomers' posts)/k",
        function=newcomer_slots,
        needs=("from_newcomers",),
    ),
    "noticeable4": Measure(
        name="noticeable4",
        title="newcomer's post in the first four",
        kind="level",
        unit="share of users",
        formula="1 if one of the first 4 slots holds a newcomer's post",
        function=noticeable,
        needs=("from_newcomers",),
    ),
    "influx_heavy": Measure(
        name="influx_heavy",
        title="a quarter or more by newcomers",
        kind="level",
        unit="share of users",
        formula="1 if newcomers' posts hold k/4 slots or more",
        function=influx_heavy,
        needs=("from_newcomers",),
    ),
    "calibration": Measure(
        name="calibration",
        title="miscalibration of topics",
        kind="level",
        unit="nats",
        formula="Σ p ln(p/(.99 q + .01 p)), p topics liked before the influx, q of the feed",
        function=topic_calibration,
        needs=("topic", "history"),
        bounds=(0.0, 4.6052),
        pooled=True,
    ),
    "popularity": Measure(
        name="popularity",
        title="popularity of posts",
        kind="level",
        unit="share of users",
        formula="Σ popularity / slots, popularity = users who liked the post / users",
        function=popularity,
        needs=("popularity",),
    ),
    "utility": Measure(
        name="utility",
        title="utility to the user",
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
        unit="share of relevant posts",
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
