"""Compiled loops of the ranker: the posts that sources propose to a user, features, and trees."""
# mypy: disallow-untyped-decorators=False

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.recommenders.kernels import insert


class Pool(NamedTuple):
    """The items that the sources propose from, by column, and what is known of each."""

    hot: NDArray[np.int64]
    """(n_hot,) column of each item that als and item_knn score, ascending."""
    own: NDArray[np.int64]
    """(n_columns,) place of a column in `hot`; -1 if it is not there."""
    similar_indptr: NDArray[np.int64]
    """(n_liked + 1,) CSR of the similarities of each liked item to the items in `hot`."""
    similar_indices: NDArray[np.int64]
    """Places in `hot`."""
    similar: NDArray[np.float64]
    """Similarities."""
    warmest: NDArray[np.int64]
    """Columns with any heat, the warmest first."""
    maker: NDArray[np.int64]
    """(n_columns,) number of each item's creator; -1 where it is not known."""
    made_indptr: NDArray[np.int64]
    """(n_creators + 1,) CSR of the items of each creator."""
    made: NDArray[np.int64]
    """Columns of items."""
    freshness: NDArray[np.float64]
    """(n_columns,)."""
    static: NDArray[np.float64]
    """(n_columns, 5) features of items that are the same for all users."""
    codes: NDArray[np.int64]
    """(n_columns, n_attributes) category of each item, numbered over all attributes; -1 where it is
    not known."""
    n_tastes: int
    """Number of categories of all attributes."""


class People(NamedTuple):
    """What each hot user likes, as CSR matrices by row of the training matrix."""

    indptr: NDArray[np.int64]
    """(n_users + 1,)."""
    liked: NDArray[np.int64]
    """Columns of the training matrix."""
    taste_indptr: NDArray[np.int64]
    """(n_users + 1,)."""
    tastes: NDArray[np.int64]
    """Categories, numbered over all attributes; creators first, if they are known."""
    likes: NDArray[np.float64]
    """Number of the user's likes of each category."""


