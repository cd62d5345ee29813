"""What the cells of a study share: simulated worlds, a log that was read, their users."""

from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import TypeVar

import numpy as np
import polars as pl

from recsys.config import Study
from recsys.recommenders import Recommender
from recsys.study.arms.closed_loop import ClosedArms
from recsys.study.arms.gated import ChannelArms
from recsys.study.arms.open_loop import WorldArms
from recsys.study.arms.own_log import LogArms
from recsys.study.cell import Cell
from recsys.world.people.notes import is_creator
from recsys.world.people.population import LANGUAGES, draw_incumbents


def users_of_world(study: Study) -> pl.DataFrame:
    """What incumbents of a world can be grouped by, known before the influx.

    Args:
        study: of a world.

    Returns:
        user_id · activity (visits a day) · skill (reading, in the language they know less) ·
        language (of their app) · main_topic · curious · posts.
    """
    world = study.world
    people = draw_incumbents(world)
    topics = list(world.population.incumbents.topics)
    return pl.DataFrame(
        {
            "user_id": np.arange(people.n, dtype=np.int64),
            "activity": people.visits * people.presence,
            "skill": people.skill.min(axis=1),
            "language": [LANGUAGES[code] for code in people.app_language],
            "main_topic": [topics[place] for place in people.taste.argmax(axis=1)],
            "curious": people.curious,
            "posts": is_creator(world, people),
        }
    )


def users_of_log(arms: LogArms) -> pl.DataFrame:
    """What users of a log can be grouped by.

    Args:
        arms: of the log.

    Returns:
        The columns of its users, and, unless there are such: activity (positive events in the
        training part), tenure (`joined`) and main_topic (the one liked most, if topics are known).
    """
    users, extra = arms.train.users, {}
    extra["activity"] = pl.Series(arms.activity)
    if "joined" in users.columns:
        extra["tenure"] = users["joined"]
    topics = arms.main_topic()
    if topics is not None:
        extra["main_topic"] = topics
    return users.with_columns(
        **{name: column for name, column in extra.items() if name not in users.columns}
    )


K = TypeVar("K")


V = TypeVar("V")


def world_arms(study: Study, seed: int) -> WorldArms:
    """The arms of one seed of a study's world; the last two asked for are kept."""
    world = study.world
    key = (study.model_dump_json(include={"world_", "evaluation", "arms"}), seed, study.workers)
    return _kept(
        _world_arms, 2, key, lambda: WorldArms(world, study.evaluation, study.arms, *key[1:])
    )


def _closed_arms(cell: Cell, recommender: Recommender) -> ClosedArms:
    world = cell.study.world
    return ClosedArms(
        world, cell.study.evaluation, cell.study.arms, cell.seed, recommender=recommender
    )


def _channel_arms(cell: Cell, recommender: Recommender) -> ChannelArms:
    """One seed's worlds by gates; the last two asked for are kept, with the days they share."""
    world, evaluation = cell.study.world, cell.study.evaluation
    return _kept(
        _channels,
        2,
        replace(cell, coalitions=range(0)).identity,
        lambda: ChannelArms(
            world,
            evaluation.model_copy(update={"one_step": True}),
            cell.study.arms,
            cell.seed,
            recommender=recommender,
        ),
    )


def log_arms(study: Study) -> LogArms:
    """The arms of a study's log; the last one asked for is kept."""
    source = study.log
    key = (study.model_dump_json(include={"log_", "evaluation"}), study.first_seed)
    return _kept(_log_arms, 1, key, lambda: LogArms(source, study.evaluation, study.first_seed))


_memo = Lock()


_world_arms: dict[tuple[str, int, int], WorldArms] = {}


_log_arms: dict[tuple[str, int], LogArms] = {}


_channels: dict[str, ChannelArms] = {}


def _kept(memo: dict[K, V], size: int, key: K, make: Callable[[], V]) -> V:
    """The value of a key, made once; beyond `size`, the one made first is forgotten."""
    with _memo:
        if key not in memo:
            while len(memo) >= size:
                del memo[next(iter(memo))]
            memo[key] = make()
        return memo[key]
