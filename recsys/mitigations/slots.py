"""A bound on the share of some items in a ranking, at every depth of the ranking.

The first r slots of a ranking hold at most floor(share·r) of the items that are held back, for
every r. An item that comes too early waits until there is room, and later items move up. A bound at
every depth is the idea of Zehlike et al. 2017, "FA*IR".
"""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.logs.log import Seen
from recsys.recommenders.base import Model, Users
from recsys.recommenders.ranking import Ranking

_EPSILON = 1e-9
"""Added before rounding down, since 0.29 · 100 is 28.999… in floating point and 29 is meant."""


def allowed(share: float, k: int) -> int:
    """floor(share·k): the number of slots among k that a share allows.

    Args:
        share: 0 to 1, such as 0.29.
        k: number of slots, such as 100.

    >>> allowed(0.29, 100), allowed(0.05, 19)
    (29, 0)
    """
    return int(np.floor(share * k + _EPSILON))


def limited(
    inner: Model,
    ranking: Ranking,
    users: Users,
    candidates: NDArray[np.bool_] | None,
    exclude_seen: bool | Seen,
    group: NDArray[np.int64],
    held_back: NDArray[np.bool_],
    share: float,
) -> Ranking:
    """A ranking with a bound on the items held back; the next best items take the freed slots.

    Args:
        inner: the model that made the ranking.
        ranking: the ranking of `users`, (n, k).
        users: int (n,), as passed to `inner.rank`.
        candidates: as passed to `inner.rank`.
        exclude_seen: as passed to `inner.rank`.
        group: int (n,), group of each user.
        held_back: bool (n_groups, n_items), the items held back for each group.
        share: largest share of slots for items held back, such as 0.05.
    """
    ids, k = ranking.item_ids, ranking.item_ids.shape[1]
    is_held_back = (ids >= 0) & held_back[group[:, None], ids]
    too_many = np.cumsum(is_held_back, axis=1) > _allowed_by_rank(share, k)
    rows_to_change = np.flatnonzero(too_many.any(axis=1))
    if rows_to_change.size == 0:
        return ranking
    ids, scores, sources = ids.copy(), ranking.scores.copy(), ranking.sources.copy()
    for one_group in np.unique(group[rows_to_change]):
        rows = rows_to_change[group[rows_to_change] == one_group]
        free = ~held_back[one_group]
        if candidates is not None:
            free &= candidates
        more = _more(inner, np.asarray(users)[rows], min(k, int(free.sum())), free, exclude_seen)
        _merge(
            rows,
            ranking.item_ids,
            ranking.scores,
            ranking.sources,
            more.item_ids,
            more.scores,
            more.sources,
            held_back[one_group],
            _allowed_by_rank(share, k),
            ids,
            scores,
            sources,
        )
    return Ranking(ids, scores, sources)


def _allowed_by_rank(share: float, k: int) -> NDArray[np.int64]:
    """Int64 (k,): number of items held back that the first r slots may hold, r from 1 to k."""
    return np.array([allowed(share, rank) for rank in range(1, k + 1)], dtype=np.int64)


def _more(
    inner: Model, users: Users, k: int, free: NDArray[np.bool_], exclude_seen: bool | Seen
) -> Ranking:
    """The k best items of each user among the free ones; one empty slot if k is 0."""
    if k > 0:
        return inner.rank(users, k, free, exclude_seen)
    none = np.full((users.size, 1), -1, dtype=np.int32)
    return Ranking(none, np.full(none.shape, np.nan, np.float32), np.zeros(none.shape, np.uint8))


@njit(nogil=True, cache=True)
def _merge(  # type: ignore[no-untyped-def]
    rows,
    first,
    first_scores,
    first_sources,
    more,
    more_scores,
    more_sources,
    held_back,
    most,
    ids,
    scores,
    sources,
):
    """Fills some rows of `ids`, slot by slot.

    A slot gets the item that has waited longest, if the bound `most` has room for it; else the next
    item of `first` that is not held back; else the next item of `more`. Items of `first` that are
    held back start to wait when their turn comes.
    """
    k = ids.shape[1]
    waiting = np.empty(k, dtype=np.int64)
    for index in range(rows.size):
        row = rows[index]
        given, begun, queued, place, following = 0, 0, 0, 0, 0
        ids[row] = -1
        scores[row] = np.nan
        slot = 0
        while slot < k:
            if begun < queued and given < most[slot]:
                source = waiting[begun]
                begun += 1
                given += 1
                ids[row, slot] = first[row, source]
                scores[row, slot] = first_scores[row, source]
                sources[row, slot] = first_sources[row, source]
                slot += 1
            elif place < k and first[row, place] >= 0:
                if held_back[first[row, place]]:
                    waiting[queued] = place
                    queued += 1
                else:
                    ids[row, slot] = first[row, place]
                    scores[row, slot] = first_scores[row, place]
                    sources[row, slot] = first_sources[row, place]
                    slot += 1
                place += 1
            elif following < more.shape[1] and more[index, following] >= 0:
                item = more[index, following]
                if not (ids[row, :slot] == item).any():
                    ids[row, slot] = item
                    scores[row, slot] = more_scores[index, following]
                    sources[row, slot] = more_sources[index, following]
                    slot += 1
                following += 1
            else:
                break
