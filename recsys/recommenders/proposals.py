"""Compiled loops of the ranker: the posts that sources propose to a user, and their features."""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.recommenders.forest import forest_odds
from recsys.recommenders.kernels import insert

MOST_CANDIDATES = 999
"""Largest number of posts that a source may propose."""
_NOT_PROPOSED = MOST_CANDIDATES + 1.0
"""Rank in a source of a post that it does not propose."""


class Pool(NamedTuple):
    """The items that the sources propose from, by column, and what is known of each."""

    hot: NDArray[np.int64]
    """(n_hot,) column of each item that als and item_knn score, ascending."""
    own: NDArray[np.int64]
    """(n_columns,) place of a column in `hot`; -1 if it is not there."""
    column_of_liked: NDArray[np.int64]
    """(n_liked,) column of each item of the training matrix; -1 if it is none of these items."""
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


class Blend(NamedTuple):
    """How log odds and the rank in a source make a score."""

    source: int
    """Position of the source."""
    trust: float
    """Share of the log odds, 0 to 1."""


class Room(NamedTuple):
    """What is known of one user while the user's posts are proposed; arrays are used again."""

    taste: NDArray[np.float64]
    """(n_tastes,) likes of each category; 0 between users."""
    sums: NDArray[np.float64]
    """(n_hot,) scores by item_knn; 0 between users."""
    reached: NDArray[np.bool_]
    """(n_hot,) whether a score was added to; False between users."""
    touched: NDArray[np.int64]
    """(n_hot,) places of the scores that were added to."""
    hidden: NDArray[np.bool_]
    """(n_columns,) items that are not proposed; False between users."""
    where: NDArray[np.int64]
    """(n_columns,) place of an item among those that are described; -1 between users."""
    best: NDArray[np.int64]
    """(4, depth) columns that each source proposes, the best first."""
    values: NDArray[np.float64]
    """(4, depth) scores that they are proposed for."""
    held: NDArray[np.int64]
    """(4,) numbers of them."""
    wanted: NDArray[np.int64]
    """(n_columns,) columns that are described."""
    features: NDArray[np.float64]
    """(n_features, n_columns) features of these, in the order of `Evidence.feature_names`."""


def room_for(pool: Pool, depth: int) -> Room:
    """Room for the work on one user after another.

    Args:
        pool: the items.
        depth: number of items that each source proposes.
    """
    n_hot, n_columns = pool.hot.size, pool.own.size
    return Room(
        np.zeros(pool.n_tastes),
        np.zeros(n_hot),
        np.zeros(n_hot, dtype=np.bool_),
        np.empty(n_hot, dtype=np.int64),
        np.zeros(n_columns, dtype=np.bool_),
        np.full(n_columns, -1, dtype=np.int64),
        np.empty((4, depth), dtype=np.int64),
        np.empty((4, depth)),
        np.zeros(4, dtype=np.int64),
        np.empty(n_columns, dtype=np.int64),
        np.empty((8 + pool.static.shape[1] + pool.codes.shape[1], n_columns)),
    )


@njit(nogil=True, cache=True)
def pairs_of_block(  # type: ignore[no-untyped-def]
    rows, users, scores, seen, place, pool, people, room, given_start, given, propose
):
    """Pairs of a block of users and items with their features.

    Args:
        rows: int64 (n,), row of each user in the training matrix.
        users: int64 (n,), dense ids.
        scores: float32 (n, n_hot), scores by als.
        seen: a `Seen`, whose items are not proposed.
        place: int64 (n_items,), column of each item; -1 without.
        pool, people, room: see `Pool`, `People` and `Room`.
        given_start, given: CSR of columns that are wanted for each user besides what is proposed.
        propose: whether the proposed items are wanted.

    Returns:
        row, column and features of each pair, sorted by row and column.
    """
    most = given.size + 4 * room.best.shape[1] * rows.size * propose
    out_row = np.empty(most, dtype=np.int64)
    out_column = np.empty(most, dtype=np.int64)
    features = np.empty((most, room.features.shape[0]))
    n = 0
    for user in range(rows.size):
        n_touched = _propose(rows[user], users[user], scores[user], seen, place, pool, people, room)
        wanted = 0
        for at in range(given_start[user], given_start[user + 1]):
            wanted = _want(given[at], room, wanted)
        if propose:
            for source in range(4):
                for at in range(room.held[source]):
                    wanted = _want(room.best[source, at], room, wanted)
        columns = np.sort(room.wanted[:wanted])
        _describe(columns, rows[user], scores[user], pool, people, room)
        for at in range(wanted):
            out_row[n + at], out_column[n + at] = user, columns[at]
            for feature in range(room.features.shape[0]):
                features[n + at, feature] = room.features[feature, at]
        n += wanted
        _forget(rows[user], users[user], seen, place, people, room, n_touched, columns)
    return out_row[:n], out_column[:n], features[:n]


