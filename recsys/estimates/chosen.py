"""A choice model on consideration sets: which post would stand in a slot without newcomers' posts?

Where a platform keeps the candidates of each look, each slot is a choice among those that were not
shown above it. A post is chosen in proportion to exp(score), and its score is linear in features of
user and post. Without newcomers' posts the probabilities of all others are scaled to a sum of 1:
the slots that newcomers' posts leave go to candidates that were not shown. A response model says
how often these would have been clicked.

A plug-in of two fitted models carries the errors of both. As in the source, the models are fitted
to other users (cross-fitting), and a correction takes their errors out to first order. For this
question it is short. Let y be what stands in a slot, p the probability of a newcomer's post in it,
and H what is expected of the slot without newcomers' posts. The change is the mean over slots of

    y - H, where a newcomer's post stands;  -(y - H)·p / (1 - p), where another's stands.

In the first, H is over candidates that were not shown, which fill the slots that are left; in the
second it is over all candidates that were not shown above the slot.

What newcomers did to the scores of others, and to what there is to choose from, is not in it.

Source: Zhan, Han, Hu & Jiang (2024), "Estimating treatment effects under recommender interference:
a structured neural networks approach", arXiv 2406.14380. There, scores are neural networks and each
look is one choice; here they are linear, and a look has many slots.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.estimates.told import Told
from recsys.statistics.arrays import Floats

FOLDS = 5
"""Number of parts of the users; the models that serve one part are fitted to the others."""
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
    """(n, d) what scores are made of, such as how much the user likes the post's topic."""


class Refilled(NamedTuple):
    """What a choice model tells of one value.

    Attributes:
        told: change of the mean over slots, corrected; its error is over users.
        plug_in: the same without the correction.
        mean: the mean over slots, as they were.
        counted: bool (n,), the candidates that stood in the slots that it rests on.
    """

    told: Told
    plug_in: float
    mean: float
    counted: NDArray[np.bool_]

    @property
    def slots(self) -> int:
        """Number of slots that it rests on."""
        return int(self.counted.sum())


def refilled(sets: Sets, of: Sequence[Floats]) -> list[Refilled]:
    """What newcomers' posts change, as if the candidates of others filled their slots.

    Args:
        sets: the candidate sets.
        of: values (n,) whose means over slots are asked for. A value that is known for all
            candidates, such as whether a post is in English, is taken as it is. One that is NaN for
            candidates that were not shown is a response, 0 or 1, such as a click: a model says what
            it would have been. Slots whose value is NaN do not count.

    Returns:
        The mean over slots less what it would be without newcomers' posts, for each value. Slots
        count only in sets with a candidate that was not shown and is not by a newcomer. NaN where
        fewer than `FOLDS` users have a slot in such a set.

    Raises:
        ValueError: a response is neither 0 nor 1.

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
    users = np.unique(sets.user[kept & shown])
    if users.size < FOLDS:
        return [_unknown(sets.rank.size) for _ in of]
    rows = np.flatnonzero(kept & np.isin(sets.user, users))
    part = _rows_of(sets, rows)
    x = _scaled(np.column_stack([part.features, part.by_newcomers]))
    fold = np.searchsorted(users, part.user) % FOLDS
    score = np.empty(rows.size)
    for number in range(FOLDS):
        score[fold == number] = _scores(x, _fitted_choices(part, x, fold != number), fold == number)
    fitted = _Fitted(part, x, fold, np.exp(score), _refills(part, np.exp(score)))
    return [_refilled(fitted, values[rows], rows, sets.rank.size) for values in of]


def _unknown(n: int) -> Refilled:
    return Refilled(Told(float("nan")), float("nan"), float("nan"), np.zeros(n, dtype=np.bool_))


def chosen(
    candidates: pl.DataFrame, features: Sequence[str], of: Sequence[str] = ()
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

    Returns:
        A row for `displaced`, newcomers' share of slots, and for each of `of`: what · slots (that
        count) · mean · change (mean less what it would be without newcomers' posts) · change_se ·
        plug_in (the change without the correction).

    Raises:
        LogError: a column is missing, or holds what it must not: nulls, a rank that is not a whole
            number from 1 on, a feature that is no finite number, a response that is neither 0 nor
            1; or a look has two posts at one rank.

    >>> kept = pl.DataFrame({"user_id": np.repeat(np.arange(9), 3), "look": 1, "rank": [1, None,
    ...     None] * 9, "by_newcomer": [True, False, False] * 9, "english": [True, False, True] * 9})
    >>> chosen(kept, ["english"], of=["english"]).select("what", "mean").rows()
    [('displaced', 1.0), ('english', 1.0)]
    """
    mistake = next(_mistakes(candidates, features, of), None)
    if mistake is not None:
        raise LogError(f"candidates: {mistake}")
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
    for name, found in zip(values, refilled(sets, list(values.values())), strict=True):
        row = {"what": name, "slots": found.slots, "mean": found.mean}
        row |= {"change": found.told.value, "change_se": found.told.se, "plug_in": found.plug_in}
        rows.append(row)
    return pl.DataFrame(rows)


