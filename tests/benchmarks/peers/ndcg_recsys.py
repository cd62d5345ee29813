"""Users a second whose NDCG recsys computes, from their lists and what they liked.

Arguments: users, depth.
"""

import sys
import time

import numpy as np
from lists import two_lists
from said import say

from recsys.measures import ndcg


def main(users: int, depth: int) -> None:
    lists, liked = two_lists(users, depth)
    liked = liked[:, : depth // 2]
    began = time.process_time()
    pairs = np.arange(users)[:, None] * 2 * depth  # so many items there are for each user
    hits = np.isin(pairs + lists, pairs + liked)
    values = ndcg(hits, np.full(users, liked.shape[1]))
    say("recsys", users, time.process_time() - began, mean=float(values.mean()))


main(*map(int, sys.argv[1:]))
