"""Pairs of lists a second whose rank-biased overlap recsys computes. Arguments: pairs, depth."""

import sys
import time

from lists import two_lists
from said import say

from recsys.measures import overlap, rbo_ext

P, ROUNDS = 0.9, 20
SOME = 2000
"""Pairs that LensKit compares."""


def main(pairs: int, depth: int) -> None:
    a, b = two_lists(pairs, depth)
    rbo_ext(a, b, P)
    began = time.process_time()
    for _ in range(ROUNDS):
        values = rbo_ext(a, b, P)
    seconds = (time.process_time() - began) / ROUNDS
    tail = P**depth * overlap(a, b)  # what is not seen; LensKit leaves it out
    cut = (values - tail) / (1 - P**depth)
    say("recsys", pairs, seconds, mean=float(values.mean()), cut=float(cut[:SOME].mean()))


main(*map(int, sys.argv[1:]))
