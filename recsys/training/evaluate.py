"""Fits one recommender to a part of a log and tests it on what users liked later.

The log is cut at the same moment for all users. A user is tested if the user later likes an item
that could have been recommended. Such an item was published before the cut, is young enough to be
served, and was neither seen nor made by the user. All recommenders choose among the same
candidates. Figures are given over all users, by cohort, and by status of a user in the model: hot
(with likes), warm (with attributes alone) or cold. Users whom the model cannot serve get the
trending list, marked as such.

Users like what they were shown, so such figures favour recommenders that recommend what the
platform shows. In a world the metric `utility` does better: it is the true utility of the
recommended list for its user.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config import Training
from recsys.core.errors import ConfigError
from recsys.core.noise import training_seed
from recsys.core.threads import single_threaded_blas
from recsys.logs.holdout import Split
from recsys.measures.metrics.judged import Judged, judge
from recsys.measures.metrics.registry import METRICS
from recsys.recommenders import Model, Ranking, Recommender, Trending, with_fallback
from recsys.recommenders.base import COLD, HOT, WARM
from recsys.world.people.behaviour import examination
from recsys.world.simulate import Simulation

_SUMMARY = {
    "by": pl.String,
    "group": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "n_users": pl.Int64,
}


class Days(NamedTuple):
    """A rolling evaluation, in which each day was tested with a model of the days before it.

    Figures of `all` count each like of the day, those of `known` and `new` the likes of posts that
    were first seen before the day and on it. `trending` is the figure of the trending list, which
    was tested on the same users.
    """

    series: pl.DataFrame
    """day (1 is the first) · begins · posts (all, known or new) · metric · value · trending ·
    n_users."""
    means: pl.DataFrame
    """For each metric of single users: metric · value · ci_low · ci_high · difference ·
    difference_ci_low · difference_ci_high · n_days. Means over days; the difference is to the
    trending list, paired by user and day (`recsys.statistics.user_days`)."""


@dataclass(frozen=True)
class TrainingResult:
    """A trained recommender and its test.

    Attributes:
        training: the config.
        model: the model, fitted to the training part of the log.
        candidates: bool (n_items,), items that could be recommended at the cut.
        summary: by (all, cohort, status or posts) · group · metric · value · n_users, with rows for
            each group that has users. n_users is the number of users with a value; without any,
            value is null. Groups of posts, `known` and `new`, are those first seen before the cut
            and after it, where there are such: only likes of these count.
        per_user: user_id · cohort · status · n_relevant, and a column for each metric of single
            users.
        feeds: the recommended lists: user_id · rank · item_id · score · source.
        timings: one row, users · fit_s · serve_s · users_per_s, in seconds. Serving is timed after
            a first block of users, in which everything is computed that is computed once.
        notes: sentences that say how to read the figures.
        days: the figures of each day of a rolling evaluation, and their means; see
            `recsys.training.rolling`. None without it.
    """

    training: Training
    model: Model
    candidates: NDArray[np.bool_]
    summary: pl.DataFrame
    per_user: pl.DataFrame
    feeds: pl.DataFrame
    timings: pl.DataFrame
    notes: tuple[str, ...]
    days: Days | None = None

    def figure(self, metric: str, by: str = "all", group: str = "all") -> float:
        """The value of a metric in a group; NaN if there is none.

        Args:
            metric: name of the metric, such as "recall".
            by: "all", "cohort" or "status".
            group: the group, such as "newcomer" or "cold".
        """
        value = self.summary.filter(by=by, group=group, metric=metric)["value"]
        return float("nan") if value.is_empty() or value[0] is None else float(value[0])


class Truth(NamedTuple):
    """What a world knows about its users at the moment of a cut."""

    utility: Callable[[NDArray[np.int64], NDArray[np.int32]], NDArray[np.float32]]
    """Function of users (n,) and items (n, k), -1 in empty slots. It gives the probability that a
    user who looks at an item clicks it, (n, k), NaN in empty slots."""
    looks: NDArray[np.float64]
    """(k,), probability that a user looks at a rank."""


def truth_of(training: Training, simulation: Simulation | None, split: Split) -> Truth | None:
    """The truth of a world on the day of a cut, with its users as they are that morning.

    Args:
        training: the config.
        simulation: the simulation from `source_of`.
        split: the parts of the log.

    Returns:
        None for a log from files, and if the config does not say how many days are tested.
    """
    if simulation is None or training.held_out is None or split.cut is None:
        return None
    world = simulation.world
    start = datetime.combine(world.start, datetime.min.time(), UTC)
    day = math.floor((split.cut - start) / timedelta(days=1))

    def utility(users: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return simulation.click_probability(users, items, day)

    return Truth(utility, examination(world.platform, training.k))


def evaluate(
    training: Training,
    recommender: Recommender,
    split: Split,
    truth: Truth | None = None,
    previous: Model | None = None,
) -> TrainingResult:
    """Fits a recommender to one part of a log and tests it on the other.

    Args:
        training: the config; its k, metrics and seed are used.
        recommender: the recommender to fit.
        split: the parts of the log, such as from `split_for_test`.
        truth: the truth of a world; without it there is no utility.
        previous: the model to start from, such as yesterday's.

    Raises:
        ConfigError: no user can be tested, or k is more than the number of candidates.
    """
    _check(training, split)
    users, k, candidates = split.users, training.k, split.candidates
    _ = (
        split.train.interactions,
        split.train.withheld,
    )  # computed here, so that no fit is timed with it
    with single_threaded_blas():
        start = time.perf_counter()
        model = recommender.fit(
            split.train, seed=training_seed(training.seed, "full"), previous=previous
        )
        fit_s = time.perf_counter() - start
        fallback = Trending().fit(split.train)
        _serve(model, fallback, users[:1], k, candidates)
        start = time.perf_counter()
        ranking = _serve(model, fallback, users, k, candidates)
        serve_s = time.perf_counter() - start
    judged = judge(ranking.item_ids, users, split.relevant, split.liked, int(candidates.sum()))
    if truth is not None:
        utility = truth.utility(users, ranking.item_ids)
        judged = replace(judged, utility=utility, looks=truth.looks)
    people = pl.DataFrame(
        {
            "user_id": split.train.users["user_id"].gather(users),
            "cohort": split.train.users["cohort"].gather(users).cast(pl.String),
            "status": model.status(users),
            "n_relevant": judged.n_relevant,
        }
    )
    names = training.metrics or tuple(METRICS)
    timings = {"users": users.size, "fit_s": fit_s, "serve_s": serve_s}
    return TrainingResult(
        training=training,
        model=model,
        candidates=candidates,
        summary=pl.DataFrame(
            [*_summary(people, judged, names), *_by_posts(judged, split, names)],
            schema=_SUMMARY,
            orient="row",
        ).with_columns(pl.col("value").fill_nan(None)),
        per_user=people.with_columns(
            pl.Series(name, METRICS[name].function(judged), nan_to_null=True)
            for name in names
            if METRICS[name].kind == "user"
        ),
        feeds=ranking.frame(people["user_id"], split.train.items["item_id"]),
        timings=pl.DataFrame(timings).with_columns(users_per_s=pl.col("users") / serve_s),
        notes=tuple(_notes(split)),
    )


def _check(training: Training, split: Split) -> None:
    """Raises unless there are enough candidates and a user to test."""
    n_candidates = int(split.candidates.sum())
    if training.k > n_candidates:
        raise ConfigError(
            f"k: {training.k} is more than the {n_candidates} items that can be recommended; "
            "lower k"
        )
    if split.users.size == 0:
        raise ConfigError(
            f"{training.held_out_by}: none of the {split.likes[1]:,} likes that are held out is of "
            "an item that could have been recommended and was not seen yet, so no user can be "
            "tested; hold out more"
        )


def _serve(
    model: Model,
    fallback: Model,
    users: NDArray[np.int64],
    k: int,
    candidates: NDArray[np.bool_],
) -> Ranking:
    """The ranking of the model, its empty slots filled by the fallback."""
    return with_fallback(model.rank(users, k, candidates), fallback, users, candidates)


def _summary(
    people: pl.DataFrame, judged: Judged, names: Sequence[str]
) -> Iterator[tuple[str, str, str, float, int]]:
    """Rows of `TrainingResult.summary`; groups without users are left out."""
    groups = [("all", "all", np.ones(people.height, dtype=np.bool_))]
    for by, names_of_groups in (
        ("cohort", ("incumbent", "newcomer")),
        ("status", (HOT, WARM, COLD)),
    ):
        groups += [(by, group, (people[by] == group).to_numpy()) for group in names_of_groups]
    for by, group, members in groups:
        of_group = judged.only(members)
        for name in names if members.any() else ():
            yield (by, group, name, *METRICS[name].over(of_group))


def _by_posts(
    judged: Judged, split: Split, names: Sequence[str]
) -> Iterator[tuple[str, str, str, float, int]]:
    """Rows of `TrainingResult.summary` by when posts were first seen; none if all are known."""
    of_new = split.relevant[split.users][:, split.new].sum(axis=1)
    n_new = np.asarray(of_new, dtype=np.int64).ravel()
    hit_is_new = split.new[judged.item_ids] & (judged.item_ids >= 0)
    for group, n_relevant, counts in (
        ("known", judged.n_relevant - n_new, ~hit_is_new),
        ("new", n_new, hit_is_new),
    ):
        if split.new.any() and (n_relevant > 0).any():
            of_group = replace(judged, hits=judged.hits & counts, n_relevant=n_relevant)
            of_group = of_group.only(n_relevant > 0)
            for name in names:
                yield ("posts", group, name, *METRICS[name].over(of_group))


def _notes(split: Split) -> Iterator[str]:
    tested, held_out = split.likes
    when = "drawn by lot" if split.cut is None else f"from {split.cut:%Y-%m-%d %H:%M} UTC on"
    yield (
        f"Tested on {tested:,} of the {held_out:,} likes {when}: those of items that the user had "
        f"not seen, among the {int(split.candidates.sum()):,} items that could be recommended."
    )
    reasons = {why: number for why, number in split.out_of_reach.items() if number}
    if reasons:
        listed = ", ".join(f"{number:,} {why}" for why, number in reasons.items())
        yield f"No recommender could have found the other likes: {listed}."
    yield (
        f"Trained on {split.train.dense.height:,} events, "
        f"{int((split.train.dense['weight'] > 0).sum()):,} of them likes."
    )