@njit(nogil=True, cache=True)
def write_best_of_block(  # type: ignore[no-untyped-def]
    rows, users, scores, seen, barred, place, pool, people, room, forest, blend, items, to, ids, out
):
    """Writes the best of what is proposed to a block of users, and of what they have liked.

    Args:
        rows, users, scores, seen, place, pool, people, room: see `pairs_of_block`.
        barred: a `Seen`, whose items are not written.
        forest: a `Forest`; without trees, ranks are fused.
        blend: a `Blend` of the trees.
        items: int32 (n_columns,), item of each column.
        to: int64 (n,), row of `ids` and `out` to write to, of the first n users.
        ids: int32 (n_users, k), written; slots without an item are left as they are.
        out: float32 (n_users, k), written: scores.
    """
    k = ids.shape[1]
    best, columns_of_best = np.empty(k), np.empty(k, dtype=np.int64)
    odds = np.empty(room.features.shape[1])
    shut = np.zeros(place.size, dtype=np.bool_)
    for user in range(to.size):
        row, who = rows[user], users[user]
        n_touched = _propose(row, who, scores[user], seen, place, pool, people, room)
        for at in range(barred.start[who], barred.end[who]):
            shut[barred.items[at]] = True
        wanted = 0
        for at in range(people.indptr[row], people.indptr[row + 1]):
            column = pool.column_of_liked[people.liked[at]]
            if column >= 0 and not shut[items[column]]:
                wanted = _want(column, room, wanted)
        for source in range(4):
            for at in range(room.held[source]):
                if not shut[items[room.best[source, at]]]:
                    wanted = _want(room.best[source, at], room, wanted)
        columns = room.wanted[:wanted]
        _describe(columns, row, scores[user], pool, people, room)
        if forest.start.size > 1:
            forest_odds(forest, room.features, wanted, odds)
            blended(blend, room.features, wanted, odds)
        else:
            for at in range(wanted):
                odds[at] = fused(room.features[3:7, at])
        held = 0
        for at in range(wanted):
            held = insert(odds[at], columns[at], best, columns_of_best, held)
        for at in range(held):
            ids[to[user], at] = items[columns_of_best[at]]
            out[to[user], at] = best[at]
        for at in range(barred.start[who], barred.end[who]):
            shut[barred.items[at]] = False
        _forget(row, who, seen, place, people, room, n_touched, columns)


@njit(nogil=True, cache=True)
def blended(blend, features, n, odds):  # type: ignore[no-untyped-def]
    """Turns log odds into scores: their share λ less (1 - λ) · log(rank in the source).

    A post that the source did not propose has the rank 1,000 there.

    Args:
        blend: a `Blend`.
        features: float64 (n_features, at least n).
        n: number of posts.
        odds: float64 (at least n,), changed.
    """
    if blend.trust < 1:
        for at in range(n):
            rank = features[3 + blend.source, at]
            behind = np.log(rank if rank == rank else _NOT_PROPOSED)
            odds[at] = blend.trust * odds[at] - (1 - blend.trust) * behind


@njit(nogil=True, cache=True)
def ndcg_of_groups(scores, clicked, start, k):  # type: ignore[no-untyped-def]
    """NDCG@k of groups of posts that are ordered by score, those with equal ones as they stand.

    Args:
        scores: float64 (n,); -inf for a post that is not ranked.
        clicked: bool (n,).
        start: int64 (n_groups + 1,), where the posts of each group begin.
        k: number of ranks that count.

    Returns:
        Float64 (n_groups,); NaN for a group without a click.

    >>> ndcg_of_groups(np.array([2.0, 1, 1]), np.array([False, True, False]),
    ...     np.array([0, 2, 3]), 2).round(3).tolist()
    [0.631, nan]
    """
    quality = np.empty(start.size - 1)
    for group in range(start.size - 1):
        clicks, gained, possible = 0, 0.0, 0.0
        for post in range(start[group], start[group + 1]):
            if not clicked[post]:
                continue
            if clicks < k:
                possible += 1 / np.log2(clicks + 2.0)
            clicks += 1
            rank = 0
            for other in range(start[group], start[group + 1]):
                above = scores[other] > scores[post]
                rank += above or (scores[other] == scores[post] and other < post)
            if rank < k and scores[post] > -np.inf:
                gained += 1 / np.log2(rank + 2.0)
        quality[group] = gained / possible if clicks else np.nan
    return quality


@njit(nogil=True, cache=True)
def fused(ranks):  # type: ignore[no-untyped-def]
    """Σ 1 / (60 + rank) over the ranks that are not NaN."""
    total = 0.0
    for rank in ranks:
        if rank == rank:
            total += 1 / (60 + rank)
    return total


