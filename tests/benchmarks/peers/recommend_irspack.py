"""Fits, serves and judges irspack's recommenders. Argument: a split.

Their defaults learn little here (IALS .01, EDLAE .03 and .26). So each has those options of a grid
whose NDCG is largest on a fifth of the pairs to learn from, which is left out for that.
"""

import sys
from functools import partial
from itertools import product

import numpy as np
from irspack import EDLAERecommender, IALSRecommender
from judged import judge
from split import K, Split, inner, ndcg, read_split

GRIDS = {
    IALSRecommender: [
        {"n_components": 64, "alpha0": alpha, "reg": reg, "n_threads": 1}
        for alpha, reg in product((0.03, 0.1, 0.3, 1.0), (0.0003, 0.001, 0.003, 0.01, 0.03))
    ],
    EDLAERecommender: [
        {"reg": reg, "dropout_p": dropout}
        for reg, dropout in product((100.0, 300.0, 1000.0), (0.0, 0.2, 0.5, 0.7))
    ],
}


def lists_of(model, split: Split):
    lists = np.empty((split.users.size, K), dtype=np.int64)
    for start in range(0, split.users.size, 512):
        scores = model.get_score_remove_seen(split.users[start : start + 512])
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        lists[start : start + 512] = np.take_along_axis(best, order, axis=1)
    return lists


def irspacks(path: str) -> None:
    split = read_split(path)
    within = inner(split)
    for kind, grid in GRIDS.items():

        def fit(options, split=split, kind=kind):
            return kind(split.train.astype(np.float64), **options).learn()

        qualities = [ndcg(within, lists_of(fit(one, within), within)).mean() for one in grid]
        best = grid[int(np.argmax(qualities))]
        name = f"irspack {kind.__name__.removesuffix('Recommender')}"
        print(name, best, file=sys.stderr)
        judge(name, path, split, partial(fit, best), partial(lists_of, split=split))


irspacks(sys.argv[1])
