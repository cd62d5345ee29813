"""Trains one recommender on a log and tests it on the end of the log, or on day after day."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np

from recsys.config import OwnLog, Training, World
from recsys.core.noise import integer_seed
from recsys.logs.holdout import Split, split_days, split_log
from recsys.logs.log import InteractionLog
from recsys.logs.read import read_log
from recsys.mitigations.build import make_recommender
from recsys.training.evaluate import TrainingResult, evaluate, truth_of
from recsys.training.rolling import roll
from recsys.world.arms import Audience
from recsys.world.simulate import Simulation, simulate


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
    recommender = make_recommender(training.recommender)
    if training.rolling is not None:
        days = split_days(
            log,
            days=training.rolling.days,
            end=_last_midnight(training),
            window_days=_window_days(training.source),
        )
        return roll(
            training, recommender, days, lambda split: truth_of(training, simulation, split)
        )
    split = split_for_test(training, log)
    return evaluate(training, recommender, split, truth_of(training, simulation, split))


def source_of(training: Training) -> tuple[InteractionLog, Simulation | None]:
    """The whole log of a training run; and the simulation that made it, None for a log from files.

    Args:
        training: the config, from `recsys.load_training`.
    """
    if isinstance(training.source, OwnLog):
        return read_log(training.source), None
    world = training.source
    held_out = math.ceil(2 * (training.held_out or 0))  # tuning cuts as much before the test
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


def split_for_test(training: Training, log: InteractionLog) -> Split:
    """The training part and the test part of a log, cut once, in a rolling evaluation too.

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


def _split(training: Training, log: InteractionLog, end: datetime | None, seed: int) -> Split:
    return split_log(
        log,
        days=training.held_out,
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
