"""A bound on some items' share of a feed, at every depth of it.

At each rank r a feed holds at most floor(share·r) of the items that are held back. What comes too
early waits until there is room, behind what comes after it. So any first k slots keep the bound,
however deep the ranking goes on. The idea of a bound at every depth: Zehlike et al. 2017, "FA*IR".
"""
# mypy: disallow-untyped-decorators=False

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.logs.log import Seen
from recsys.recommenders.base import Model, Users
from recsys.recommenders.ranking import Ranking

_EPSILON = 1e-9
"""0.29 · 100 is 28.999…, and 29 are meant."""


def allowed(share: float, k: int) -> int:
    """How many of k slots a share is.

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
    """A ranking with a bound on what is held back; freed slots go to the inner model's next best.

    Args:
        inner: what made the ranking.
        ranking: of `users`, (n, k).
        users, candidates, exclude_seen: as it was made.
        group: int (n,), the group of each reader.
        held_back: bool (n_groups, n_items), what is held back from whom.
        share: of the slots that it may take, at every depth.
    """
    ids, k = ranking.item_ids, ranking.item_ids.shape[1]
    has = (ids >= 0) & held_back[group[:, None], ids]
    late = np.flatnonzero((np.cumsum(has, axis=1) > _allowed_by_rank(share, k)).any(axis=1))
    if late.size == 0:
        return ranking
    ids, scores, sources = ids.copy(), ranking.scores.copy(), ranking.sources.copy()
    for one in np.unique(group[late]):
        rows = late[group[late] == one]
        free = ~held_back[one] if candidates is None else candidates & ~held_back[one]
        more = _more(inner, np.asarray(users)[rows], min(k, int(free.sum())), free, exclude_seen)
        _merge(
            rows,
            ranking.item_ids,
            ranking.scores,
            ranking.sources,
            more.item_ids,
            more.scores,
            more.sources,
            held_back[one],
            _allowed_by_rank(share, k),
            ids,
            scores,
            sources,
        )
    return Ranking(ids, scores, sources)


def _allowed_by_rank(share: float, k: int) -> NDArray[np.int64]:
    return np.array([allowed(share, rank) for rank in range(1, k + 1)], dtype=np.int64)


def _more(
    inner: Model, users: Users, k: int, free: NDArray[np.bool_], exclude_seen: bool | Seen
) -> Ranking:
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
    """Fills some rows of `ids`: held-back items that wait as soon as there is room, then `first`
    in its order, then `more`."""
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
