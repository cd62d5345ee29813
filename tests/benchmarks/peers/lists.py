"""Pairs of lists of distinct items, of which about half are in both."""

import numpy as np
from numpy.typing import NDArray


def two_lists(pairs: int, depth: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Int64 (pairs, depth) twice: the best items by two noisy scores of 2·depth items."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(pairs, 2 * depth))
    noisy = (truth + random.normal(size=truth.shape) for _ in range(2))
    one, other = (np.argsort(-scores, axis=1)[:, :depth].copy() for scores in noisy)
    return one, other