@njit(nogil=True, cache=True)
def pairs_of_block(  # type: ignore[no-untyped-def]
    rows, users, scores, seen, place, pool, people, given_start, given, depth, propose
):
    """Pairs of a block of users and items with their ranks and features.

    Args:
        rows: int64 (n,), row of each user in the training matrix.
        users: int64 (n,), dense ids.
        scores: float32 (n, n_hot), scores by als.
        seen: a `Seen`, whose items are not proposed.
        place: int64 (n_items,), column of each item; -1 without.
        pool, people: see `Pool` and `People`.
        given_start, given: CSR of columns that are wanted for each user besides what is proposed.
        depth: number of items that each source proposes.
        propose: whether the proposed items are wanted.

    Returns:
        row, column, ranks (n, 4) and features of each pair, sorted by row and column.
    """
    hot, own, maker, made = pool.hot, pool.own, pool.maker, pool.made
    similar_indptr, similar_indices, similar = (
        pool.similar_indptr,
        pool.similar_indices,
        pool.similar,
    )
    made_indptr, warmest, freshness = pool.made_indptr, pool.warmest, pool.freshness
    static, codes = pool.static, pool.codes
    indptr, liked = people.indptr, people.liked
    taste_indptr, tastes, likes = people.taste_indptr, people.tastes, people.likes
    seen_start, seen_end, seen_items = seen.start, seen.end, seen.items
    n_columns, n_attributes, n_static = own.size, codes.shape[1], static.shape[1]
    n_creators = made_indptr.size - 1
    most = 0
    for user in range(rows.size):
        most += 4 * depth * propose + given_start[user + 1] - given_start[user]
    out_row = np.empty(most, dtype=np.int64)
    out_column = np.empty(most, dtype=np.int64)
    out_ranks = np.full((most, 4), np.nan)
    features = np.empty((most, 8 + n_static + n_attributes))
    taste = np.zeros(pool.n_tastes)
    sums = np.zeros(hot.size)
    reached = np.zeros(hot.size, dtype=np.bool_)
    touched = np.empty(hot.size, dtype=np.int64)
    hidden = np.zeros(n_columns, dtype=np.bool_)
    where = np.full(n_columns, -1, dtype=np.int64)
    wanted = np.empty(4 * depth + n_columns, dtype=np.int64)
    values = np.empty((4, depth))
    best = np.empty((4, depth), dtype=np.int64)
    held = np.zeros(4, dtype=np.int64)
    nan = np.nan
    n = 0
    for user in range(rows.size):
        row, who = rows[user], users[user]
        for at in range(seen_start[who], seen_end[who]):
            if place[seen_items[at]] >= 0:
                hidden[place[seen_items[at]]] = True
        n_likes = indptr[row + 1] - indptr[row]
        for at in range(taste_indptr[row], taste_indptr[row + 1]):
            taste[tastes[at]] = likes[at]
        n_touched = 0
        for at in range(indptr[row], indptr[row + 1]):
            for near in range(similar_indptr[liked[at]], similar_indptr[liked[at] + 1]):
                target = similar_indices[near]
                if not reached[target]:
                    reached[target] = True
                    touched[n_touched] = target
                    n_touched += 1
                sums[target] += similar[near]
        held[:] = 0
        line = scores[user]
        for at in range(hot.size):
            value = np.float64(line[at])
            if held[0] == depth and value <= values[0, depth - 1]:
                continue
            if not hidden[hot[at]]:
                held[0] = insert(value, hot[at], values[0], best[0], held[0])
        for at in range(n_touched):
            target = touched[at]
            if not hidden[hot[target]] and sums[target] > 0:
                held[1] = insert(sums[target], hot[target], values[1], best[1], held[1])
        for at in range(warmest.size):
            if held[2] == depth:
                break
            if not hidden[warmest[at]]:
                best[2, held[2]] = warmest[at]
                held[2] += 1
        for at in range(taste_indptr[row], taste_indptr[row + 1]):
            if tastes[at] >= n_creators:
                continue
            for mine in range(made_indptr[tastes[at]], made_indptr[tastes[at] + 1]):
                column = made[mine]
                if not hidden[column]:
                    value = likes[at] * freshness[column]
                    held[3] = insert(value, column, values[3], best[3], held[3])
        n_wanted = 0
        for at in range(given_start[user], given_start[user + 1]):
            if where[given[at]] < 0:
                where[given[at]] = 0
                wanted[n_wanted] = given[at]
                n_wanted += 1
        if propose:
            for source in range(4):
                for at in range(held[source]):
                    if where[best[source, at]] < 0:
                        where[best[source, at]] = 0
                        wanted[n_wanted] = best[source, at]
                        n_wanted += 1
        columns = np.sort(wanted[:n_wanted])
        for at in range(n_wanted):
            column = columns[at]
            where[column] = n + at
            out_row[n + at], out_column[n + at] = user, column
            into, spot = features[n + at], own[column]
            into[0] = np.float64(line[spot]) if spot >= 0 else nan
            into[1] = sums[spot] if spot >= 0 and sums[spot] != 0 else nan
            into[2] = 0.0
            if maker[column] >= 0:
                into[2] = taste[maker[column]] * freshness[column]
            into[7] = np.log1p(np.float64(n_likes))
            for k in range(n_static):
                into[8 + k] = static[column, k]
            for k in range(n_attributes):
                code = codes[column, k]
                into[8 + n_static + k] = nan if code < 0 else taste[code] / n_likes
        for source in range(4):
            for at in range(held[source]):
                spot = where[best[source, at]]
                if spot >= n:
                    out_ranks[spot, source] = at + 1
        for at in range(n_wanted):
            for source in range(4):
                features[n + at, 3 + source] = out_ranks[n + at, source]
            where[columns[at]] = -1
        n += n_wanted
        for at in range(n_touched):
            sums[touched[at]] = 0
            reached[touched[at]] = False
        for at in range(taste_indptr[row], taste_indptr[row + 1]):
            taste[tastes[at]] = 0
        for at in range(seen_start[who], seen_end[who]):
            if place[seen_items[at]] >= 0:
                hidden[place[seen_items[at]]] = False
    return out_row[:n], out_column[:n], out_ranks[:n], features[:n]


