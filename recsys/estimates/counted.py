"""Counting: what newcomers' posts take and change among the posts that were shown.

A log that keeps what was shown tells how much of it is by newcomers, without any model. Without
them their slots would hold something else. If that had the mix of the other posts, a share s of all
that was shown has changed by s - s_others. What newcomers did to the other posts is not in it.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.estimates.told import Told
from recsys.statistics.arrays import Floats


def displaced(user: NDArray[np.int64], by_newcomers: NDArray[np.bool_]) -> Told:
    """Newcomers' share of what was shown; NaN if nothing was.

    Args:
        user: int (n_shown,), to whom a post was shown, from 0.
        by_newcomers: bool (n_shown,), whether the post is by a newcomer.

    >>> displaced(np.array([0, 0, 1, 1]), np.array([True, False, False, False])).value
    0.25
    """
    value, influence = _ratio(user, by_newcomers.astype(np.float64), np.ones(user.size))
    return _told(user, value, influence)


def change(
    user: NDArray[np.int64],
    by_newcomers: NDArray[np.bool_],
    of: NDArray[np.bool_] | Floats,
    per: Floats | None = None,
) -> Told:
    """Change of a share or of a rate, as if other posts stood in the slots of newcomers' posts.

    Args:
        user, by_newcomers: as in `displaced`.
        of: (n_shown,), what is averaged over all that was shown, such as whether the post is in
            English, or whether it was clicked.
        per: (n_shown,) float, what `of` is counted per, such as the probability that the user
            looked at the slot, for clicks per look; None to count per post that was shown.

    Returns:
        The rate of all that was shown less the rate of posts of others; NaN if there are none.

    >>> english = np.array([True, False, True, False])
    >>> change(np.array([0, 0, 1, 1]), np.array([True, False, False, False]), english).value
    0.16666666666666669
    """
    values = np.asarray(of, dtype=np.float64)
    each, theirs = np.ones(user.size) if per is None else per, ~by_newcomers
    everything, over_all = _ratio(user, values, each)
    others, over_others = _ratio(user, values * theirs, each * theirs)
    return _told(user, everything - others, over_all - over_others)


def _ratio(user: NDArray[np.int64], values: Floats, per: Floats) -> tuple[float, Floats]:
    """The sum of values over that of `per`, and each user's influence on it (n_users,)."""
    total = per.sum()
    rate = float(values.sum() / total) if total > 0 else float("nan")
    return rate, np.bincount(user, values - rate * per) / (total if total > 0 else 1.0)


def _told(user: NDArray[np.int64], value: float, influence: Floats) -> Told:
    """The value, and its error over the users to whom anything was shown."""
    shown_to = np.unique(user).size
    if np.isnan(value) or shown_to < 2:
        return Told(value)
    se = float(np.sqrt((influence**2).sum() * shown_to / (shown_to - 1)))
    return Told(value, se, shown_to - 1)


def counted(
    shown: pl.DataFrame, of: Sequence[str] = (), by: Sequence[str] = ("day",)
) -> pl.DataFrame:
    """Counts of what was shown, for each day, user, source or group.

    Args:
        shown: a row for each post that was shown, with user_id · by_newcomer (bool) and the columns
            that `of` and `by` name.
        of: columns that are averaged, numbers or booleans, such as ("english", "clicked").
        by: columns by which rows are grouped, such as ("day", "source").

    Returns:
        The columns of `by` · shown (rows) · displaced (newcomers' share) · displaced_se, and for
        each name in `of` NAME (mean over what was shown) · NAME_change · NAME_change_se.

    >>> shown = pl.DataFrame({"user_id": ["ann", "bob"], "day": [7, 7],
    ...     "by_newcomer": [True, False], "english": [True, False]})
    >>> counted(shown, of=("english",)).select("displaced", "english_change").row(0)
    (0.5, 0.5)
    """
    rows = []
    for key, part in shown.group_by(*by, maintain_order=True):
        user = part["user_id"].rank("dense").to_numpy().astype(np.int64) - 1
        new = part["by_newcomer"].to_numpy()
        share = displaced(user, new)
        row = dict(zip(by, key, strict=True)) | {"shown": part.height}
        row |= {"displaced": share.value, "displaced_se": share.se}
        for name in of:
            values = part[name].cast(pl.Float64).to_numpy()
            told = change(user, new, values)
            row |= {name: values.mean(), f"{name}_change": told.value, f"{name}_change_se": told.se}
        rows.append(row)
    return pl.DataFrame(rows)
