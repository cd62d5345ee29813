"""Measures of feeds: drift from a reference, mixes, attention, quality."""

from recsys.measures.embedding import centroids, cosine_distance
from recsys.measures.exposure import (
    attention,
    coverage,
    gini,
    homogenisation,
    position_weighted_share,
    share_by_size,
)
from recsys.measures.mix import calibration_kl, feed_mix, hellinger, jsd, tv
from recsys.measures.mix_drift import mix_measure, share_measure
from recsys.measures.overlap import (
    Comparison,
    SlotAccounting,
    average_overlap,
    compare,
    default_persistence,
    frbo,
    jaccard,
    kendall_topk,
    overlap,
    rbo_ext,
    rbo_ext_ties,
    slot_accounting,
)
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.quality import ndcg, recall, utility
from recsys.measures.registry import MEASURES, available

__all__ = [
    "MEASURES",
    "Comparison",
    "FeedPair",
    "Measure",
    "SlotAccounting",
    "attention",
    "available",
    "average_overlap",
    "calibration_kl",
    "centroids",
    "compare",
    "cosine_distance",
    "coverage",
    "default_persistence",
    "feed_mix",
    "frbo",
    "gini",
    "hellinger",
    "homogenisation",
    "jaccard",
    "jsd",
    "kendall_topk",
    "mix_measure",
    "ndcg",
    "overlap",
    "position_weighted_share",
    "rbo_ext",
    "rbo_ext_ties",
    "recall",
    "share_by_size",
    "share_measure",
    "slot_accounting",
    "tv",
    "utility",
]