def _mistakes(
    candidates: pl.DataFrame, features: Sequence[str], of: Sequence[str]
) -> Iterator[str]:
    """What is wrong with a frame of candidates, in words."""
    for name in ("user_id", "look", "rank", "by_newcomer", *features, *of):
        if name not in candidates.columns:
            yield f"there is no column {name!r}"
    for name in ("user_id", "look", "by_newcomer", *features):
        if candidates[name].null_count():
            yield f"column {name!r} has {candidates[name].null_count()} nulls"
    if candidates["by_newcomer"].dtype != pl.Boolean:
        yield f"column 'by_newcomer' is true or false; got {candidates['by_newcomer'].dtype}"
    for name in (*features, *of):
        kind = candidates[name].dtype
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
            yield f"column {name!r} holds numbers, or true and false; got {kind}"
        if kind.is_float() and not candidates[name].drop_nulls().is_finite().all():
            yield f"column {name!r} holds a value that is no finite number"
    if "displaced" in of:
        yield "'displaced' is told anyway; leave it out of `of`"
    rank = candidates["rank"]
    if not (rank.dtype.is_integer() or rank.dtype == pl.Null):
        yield f"ranks are whole numbers, 1 on top; got {rank.dtype}"
    if (rank < 1).any():
        yield f"ranks begin at 1; got {rank.min()!r}. A candidate that was not shown has none: null"
    slots = candidates.filter(rank.is_not_null())
    if slots.select("user_id", "look", "rank").is_duplicated().any():
        yield "a look has two posts at one rank; name each look apart"
    for name in of:
        told = candidates[name]
        unknown = told.filter(rank.is_null()).null_count()
        if unknown and not told.drop_nulls().cast(pl.Float64).is_in([0.0, 1.0]).all():
            yield (
                f"column {name!r} is null for {unknown} candidates that were not shown, so it is a "
                "response: 0 or 1, such as clicked or not"
            )


def _numbered(keys: pl.DataFrame) -> NDArray[np.int64]:
    """Int64 (n,): a number from 0 for each distinct row."""
    return keys.select(pl.struct(pl.all()).rank("dense")).to_series().to_numpy().astype(int) - 1


class _Fitted(NamedTuple):
    """Candidate sets and what the models make of them."""

    sets: Sets
    x: Floats
    """(n, d) scaled features."""
    fold: NDArray[np.int64]
    """(n,) the part of the users."""
    weight: Floats
    """(n,) exp(score)."""
    refill: Floats
    """(n,) the probability with which each candidate fills a slot of its set that a newcomer's post
    leaves; 0 for newcomers' posts and for what was shown."""

    def of_others(self, rank: int, values: Floats) -> tuple[Floats, Floats]:
        """Of each set (n_sets,): what is expected of others' candidates for a slot, and the odds of
        newcomers' candidates; NaN where others have none.

        A slot's candidates were not shown above it.
        """
        sets = self.sets
        weight = self.weight * ((sets.rank == 0) | (sets.rank >= rank))
        others = _sums(sets, weight * ~sets.by_newcomers)
        others = np.where(others > 0, others, np.nan)
        expected = _sums(sets, weight * ~sets.by_newcomers * values) / others
        return expected, _sums(sets, weight * sets.by_newcomers) / others


def _sums(sets: Sets, values: Floats) -> Floats:
    """Float64 (n_sets,): the sum of values of each set."""
    return np.asarray(np.bincount(sets.number, values, minlength=_size(sets.number)), np.float64)


def _refills(sets: Sets, weight: Floats) -> Floats:
    """`_Fitted.refill`: of the candidates left, one after the other is chosen for each slot.

    The probability that a candidate has been chosen before is taken to be its mean.
    """
    left = _sums(sets, ((sets.rank > 0) & sets.by_newcomers).astype(np.float64))
    free = ((sets.rank == 0) & ~sets.by_newcomers).astype(np.float64)
    taken = np.zeros(sets.rank.size)
    for step in range(int(left.max(initial=0))):
        chance = weight * (free - taken)
        total = _sums(sets, chance)
        goes_on = np.where((left > step) & (total > 0), 1 / np.where(total > 0, total, 1), 0)
        taken = np.minimum(taken + chance * goes_on[sets.number], free)
    total = _sums(sets, taken)[sets.number]
    return np.asarray(taken / np.where(total > 0, total, 1))


def _rows_of(sets: Sets, rows: NDArray[np.int64]) -> Sets:
    user, number, rank, by_newcomers, features = sets
    return Sets(user[rows], number[rows], rank[rows], by_newcomers[rows], features[rows])


