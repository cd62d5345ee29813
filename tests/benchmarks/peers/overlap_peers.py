"""Pairs of lists a second of the package rbo. Arguments: pairs, depth."""

import sys
import time

from lists import two_lists
from rbo import RankingSimilarity
from said import say

SOME = 10_000
"""Pairs that the package compares, since it is slow."""


def main(pairs: int, depth: int) -> None:
    a, b = (lists[:SOME] for lists in two_lists(pairs, depth))
    as_lists = [(one.tolist(), other.tolist()) for one, other in zip(a, b, strict=True)]
    began = time.process_time()
    values = [RankingSimilarity(one, other).rbo_ext(p=0.9) for one, other in as_lists]
    say("rbo 0.1.3", len(values), time.process_time() - began, mean=sum(values) / len(values))


main(*map(int, sys.argv[1:]))
