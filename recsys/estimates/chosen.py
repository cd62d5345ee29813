"""A choice model on consideration sets: which post would stand in a slot without newcomers' posts?

Where a platform keeps the candidates of each look, each slot is a choice: of the post in it and of
the candidates that were not shown, given all that was shown in other slots. A post is chosen in
proportion to exp(score), and its score is linear in features of reader and post. Without newcomers'
posts, the probabilities of the others are scaled to a sum of 1; a response model says what would
have been clicked. What newcomers did to others' scores and to the sets themselves is not in it.

A plug-in of two fitted models carries the errors of both. As in the source, the fits are made to
other users (cross-fitting), and a correction takes the errors out to first order. For this question
it is short. With H what the models expect of a slot without newcomers' posts, p the probability of
a newcomer's post in it, and y what stands there, the change is the mean over slots of

    y - H, where a newcomer's post stands;  -(y - H)·p / (1 - p), where another's stands.

Source: Zhan, Han, Hu & Jiang (2024), "Estimating treatment effects under recommender interference:
a structured neural networks approach", arXiv 2406.14380. There, scores are neural networks and each
look is one choice; here they are linear, and a look has many slots.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.estimates.told import Told
from recsys.statistics.arrays import Floats

FOLDS = 5
"""Parts of the users; the models that serve one part are fitted to the others."""
_MOST_ODDS = 20.0
"""Largest odds of a newcomer's post by which another's slot is weighted."""
_RIDGE = 1e-3
"""Keeps coefficients finite where features tell for sure what is chosen or clicked."""
_LARGEST = 30.0
"""Largest score that is told apart."""


class Sets(NamedTuple):
    """Candidate sets as they were logged: a value for each candidate of each set."""

    user: NDArray[np.int64]
    """(n,) whose set it is, from 0."""
    number: NDArray[np.int64]
    """(n,) number of the set, from 0: a look, or one source's slots of a look."""
    rank: NDArray[np.int64]
    """(n,) slot, 1 = top; 0 for candidates that were not shown."""
    by_newcomers: NDArray[np.bool_]
    """(n,) whether the post is by a newcomer."""
    features: Floats
    """(n, d) what scores are made of, such as how much the reader likes the post's topic."""


class Refilled(NamedTuple):
    """What a choice model tells of one value.

    Attributes:
        told: change of the mean over slots, corrected; its error is over users.
        plug_in: the same by the fitted models alone, without the correction.
        mean: the mean over slots, as they were.
        slots: number of slots that it rests on.
    """

    told: Told
    plug_in: float
    mean: float
    slots: int


_UNKNOWN = Refilled(Told(float("nan")), float("nan"), float("nan"), 0)


def refilled(sets: Sets, of: Sequence[Floats], folds: int = FOLDS) -> list[Refilled]:
    """What newcomers' posts change, as if the candidates of others filled their slots.

    Args:
        sets: the candidate sets.
        of: values (n,) whose means over slots are asked for. A value that is known for all
            candidates, such as whether a post is in English, is taken as it is. One that is NaN for
            candidates that were not shown is a response, 0 or 1, such as a click: a model says what
            it would have been. Slots whose value is NaN do not count.
        folds: number of parts of the users.

    Returns:
        The mean over slots less what it would be without newcomers' posts, for each value. Slots
        count only in sets that hold a candidate that is by nobody new and was not shown. NaN where
        fewer users than `folds` have such a set.

    >>> rng = np.random.default_rng(0)
    >>> new = rng.random(4000) < 0.3
    >>> look = np.repeat(np.arange(400), 10)
    >>> shown = np.tile(np.arange(10) < 2, 400)
    >>> sets = Sets(look, look, np.where(shown, 1, 0), new, rng.normal(size=(4000, 1)))
    >>> displaced, = refilled(sets, [new.astype(float)])
    >>> bool(displaced.told.value == new[shown].mean())
    True
    """
    shown = sets.rank > 0
    spare = np.bincount(sets.number[~shown & ~sets.by_newcomers], minlength=_size(sets.number))
    kept = spare[sets.number] > 0
    users = np.unique(sets.user[kept])
    if users.size < folds:
        return [_UNKNOWN for _ in of]
    rows = np.flatnonzero(kept)
    part = _rows_of(sets, rows)
    x = _scaled(np.column_stack([part.features, part.by_newcomers]))
    fold = np.searchsorted(users, part.user) % folds
    score = np.empty(rows.size)
    for number in range(folds):
        score[fold == number] = _scores(x, _fitted_choices(part, x, fold != number), fold == number)
    slots = _slots(part, score)
    return [_refilled(part, slots, values[rows], x, fold, folds) for values in of]


