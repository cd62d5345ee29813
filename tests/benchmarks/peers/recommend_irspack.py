"""Fits, serves and judges irspack's recommenders. Argument: a split.

EDLAE has its defaults. Those of IALS learn nothing here (NDCG .01), so it has 64 factors, and an
alpha and a regularisation that do well on both logs.
"""

import sys

import numpy as np
from irspack import EDLAERecommender, IALSRecommender
from judged import judge
from split import K, Split, read_split

IALS = {"n_components": 64, "alpha0": 0.1, "reg": 0.01, "n_threads": 1}


def irspacks(split: Split) -> None:
    for kind, options in ((IALSRecommender, IALS), (EDLAERecommender, {})):

        def fit(kind=kind, options=options):
            return kind(split.train.astype(np.float64), **options).learn()

        def serve(model):
            lists = np.empty((split.users.size, K), dtype=np.int64)
            for start in range(0, split.users.size, 512):
                scores = model.get_score_remove_seen(split.users[start : start + 512])
                best = np.argpartition(-scores, K, axis=1)[:, :K]
                order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
                lists[start : start + 512] = np.take_along_axis(best, order, axis=1)
            return lists

        judge(f"irspack {kind.__name__.removesuffix('Recommender')}", split, fit, serve)


irspacks(read_split(sys.argv[1]))
