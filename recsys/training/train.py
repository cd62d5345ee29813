"""Trains one recommender on a log and tests it on what users liked later.

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

from recsys.config import OwnLog, Training, World
from recsys.core.errors import ConfigError
from recsys.core.noise import integer_seed, training_seed
from recsys.core.threads import single_threaded_blas
from recsys.logs.holdout import Split, split_log
from recsys.logs.log import InteractionLog
from recsys.logs.read import read_log
from recsys.measures.metrics.judged import Judged, judge
from recsys.measures.metrics.registry import METRICS
from recsys.mitigations.build import make_recommender
from recsys.recommenders import Model, Ranking, Recommender, Trending, with_fallback
from recsys.recommenders.base import COLD, HOT, WARM
from recsys.world.arms import Audience
from recsys.world.people.behaviour import examination
from recsys.world.simulate import Simulation, simulate

_SUMMARY = {
    "by": pl.String,
    "group": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "n_users": pl.Int64,
}


@dataclass(frozen=True)
class TrainingResult:
    """A trained recommender and its test.

    Attributes:
        training: the config.
        model: the model, fitted to the training part of the log.
        candidates: bool (n_items,), items that could be recommended at the cut.
        summary: by (all, cohort or status) · group · metric · value · n_users, with rows for each
            group that has users. n_users is the number of users with a value; without any, value is
            null.
        per_user: user_id · cohort · status · n_relevant, and a column for each metric of single
            users.
        feeds: the recommended lists: user_id · rank · item_id · score · source.
        timings: one row, users · fit_s · serve_s · users_per_s, in seconds. Serving is timed after
            a first block of users, in which everything is computed that is computed once.
        notes: sentences that say how to read the figures.
    """

    training: Training
    model: Model
    candidates: NDArray[np.bool_]
    summary: pl.DataFrame
    per_user: pl.DataFrame
    feeds: pl.DataFrame
    timings: pl.DataFrame
    notes: tuple[str, ...]

    def figure(self, metric: str, by: str = "all", group: str = "all") -> float:
        """The value of a metric in a group; NaN if there is none.

        Args:
            metric: name of the metric, such as "recall".
            by: "all", "cohort" or "status".
            group: the group, such as "newcomer" or "cold".
        """
        value = self.summary.filter(by=by, group=group, metric=metric)["value"]
        return float("nan") if value.is_empty() or value[0] is None else float(value[0])


def train(training: Training) -> TrainingResult:
    """Reads or simulates the log, fits the recommender and tests it.

    Args:
        training: the config, from `recsys.load_training`.

    Raises:
        ConfigError: k is too large, or no user can be tested.
        LogError: the log cannot be read, split or learned from.

    >>> import recsys
    >>> training = recsys.load_training({"name": "x", "recommender": "trending", "k": 5,
    ...     "world": {"incumbents": 150, "days_before": 3, "days_after": 2,
    ...     "influx": {"kind": "rednote_2025", "newcomers": 20}}, "test_days": 1})
    >>> 0 < recsys.train(training).figure("recall") < 1
    True
    """
    log, simulation = source_of(training)
    split = split_for_test(training, log)
    recommender = make_recommender(training.recommender)
    return evaluate(training, recommender, split, truth_of(training, simulation, split))


def source_of(training: Training) -> tuple[InteractionLog, Simulation | None]:
    """The whole log of a training run; and the simulation that made it, None for a log from files.

    Args:
        training: the config, from `recsys.load_training`.
    """
    if isinstance(training.source, OwnLog):
        return read_log(training.source), None
    world = training.source
    held_out = math.ceil(2 * (training.test_days or 0))  # tuning cuts as much before the test
    days = tuple(range(world.days_after - held_out, world.days_after)) if held_out else ()
    no_users = Audience(np.zeros(0, dtype=np.int64), days, 1)  # keeps the state of these days
    simulation = simulate(
        world, training.arm, training.seed, audience=no_users, threads=training.threads
    )
    return simulation.log, simulation


def log_of(training: Training) -> InteractionLog:
    """The whole log of a training run, simulated or read from files.

    Args:
        training: the config, from `recsys.load_training`.
    """
    return source_of(training)[0]


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
        None for a log from files, and if the config does not give test_days.
    """
    if simulation is None or training.test_days is None or split.cut is None:
        return None
    world = simulation.world
    start = datetime.combine(world.start, datetime.min.time(), UTC)
    day = math.floor((split.cut - start) / timedelta(days=1))

    def utility(users: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return simulation.click_probability(users, items, day)

    return Truth(utility, examination(world.platform, training.k))


def split_for_test(training: Training, log: InteractionLog) -> Split:
    """The training part and the test part of a log.

    Args:
        training: the config.
        log: the whole log.
    """
    return _split(training, log, _last_midnight(training), training.seed)


def split_for_tuning(training: Training, log: InteractionLog) -> Split:
    """Splits the training part again, for tuning; the validation part is as large as the test part.

    Args:
        training: the config.
        log: the whole log.
    """
    for_test = split_for_test(training, log)
    other_seed = integer_seed(training.seed, 1)  # the same lots would hold out nothing more
    return _split(training, for_test.train, for_test.cut, other_seed)


def evaluate(
    training: Training, recommender: Recommender, split: Split, truth: Truth | None = None
) -> TrainingResult:
    """Fits a recommender to one part of a log and tests it on the other.

    Args:
        training: the config; its k, metrics and seed are used.
        recommender: the recommender to fit.
        split: the parts of the log, such as from `split_for_test`.
        truth: the truth of a world; without it there is no utility.

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
        model = recommender.fit(split.train, seed=training_seed(training.seed, "full"))
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
            list(_summary(people, judged, names)), schema=_SUMMARY, orient="row"
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


def _split(training: Training, log: InteractionLog, end: datetime | None, seed: int) -> Split:
    return split_log(
        log,
        days=training.test_days,
        share=training.test_share,
        end=end,
        window_days=_window_days(training.source),
        seed=seed,
    )


def _last_midnight(training: Training) -> datetime | None:
    """The moment at which the last day of a world ends; None for a log from files."""
    if isinstance(training.source, OwnLog):
        return None
    start = datetime.combine(training.source.start, datetime.min.time(), UTC)
    return start + timedelta(days=training.source.days_after)


def _window_days(source: World | OwnLog) -> int | None:
    """For how many days a post can be served; None in a log, which does not say."""
    return source.posts.window_days if isinstance(source, World) else None


def _check(training: Training, split: Split) -> None:
    """Raises unless there are enough candidates and a user to test."""
    n_candidates = int(split.candidates.sum())
    if training.k > n_candidates:
        raise ConfigError(
            f"k: {training.k} is more than the {n_candidates} items that can be recommended; "
            "lower k"
        )
    if split.users.size == 0:
        key = "test_share" if training.test_days is None else "test_days"
        raise ConfigError(
            f"{key}: none of the {split.likes[1]:,} likes that are held out is of an item that "
            "could have been recommended and was not seen yet, so no user can be tested; "
            "hold out more"
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