def _refilled(fitted: _Fitted, values: Floats, rows: NDArray[np.int64], n: int) -> Refilled:
    """Corrected and plug-in change of one value, of some rows of n candidates."""
    sets = fitted.sets
    is_response = bool(np.isnan(values[sets.rank == 0]).any())
    if is_response and not np.isin(values[~np.isnan(values)], (0, 1)).all():
        raise ValueError("a value that is not known for all candidates is a response, 0 or 1")
    betas = _responses(fitted, values) if is_response else None
    change, plug_in = (np.full(values.size, np.nan) for _ in range(2))
    for rank in np.unique(sets.rank[sets.rank > 0]):
        slot = np.flatnonzero((sets.rank == rank) & ~np.isnan(values))
        at, y, new = sets.number[slot], values[slot], sets.by_newcomers[slot]
        expected = values if betas is None else _expected(fitted, betas, int(rank))
        others, odds = (of[at] for of in fitted.of_others(int(rank), expected))
        refill = _sums(sets, fitted.refill * expected)[at]
        plug_in[slot] = np.where(new, y - refill, 0)
        correction = np.minimum(odds, _MOST_ODDS) * (y - others)
        change[slot] = np.where(new, y - refill, -correction)
    known = ~np.isnan(change)
    if not known.any():
        return _unknown(n)
    counted = np.zeros(n, dtype=np.bool_)
    counted[rows[known]] = True
    return Refilled(
        _over_users(change[known], sets.user[known]),
        float(plug_in[known].mean()),
        float(values[known].mean()),
        counted,
    )


def _responses(fitted: _Fitted, values: Floats) -> Floats:
    """Coefficients of the response model that serves each part of the users (FOLDS, d + 2)."""
    sets, x = fitted.sets, fitted.x
    known = (sets.rank > 0) & ~np.isnan(values)
    betas = np.full((FOLDS, x.shape[1] + 2), np.nan)
    for number in range(FOLDS):
        rows = np.flatnonzero(known & (fitted.fold != number))
        if rows.size:
            depth = np.log(sets.rank[rows])
            betas[number] = _fitted_responses(np.column_stack([x[rows], depth]), values[rows])
    return betas


def _expected(fitted: _Fitted, betas: Floats, rank: int) -> Floats:
    """Float64 (n,): the expected response to each candidate in a slot."""
    mine = betas[fitted.fold]
    x = np.column_stack([np.ones(len(fitted.x)), fitted.x, np.full(len(fitted.x), np.log(rank))])
    return _sigmoid((x * mine).sum(axis=1))


def _over_users(change: Floats, user: NDArray[np.int64]) -> Told:
    """The mean over slots, and its error over users."""
    value = float(change.mean())
    there, row = np.unique(user, return_inverse=True)
    if there.size < 2:
        return Told(value)
    influence = np.bincount(row, change - value) / change.size
    error = np.sqrt((influence**2).sum() * there.size / (there.size - 1))
    return Told(value, float(error), there.size - 1)


# The models


def _fitted_choices(sets: Sets, x: Floats, learned: NDArray[np.bool_]) -> Floats:
    """Coefficients of scores: each slot's post against the candidates that were not shown above it.

    It is a rank-ordered logit. A slot's term is -log(e^s / sum of e^s over its candidates).
    """
    rows = np.flatnonzero(learned)
    below = np.where(sets.rank[rows] > 0, -sets.rank[rows], -np.iinfo(np.int64).max)
    rows = rows[np.lexsort((below, sets.number[rows]))]  # all candidates of a slot come before it
    x, is_slot = x[rows], sets.rank[rows] > 0
    _, first, row = np.unique(sets.number[rows], return_index=True, return_inverse=True)
    column = np.arange(rows.size) - first[row]
    shape = (first.size, int(column.max(initial=-1)) + 1)

    def loss(beta: Floats) -> tuple[float, Floats]:
        score = _scores(x, beta)
        weight, share = np.zeros(shape), np.zeros(shape)
        weight[row, column] = np.exp(score)
        total = weight.cumsum(axis=1)[row, column]
        share[row, column] = is_slot / total
        pull = share[:, ::-1].cumsum(axis=1)[:, ::-1][row, column]
        gradient = x.T @ (np.exp(score) * pull - is_slot)
        return float((np.log(total) - score)[is_slot].sum()), gradient

    return _minimised(loss, x.shape[1], int(is_slot.sum()))


def _fitted_responses(x: Floats, y: Floats) -> Floats:
    """Coefficients of a logistic regression, the intercept first."""
    x = np.column_stack([np.ones(len(x)), x])

    def loss(beta: Floats) -> tuple[float, Floats]:
        z = x @ beta
        return float((np.logaddexp(0, z) - y * z).sum()), x.T @ (_sigmoid(z) - y)

    return _minimised(loss, x.shape[1], len(x))


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
