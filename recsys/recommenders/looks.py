"""What platform_ranker counts in a log: who was shown and clicked what, by kind and by creator."""

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.logs.log import InteractionLog
from recsys.logs.pairs import distinct_pairs
from recsys.recommenders.attributes import Attribute, categories
from recsys.statistics.click_rates import early_rates

Floats = NDArray[np.float64]


def attribute(log: InteractionLog, name: str | None) -> Attribute:
    """A column of the items as categories; one for all where the log, or the name, has none."""
    names = [name] if name is not None and name in log.items else []
    found = categories(log.items, log.interactions.items, names)
    if found and found[0].size:
        return found[0]
    return Attribute(name or "", np.full(log.n_items, -1, dtype=np.int32), 1)


def makers_of(log: InteractionLog, prior: float | None) -> NDArray[np.int32]:
    """Int32 (n_items,): number of each item's creator; -1 for all where creators do not count."""
    name = "creator_id"
    if prior is None or name not in log.items:
        return np.full(log.n_items, -1, dtype=np.int32)
    return attribute(log, name).codes


def counts_of(
    user: NDArray[np.int64],
    kind: NDArray[np.int32],
    liked: NDArray[np.bool_],
    n_users: int,
    n_kinds: int,
) -> tuple[Floats, Floats]:
    """Clicks and looks of each user at each kind, float64 (n_users, n_kinds).

    Where every pair is a like, a user was shown as many posts, of the kinds that all like.
    """
    place = user * n_kinds + kind

    def counted(places: NDArray[np.int64]) -> Floats:
        return np.bincount(places, minlength=n_users * n_kinds).reshape(n_users, -1).astype(float)

    clicks, looks = counted(place[liked]), counted(place)
    if liked.all():
        looks = clicks.sum(axis=1)[:, None] * (clicks.sum(axis=0) / max(clicks.sum(), 1))
    return clicks, looks


def follows_of(
    user: NDArray[np.intp],
    maker: NDArray[np.int32],
    liked: NDArray[np.bool_],
    n_users: int,
    own: Floats,
    prior: float,
) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
    """The creators that each user has clicked: `follow_start`, `follows` and `liked_by`.

    Args:
        user, maker, liked: the pairs of users and items: the user, the item's creator, whether
            liked.
        n_users: number of users.
        own: float64 (n_users,), clicks per look of each user.
        prior: expected clicks that 1 counts for.
    """
    n = int(maker.max(initial=-1)) + 1
    pair = (user * n + maker)[maker >= 0]
    pairs, place = np.unique(pair, return_inverse=True)
    clicks = np.bincount(place, liked[maker >= 0], pairs.size).astype(np.float64)
    looks = np.bincount(place, minlength=pairs.size).astype(np.float64)
    who, creator = np.divmod(pairs, max(n, 1))
    if liked.all():
        share = np.bincount(creator, clicks, max(n, 1)) / max(clicks.sum(), 1)
        looks = np.bincount(who, clicks, n_users)[who] * share[creator]
    kept = clicks > 0
    start = np.concatenate([[0], np.cumsum(np.bincount(who[kept], minlength=n_users))])
    more = early_rates(clicks[kept], looks[kept], own[who[kept]], prior)
    return start.astype(np.int64), creator[kept].astype(np.int32), more


def pairs_of(log: InteractionLog) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """The pairs of users and items that met since the first like: user, item, whether liked.

    Users without a like are left out, as in all fits.

    Raises:
        LogError: the log holds no positive event.
    """
    positive = log.dense["weight"] > 0
    if not positive.any():
        raise LogError(
            "the training log holds no positive event: platform_ranker has nothing to learn"
        )
    user, item = (log.dense[name].to_numpy() for name in ("user", "item"))
    liked = positive.to_numpy()
    learns = np.zeros(log.n_users, dtype=np.bool_)
    learns[user[liked]] = True
    counted = learns[user]
    if log.has_times:
        time = log.milliseconds
        counted &= time >= time[liked].min()
    found = distinct_pairs(user[counted], item[counted], liked[counted], log.n_users, log.n_items)
    users = np.repeat(np.arange(log.n_users), np.diff(found.start))
    return users, found.item.astype(np.int64), found.flag
