"""Pairs of lists a second whose rank-biased overlap recsys computes. Arguments: pairs, depth."""

import sys
import time

from lists import two_lists
from said import say

from recsys.measures import rbo_ext


def main(pairs: int, depth: int) -> None:
    a, b = two_lists(pairs, depth)
    rbo_ext(a, b, 0.9)
    began = time.process_time()
    values = rbo_ext(a, b, 0.9)
    say("recsys", pairs, time.process_time() - began, mean=float(values.mean()))


main(*map(int, sys.argv[1:]))
