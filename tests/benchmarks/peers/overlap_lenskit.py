"""Pairs of lists a second of LensKit, its own lists being made before. Arguments: pairs, depth."""

import sys
import time

from lenskit.data import ItemList
from lenskit.metrics import GeometricRankWeight
from lenskit.metrics.reranking import rank_biased_overlap
from lists import two_lists
from said import say

SOME = 2000
"""Pairs that the package compares, since it is slow."""


def main(pairs: int, depth: int) -> None:
    a, b = (
        [ItemList(item_ids=items, ordered=True) for items in lists[:SOME]]
        for lists in two_lists(pairs, depth)
    )
    weight = GeometricRankWeight(0.9)
    began = time.process_time()
    values = [
        rank_biased_overlap(one, other, weight=weight, n=depth)
        for one, other in zip(a, b, strict=True)
    ]
    seconds = time.process_time() - began
    say("LensKit 2025.8.1", len(values), seconds, cut=float(sum(values)) / len(values))


main(*map(int, sys.argv[1:]))
