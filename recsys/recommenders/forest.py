"""Boosted trees as arrays, asked for many rows side by side.

A tree gives each row a set of the leaves that it can still reach, as bits. Each node clears those
to its left where the row goes right; the leftmost leaf that is left is that of the row (Lucchese et
al. 2015, "QuickScorer: a fast algorithm to rank documents with additive ensembles of regression
trees"). So nodes are asked one after the other, and the processor works on several rows at a time.
"""
# mypy: disallow-untyped-decorators=False

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

MOST_LEAVES = 64
"""Largest number of leaves of a tree: one for each bit of a word."""
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
"""Times a power of two, it has another number from 0 to 63 in its first six bits for each of these
powers (Leiserson, Prokop & Randall 1998, "Using de Bruijn sequences to index a 1 in a word")."""
_FIRST_SIX = np.uint64(58)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_ROWS = 128
"""Number of rows that are asked side by side."""


class Forest(NamedTuple):
    """Boosted trees, the inner nodes of all trees end to end."""

    start: NDArray[np.int64]
    """(n_trees + 1,) first node of each tree, and their number."""
    feature: NDArray[np.int64]
    """(n_nodes,) row of the features that a node asks for."""
    threshold: NDArray[np.float64]
    """(n_nodes,): values above it go to the right."""
    missing_right: NDArray[np.bool_]
    """(n_nodes,) whether a missing value goes to the right."""
    kept: NDArray[np.uint64]
    """(n_nodes,) bits of the leaves that are not to the left of a node."""
    value: NDArray[np.float64]
    """(n_trees, 64) what a leaf adds to the log odds, by the first six bits of its product."""
    baseline: float
    """Log odds before the first tree."""


def forest_of(classifier: Any, columns: NDArray[np.int64]) -> Forest:
    """The trees of a fitted `HistGradientBoostingClassifier` of two classes.

    Args:
        classifier: the classifier; a tree has at most `MOST_LEAVES` leaves.
        columns: int64 (n,), row of the features for each feature that the classifier takes.
    """
    trees = [trees[0].nodes for trees in classifier._predictors]
    inner = [nodes[nodes["is_leaf"] == 0] for nodes in trees]
    nodes = np.concatenate(inner)
    kept, value = zip(*(_leaves_of(nodes) for nodes in trees), strict=True)
    return Forest(
        np.cumsum([0, *(part.size for part in inner)]).astype(np.int64),
        columns[nodes["feature_idx"].astype(np.int64)],
        nodes["num_threshold"].astype(np.float64),
        nodes["missing_go_to_left"] == 0,
        np.concatenate(kept),
        np.stack(value),
        float(classifier._baseline_prediction[0, 0]),
    )


def no_forest() -> Forest:
    """A forest without trees."""
    none = np.zeros(0, dtype=np.int64)
    start, value = np.zeros(1, dtype=np.int64), np.zeros((0, 64))
    kept = none.astype(np.uint64)
    return Forest(start, none, np.zeros(0), none.astype(np.bool_), kept, value, 0.0)


def _leaves_of(nodes: NDArray[Any]) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """`Forest.kept` and a row of `Forest.value` of a tree, whose nodes point to later nodes."""
    leaf = nodes["is_leaf"] > 0
    left, right = (nodes[side].astype(np.int64) for side in ("left", "right"))
    below = np.ones(nodes.size, dtype=np.int64)
    for node in np.flatnonzero(~leaf)[::-1]:
        below[node] = below[left[node]] + below[right[node]]
    first = np.zeros(nodes.size, dtype=np.int64)
    for node in np.flatnonzero(~leaf):
        first[left[node]] = first[node]
        first[right[node]] = first[node] + below[left[node]]
    kept = [
        int(_ALL) ^ (((1 << int(below[left[node]])) - 1) << int(first[node]))
        for node in np.flatnonzero(~leaf)
    ]
    value = np.zeros(64)
    slots = (np.uint64(1) << first[leaf].astype(np.uint64)) * _DE_BRUIJN >> _FIRST_SIX
    value[slots.astype(np.int64)] = nodes["value"][leaf]
    return np.array(kept, dtype=np.uint64), value


@njit(nogil=True, cache=True)
def forest_odds(forest, features, n, out):  # type: ignore[no-untyped-def]
    """Writes the log odds of the first n rows to `out`.

    Args:
        forest: a `Forest`.
        features: float64 (n_features, at least n), NaN where a value is not known.
        n: number of rows.
        out: float64 (at least n,), written.
    """
    start, threshold, kept, value = forest.start, forest.threshold, forest.kept, forest.value
    reached = np.empty(_ROWS, dtype=np.uint64)
    for first in range(0, n, _ROWS):
        size = min(_ROWS, n - first)
        odds = out[first : first + size]
        odds[:] = forest.baseline
        for tree in range(start.size - 1):
            reached[:size] = _ALL
            for node in range(start[tree], start[tree + 1]):
                x = features[forest.feature[node], first : first + size]
                limit, left = threshold[node], kept[node]
                if forest.missing_right[node]:
                    for row in range(size):
                        reached[row] &= _ALL if x[row] <= limit else left
                else:
                    for row in range(size):
                        reached[row] &= left if x[row] > limit else _ALL
            leaves = value[tree]
            for row in range(size):
                leftmost = reached[row] & (~reached[row] + np.uint64(1))
                odds[row] += leaves[(leftmost * _DE_BRUIJN) >> _FIRST_SIX]