class Forest(NamedTuple):
    """Boosted trees as arrays, the nodes of all trees end to end.

    Indices are unsigned, because compiled code checks signed ones for being negative.
    """

    root: NDArray[np.uint64]
    """(n_trees,) node at which each tree begins."""
    depth: NDArray[np.int64]
    """(n_trees,) largest number of steps from the root to a leaf."""
    feature: NDArray[np.uint64]
    """(n_nodes,) column of X that a node asks for; 0 in a leaf."""
    threshold: NDArray[np.float64]
    """(n_nodes,): values above it go to the right."""
    missing_right: NDArray[np.uint64]
    """(n_nodes,) 1 if a missing value goes to the right, or else 0."""
    child: NDArray[np.uint64]
    """(2 n_nodes,) the nodes to the left and to the right of each; a leaf is its own child."""
    value: NDArray[np.float64]
    """(n_nodes,) what a leaf adds to the log odds."""
    baseline: float
    """Log odds before the first tree."""


def forest_of(classifier: Any, columns: NDArray[np.int64]) -> Forest:
    """The trees of a fitted `HistGradientBoostingClassifier` of two classes.

    Args:
        classifier: the classifier.
        columns: int64 (n,), column of X for each feature that the classifier takes.
    """
    trees = [trees[0].nodes for trees in classifier._predictors]
    root = np.cumsum([0, *(tree.size for tree in trees[:-1])]).astype(np.int64)
    nodes = np.concatenate(trees)
    first = np.repeat(root, [tree.size for tree in trees])
    leaf = nodes["is_leaf"] > 0
    sides = [np.where(leaf, np.arange(nodes.size), nodes[side] + first) for side in _SIDES]
    return Forest(
        root.astype(np.uint64),
        np.array([_depth_of(tree) for tree in trees], dtype=np.int64),
        columns[np.where(leaf, 0, nodes["feature_idx"])].astype(np.uint64),
        nodes["num_threshold"].astype(np.float64),
        1 - nodes["missing_go_to_left"].astype(np.uint64),
        np.stack(sides, axis=1).astype(np.uint64).ravel(),
        nodes["value"].astype(np.float64),
        float(classifier._baseline_prediction[0, 0]),
    )


_SIDES = ("left", "right")


def _depth_of(nodes: NDArray[Any]) -> int:
    """Steps to the deepest leaf of a tree, in which each node points to later nodes."""
    depth = np.zeros(nodes.size, dtype=np.int64)
    for number in np.flatnonzero(nodes["is_leaf"] == 0):
        for side in _SIDES:
            depth[nodes[side][number]] = depth[number] + 1
    return int(depth.max())


@njit(nogil=True, cache=True)
def forest_odds(forest, X):  # type: ignore[no-untyped-def]
    """Float64 (n,): log odds of each row of X, float64 (n, n_features), NaN where not known.

    A step has no branches, and neighbouring rows are walked one after the other, so that the
    processor works on several of them at a time.
    """
    root, depth, feature, threshold = forest.root, forest.depth, forest.feature, forest.threshold
    missing_right, child, value = forest.missing_right, forest.child, forest.value
    out, one = np.full(X.shape[0], forest.baseline), np.uint64(1)
    for start in range(0, X.shape[0], 128):
        end = min(start + 128, X.shape[0])
        for tree in range(root.size):
            first, steps = root[tree], depth[tree]
            for row in range(start, end):
                node, line = first, X[row]
                for _ in range(steps):
                    x = line[feature[node]]
                    right = np.uint64(x > threshold[node])
                    right |= np.uint64(x != x) & missing_right[node]
                    node = child[(node << one) | right]
                out[row] += value[node]
    return out