@njit(nogil=True, cache=True)
def _propose(row, who, line, seen, place, pool, people, room):  # type: ignore[no-untyped-def]
    """Fills the lists of the sources for a user; see `pairs_of_block` and `Room`.

    Returns:
        Number of scores by item_knn that were added to.
    """
    hot, sums, hidden, held = pool.hot, room.sums, room.hidden, room.held
    values, best, depth = room.values, room.best, room.best.shape[1]
    for at in range(seen.start[who], seen.end[who]):
        if place[seen.items[at]] >= 0:
            hidden[place[seen.items[at]]] = True
    for at in range(people.taste_indptr[row], people.taste_indptr[row + 1]):
        room.taste[people.tastes[at]] = people.likes[at]
    n_touched = 0
    for at in range(people.indptr[row], people.indptr[row + 1]):
        liked = people.liked[at]
        for near in range(pool.similar_indptr[liked], pool.similar_indptr[liked + 1]):
            target = pool.similar_indices[near]
            if not room.reached[target]:
                room.reached[target] = True
                room.touched[n_touched] = target
                n_touched += 1
            sums[target] += pool.similar[near]
    held[:] = 0
    if depth == 0:
        return n_touched
    for at in range(hot.size):
        value = np.float64(line[at])
        if held[0] == depth and value <= values[0, depth - 1]:
            continue
        if not hidden[hot[at]]:
            held[0] = insert(value, hot[at], values[0], best[0], held[0])
    for at in range(n_touched):
        target = room.touched[at]
        if not hidden[hot[target]] and sums[target] > 0:
            held[1] = insert(sums[target], hot[target], values[1], best[1], held[1])
    for at in range(pool.warmest.size):
        if held[2] == depth:
            break
        if not hidden[pool.warmest[at]]:
            best[2, held[2]] = pool.warmest[at]
            held[2] += 1
    n_creators = pool.made_indptr.size - 1
    for at in range(people.taste_indptr[row], people.taste_indptr[row + 1]):
        creator = people.tastes[at]
        if creator >= n_creators:
            continue
        for mine in range(pool.made_indptr[creator], pool.made_indptr[creator + 1]):
            column = pool.made[mine]
            if not hidden[column]:
                value = people.likes[at] * pool.freshness[column]
                held[3] = insert(value, column, values[3], best[3], held[3])
    return n_touched


@njit(nogil=True, cache=True)
def _want(column, room, wanted):  # type: ignore[no-untyped-def]
    """Adds a column to those that are wanted, if it is not there; returns their number."""
    if room.where[column] >= 0:
        return wanted
    room.where[column] = 0
    room.wanted[wanted] = column
    return wanted + 1


@njit(nogil=True, cache=True)
def _describe(columns, row, line, pool, people, room):  # type: ignore[no-untyped-def]
    """Writes the features of some columns for a user whose lists are filled."""
    features, maker, codes, static = room.features, pool.maker, pool.codes, pool.static
    n_likes = people.indptr[row + 1] - people.indptr[row]
    activity, nan = np.log1p(np.float64(n_likes)), np.nan
    n_static = static.shape[1]
    for at in range(columns.size):
        column = columns[at]
        room.where[column] = at
        spot = pool.own[column]
        features[0, at] = np.float64(line[spot]) if spot >= 0 else nan
        features[1, at] = room.sums[spot] if spot >= 0 and room.sums[spot] != 0 else nan
        features[2, at] = 0.0
        if maker[column] >= 0:
            features[2, at] = room.taste[maker[column]] * pool.freshness[column]
        for source in range(4):
            features[3 + source, at] = nan
        features[7, at] = activity
        for k in range(n_static):
            features[8 + k, at] = static[column, k]
        for k in range(codes.shape[1]):
            code = codes[column, k]
            features[8 + n_static + k, at] = nan if code < 0 else room.taste[code] / n_likes
    for source in range(4):
        for at in range(room.held[source]):
            if room.where[room.best[source, at]] >= 0:
                features[3 + source, room.where[room.best[source, at]]] = at + 1


@njit(nogil=True, cache=True)
def _forget(row, who, seen, place, people, room, n_touched, columns):  # type: ignore[no-untyped-def]
    """Leaves the room as it was before the user."""
    for at in range(columns.size):
        room.where[columns[at]] = -1
    for at in range(n_touched):
        room.sums[room.touched[at]] = 0
        room.reached[room.touched[at]] = False
    for at in range(people.taste_indptr[row], people.taste_indptr[row + 1]):
        room.taste[people.tastes[at]] = 0
    for at in range(seen.start[who], seen.end[who]):
        if place[seen.items[at]] >= 0:
            room.hidden[place[seen.items[at]]] = False
