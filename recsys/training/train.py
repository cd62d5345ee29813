"""Trains one recommender on a log and tests it on what people liked later.

All users are cut at the same moment; whoever likes something later that could have been recommended
is tested: published before the cut, young enough to be served, not seen by the user and not the
user's own. The same candidates stand before every recommender. Figures are given over everybody, by
cohort, and by what the model knew of a user: hot (likes), warm (attributes only), cold (nothing).
The last two get the trending list, marked as such.

People like what they were shown, so such figures favour who recommends what the platform shows. A
world knows better: `utility` is what the recommended list is worth to its reader in truth.
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
    """A trained recommender and how it did.

    Attributes:
        training: the config it came from.
        model: fitted to the training part.
        candidates: bool (n_items,), what could be recommended when the training part ended.
        summary: by (all, cohort, status) · group · metric · value · n_users, a row for each group
            that anybody is in; n_users have a value, which is null if that is nobody.
        per_user: user_id · cohort · status · n_relevant, and a column for each metric by user.
        feeds: what was recommended: user_id · rank · item_id · score · source.
        timings: one row: users · fit_s · serve_s · users_per_s. Serving is timed after a first
            block of users, which makes what is made on first use.
        notes: what a reader of the figures must know, a sentence each.
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
        """The value of a metric in a group; NaN where there is none."""
        chosen = (pl.col("by") == by, pl.col("group") == group, pl.col("metric") == metric)
        found = self.summary.filter(*chosen)["value"]
        return float("nan") if found.is_empty() or found[0] is None else float(found[0])


def train(training: Training) -> TrainingResult:
    """Reads or simulates the log, fits the recommender, tests it.

    Args:
        training: from `recsys.load_training`.

    Raises:
        ConfigError, LogError: a log that cannot be read or split, or nobody to test.

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
    """The whole log of a training run, and the world that made it, if it is no log from files."""
    if isinstance(training.source, OwnLog):
        return read_log(training.source), None
    world = training.source
    held_out = math.ceil(2 * (training.test_days or 0))  # where tuning cuts, and where testing does
    days = tuple(range(world.days_after - held_out, world.days_after)) if held_out else ()
    nobody = Audience(np.zeros(0, dtype=np.int64), days, 1)
    simulation = simulate(
        world, training.arm, training.seed, audience=nobody, threads=training.workers
    )
    return simulation.log, simulation


def log_of(training: Training) -> InteractionLog:
    """The whole log of a training run: simulated, or read from its files."""
    return source_of(training)[0]


class Truth(NamedTuple):
    """What a world knows of its people when a log is cut."""

    worth: Callable[[NDArray[np.int64], NDArray[np.int32]], NDArray[np.float32]]
    """Of users (n,) and items (n, k), -1 where empty: the chance that a user clicks an item when
    looking at it, (n, k), NaN where empty."""
    looks: NDArray[np.float64]
    """(k,) the chance that a rank is looked at."""


def truth_of(training: Training, simulation: Simulation | None, split: Split) -> Truth | None:
    """The truth on the day of a cut, people taken as they are on its morning.

    Args:
        training: its k, and how long it holds out.
        simulation: from `source_of`.
        split: the cut.

    Returns:
        None for a log from files, and where the config does not say how many days are held out.
    """
    if simulation is None or training.test_days is None or split.cut is None:
        return None
    world = simulation.world
    start = datetime.combine(world.start, datetime.min.time(), UTC)
    day = math.floor((split.cut - start) / timedelta(days=1))

    def worth(users: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return simulation.click_probability(users, items, day)

    return Truth(worth, examination(world.platform, training.k))


def split_for_test(training: Training, log: InteractionLog) -> Split:
    """Holds out what a training run tests on."""
    return _split(training, log, _last_midnight(training), training.seed)


def split_for_tuning(training: Training, log: InteractionLog) -> Split:
    """Holds out a validation part, as long as the test part, of what a run trains on."""
    whole = split_for_test(training, log)
    other_lots = integer_seed(training.seed, 1)  # the same ones would hold out nothing more
    return _split(training, whole.train, whole.cut, other_lots)


def evaluate(
    training: Training, recommender: Recommender, split: Split, truth: Truth | None = None
) -> TrainingResult:
    """Fits a recommender to one part of a log and tests it on the other.

    Args:
        training: k, metrics and seed.
        recommender: what to fit.
        split: the parts.
        truth: what a world knows; without it there is no utility.

    Raises:
        ConfigError: nobody can be tested, or k is more than the candidates.
    """
    _check(training, split)
    users, k, candidates = split.users, training.k, split.candidates
    _ = split.train.interactions, split.train.withheld
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
        worth = truth.worth(users, ranking.item_ids)
        judged = replace(judged, worth=worth, looks=truth.looks)
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
    """When a world's last day ends."""
    if isinstance(training.source, OwnLog):
        return None
    start = datetime.combine(training.source.start, datetime.min.time(), UTC)
    return start + timedelta(days=training.source.days_after)


def _window_days(source: World | OwnLog) -> int | None:
    """For how many days a post can be served; None in a log, which does not say."""
    return source.notes.window_days if isinstance(source, World) else None


def _check(training: Training, split: Split) -> None:
    can_be = int(split.candidates.sum())
    if training.k > can_be:
        raise ConfigError(
            f"k: {training.k} is more than the {can_be} items that can be recommended; lower k"
        )
    if split.users.size == 0:
        key = "test_share" if training.test_days is None else "test_days"
        raise ConfigError(
            f"{key}: of {split.likes[1]:,} likes that are held out, none is of an item that could "
            "have been recommended and was not seen yet, so nobody can be tested; hold out more"
        )


def _serve(
    model: Model,
    fallback: Model,
    users: NDArray[np.int64],
    k: int,
    candidates: NDArray[np.bool_],
) -> Ranking:
    return with_fallback(model.rank(users, k, candidates), fallback, users, candidates)


def _summary(
    people: pl.DataFrame, judged: Judged, names: Sequence[str]
) -> Iterator[tuple[str, str, str, float, int]]:
    """A row for each group and metric; groups that nobody is in are left out."""
    groups = [("all", "all", np.ones(people.height, dtype=np.bool_))]
    for by, known in (("cohort", ("incumbent", "newcomer")), ("status", (HOT, WARM, COLD))):
        groups += [(by, group, (people[by] == group).to_numpy()) for group in known]
    for by, group, members in groups:
        theirs = judged.only(members)
        for name in names if members.any() else ():
            yield (by, group, name, *METRICS[name].over(theirs))


def _notes(split: Split) -> Iterator[str]:
    tested, liked = split.likes
    when = "drawn by lot" if split.cut is None else f"from {split.cut:%Y-%m-%d %H:%M} UTC on"
    yield (
        f"Tested on {tested:,} of the {liked:,} likes {when}: those of the "
        f"{int(split.candidates.sum()):,} items that could be recommended, not seen before."
    )
    reasons = {why: number for why, number in split.out_of_reach.items() if number}
    if reasons:
        listed = ", ".join(f"{number:,} {why}" for why, number in reasons.items())
        yield f"The others no recommender could have found: {listed}."
    yield (
        f"Trained on {split.train.dense.height:,} events, "
        f"{int((split.train.dense['weight'] > 0).sum()):,} of them likes."
    )