def chosen(
    candidates: pl.DataFrame, features: Sequence[str], of: Sequence[str] = (), folds: int = FOLDS
) -> pl.DataFrame:
    """What newcomers' posts change in looks whose candidates were kept.

    Args:
        candidates: a row for each candidate of each look, with user_id · look (any id of the user's
            look, such as its time) · rank (1 = top; null where it was not shown) · by_newcomer
            (bool), and the columns that `features` and `of` name. If there is a column source, the
            slots of a look that a source fills are filled again from its candidates.
        features: columns of numbers or booleans of which scores are made.
        of: columns that are averaged over slots: known for all candidates, such as "english", or
            null where nobody can have answered, such as "clicked".
        folds: number of parts of the users, as in `refilled`.

    Returns:
        A row for `displaced`, newcomers' share of slots, and for each of `of`: what · slots (that
        count) · mean · change (mean less what it would be without newcomers' posts) · change_se ·
        plug_in (the change by the fitted models alone).

    Raises:
        LogError: a feature is missing or null, or a look has two posts at one rank.

    >>> kept = pl.DataFrame({"user_id": np.repeat(np.arange(9), 3), "look": 1, "rank": [1, None,
    ...     None] * 9, "by_newcomer": [True, False, False] * 9, "english": [True, False, True] * 9})
    >>> chosen(kept, ["english"], of=["english"]).select("what", "mean").rows()
    [('displaced', 1.0), ('english', 1.0)]
    """
    needed = ["user_id", "look", "rank", "by_newcomer", *features, *of]
    missing = [name for name in needed if name not in candidates.columns]
    if missing:
        raise LogError(f"candidates: there is no column {missing[0]!r}")
    for name in ("user_id", "look", "by_newcomer", *features):
        if candidates[name].null_count():
            raise LogError(f"candidates: column {name!r} has {candidates[name].null_count()} nulls")
    slots = candidates.filter(pl.col("rank").is_not_null())
    if slots.select("user_id", "look", "rank").is_duplicated().any():
        raise LogError("candidates: a look has two posts at one rank; name each look apart")
    keys = ["user_id", "look", *(["source"] if "source" in candidates.columns else [])]
    sets = Sets(
        _numbered(candidates.select("user_id")),
        _numbered(candidates.select(keys)),
        candidates["rank"].fill_null(0).cast(pl.Int64).to_numpy(),
        candidates["by_newcomer"].to_numpy(),
        candidates.select(pl.col(features).cast(pl.Float64)).to_numpy(),
    )
    values = {"displaced": sets.by_newcomers.astype(np.float64)} | {
        name: candidates[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in of
    }
    rows = []
    for name, found in zip(values, refilled(sets, list(values.values()), folds), strict=True):
        row = {"what": name, "slots": found.slots, "mean": found.mean}
        row |= {"change": found.told.value, "change_se": found.told.se, "plug_in": found.plug_in}
        rows.append(row)
    return pl.DataFrame(rows)


def _numbered(keys: pl.DataFrame) -> NDArray[np.int64]:
    """Int64 (n,): a number from 0 for each distinct row."""
    return keys.select(pl.struct(pl.all()).rank("dense")).to_series().to_numpy().astype(int) - 1


class _Slots(NamedTuple):
    """The slots, and the probabilities of what may stand in each."""

    row: NDArray[np.int64]
    """(m,) the candidate that stands there."""
    own: Floats
    """(m,) exp(score) of what stands there."""
    others: Floats
    """(m,) the sum of exp(score) of others' candidates that were not shown."""
    new: Floats
    """(m,) the same of newcomers' candidates."""
    shares: tuple[Floats, Floats]
    """(n,) each candidate's share of `others`, and its share of `new`; 0 if it is not in the sum."""


def _rows_of(sets: Sets, rows: NDArray[np.int64]) -> Sets:
    user, number, rank, by_newcomers, features = sets
    return Sets(user[rows], number[rows], rank[rows], by_newcomers[rows], features[rows])


def _slots(sets: Sets, score: Floats) -> _Slots:
    weight, size = np.exp(score), _size(sets.number)
    unshown = sets.rank == 0

    def of(mask: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        mine = weight * mask
        total = np.bincount(sets.number, mine, minlength=size).astype(np.float64)
        return total, mine / np.where(total > 0, total, 1)[sets.number]

    others, share = of(unshown & ~sets.by_newcomers)
    new, new_share = of(unshown & sets.by_newcomers)
    row = np.flatnonzero(~unshown)
    at = sets.number[row]
    return _Slots(row, weight[row], others[at], new[at], (share, new_share))


def _refilled(
    sets: Sets, slots: _Slots, values: Floats, x: Floats, fold: NDArray[np.int64], folds: int
) -> Refilled:
    """Corrected and plug-in change of one value."""
    row, at = slots.row, sets.number[slots.row]
    y, new = values[row], sets.by_newcomers[row]
    if np.isnan(values[sets.rank == 0]).any():
        own, refill, of_new = _responses(sets, slots, values, x, fold, folds)
    else:
        own, refill, of_new = y, *(_means(sets, s, values)[at] for s in slots.shares)
    mine = np.where(new, 0, slots.own)
    theirs = np.where(new, slots.own, 0) + slots.new
    without: Floats = (mine * own + slots.others * refill) / (mine + slots.others)
    odds = np.minimum(theirs / (mine + slots.others), _MOST_ODDS)
    change = (y - without) * np.where(new, 1, -odds)
    known = ~np.isnan(change)
    if not known.any():
        return _UNKNOWN
    with_new = (theirs - slots.new) * own + slots.new * of_new
    model = (with_new - theirs * without) / (theirs + mine + slots.others)
    return Refilled(
        _over_users(change[known], sets.user[row[known]]),
        float(model[known].mean()),
        float(y[known].mean()),
        int(known.sum()),
    )


def _responses(
    sets: Sets, slots: _Slots, values: Floats, x: Floats, fold: NDArray[np.int64], folds: int
) -> tuple[Floats, Floats, Floats]:
    """What is expected of each slot's post, of others that may fill it, and of newcomers' posts."""
    depth = np.log(np.maximum(sets.rank, 1))
    own, refill, of_new = (np.full(slots.row.size, np.nan) for _ in range(3))
    known = (sets.rank > 0) & ~np.isnan(values)
    for number in range(folds):
        learned = np.flatnonzero(known & (fold != number))
        if learned.size == 0:
            continue
        beta = _fitted_responses(
            np.column_stack([x[learned], depth[learned]]), values[learned], x.shape[1] + 2
        )
        mine = fold == number
        base = x @ beta[1:-1] + beta[0]
        slot = np.flatnonzero(mine[slots.row])
        for rank in np.unique(sets.rank[slots.row[slot]]):
            here = slot[sets.rank[slots.row[slot]] == rank]
            expected = _sigmoid(base + beta[-1] * np.log(rank))
            own[here] = expected[slots.row[here]]
            for out, share in zip((refill, of_new), slots.shares, strict=True):
                out[here] = _means(sets, share, expected)[sets.number[slots.row[here]]]
    return own, refill, of_new


def _means(sets: Sets, share: Floats, values: Floats) -> Floats:
    """Float64 (n_sets,): the mean of a set's values, weighted by shares; 0 where there is none."""
    return np.asarray(np.bincount(sets.number, share * values, minlength=_size(sets.number)))


def _over_users(change: Floats, user: NDArray[np.int64]) -> Told:
    """The mean over slots, and its error over users."""
    value = float(change.mean())
    there, row = np.unique(user, return_inverse=True)
    if there.size < 2:
        return Told(value)
    influence = np.bincount(row, change - value) / change.size
    return Told(value, float(np.sqrt((influence**2).sum() * there.size / (there.size - 1))))


# The models


def _fitted_choices(sets: Sets, x: Floats, learned: NDArray[np.bool_]) -> Floats:
    """Coefficients of scores: each slot's post against the candidates that were not shown.

    It is a conditional logit. A slot's term is -log(e^s / (e^s + sum of e^s not shown)).
    """
    rows = np.flatnonzero(learned)
    x, number, unshown = x[rows], sets.number[rows], (sets.rank[rows] == 0)
    size, chosen = _size(sets.number), np.flatnonzero(~unshown)
    at = number[chosen]

    def loss(beta: Floats) -> tuple[float, Floats]:
        score = _scores(x, beta)
        weight = np.exp(score) * unshown
        total = np.bincount(number, weight, minlength=size)
        z = np.log(total[at]) - score[chosen]
        missed = _sigmoid(z)
        pull = np.bincount(at, missed, minlength=size) / np.maximum(total, 1e-300)
        gradient = x.T @ (weight * pull[number]) - x[chosen].T @ missed
        return float(np.logaddexp(0, z).sum()), gradient

    return _minimised(loss, x.shape[1], chosen.size)


def _fitted_responses(x: Floats, y: Floats, width: int) -> Floats:
    """Coefficients of a logistic regression, the intercept first."""
    x = np.column_stack([np.ones(len(x)), x])

    def loss(beta: Floats) -> tuple[float, Floats]:
        z = x @ beta
        return float((np.logaddexp(0, z) - y * z).sum()), x.T @ (_sigmoid(z) - y)

    return _minimised(loss, width, len(x))


def _minimised(loss: Callable[[Floats], tuple[float, Floats]], width: int, n: int) -> Floats:
    """The coefficients with the least loss, slightly shrunk."""
    from scipy.optimize import minimize

    def shrunk(beta: Floats) -> tuple[float, Floats]:
        value, gradient = loss(beta)
        return value / n + _RIDGE * float(beta @ beta) / 2, gradient / n + _RIDGE * beta

    return np.asarray(minimize(shrunk, np.zeros(width), jac=True, method="L-BFGS-B").x)


def _scores(x: Floats, beta: Floats, rows: NDArray[np.bool_] | slice = slice(None)) -> Floats:
    return np.asarray(np.clip(x[rows] @ beta, -_LARGEST, _LARGEST))


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -_LARGEST, _LARGEST))))


def _scaled(x: Floats) -> Floats:
    spread = x.std(axis=0)
    return np.asarray((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1))


def _size(number: NDArray[np.int64]) -> int:
    return int(number.max(initial=-1)) + 1
