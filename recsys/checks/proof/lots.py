"""Random groups of a log's incumbents that take the newcomers' place; see `alarms`.

The incumbents outside the panel are divided into two halves by lot, and groups are drawn from each.
There are groups of both sorts that an audit knows (`recsys.study.arms.placebos`):

- *whole users*, of the log as it is, newcomers included; mitigations that treat newcomers
  otherwise than others treat those so, and not the group;
- *joined users*, of the log without its newcomers, in which a group does not begin before a certain
  day: a wave of people like everybody else. It is the day on which the newcomers came; where that
  is not known, the day that leaves the longest windows to the view by exposure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import LogError
from recsys.core.noise import Stream, key_words, uniforms
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog
from recsys.recommenders import Recommender
from recsys.statistics.matching import draw_placebo
from recsys.study.arms.by_exposure import BEFORE
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.arms.measuring import measure
from recsys.study.arms.own_log import AboutLog, LogFeeds, Reference, Removals
from recsys.study.arms.placebos import Placebos, arrival, matching_of

SHARE = 0.2
"""Share of a half that a group takes, by number of users."""
WHOLE, JOINED = "whole users", "joined users"
_Ids = NDArray[np.int64]


class Way(NamedTuple):
    """What is fitted and measured."""

    recommender: Recommender
    """With its mitigations around it."""
    name: tuple[str, str]
    """Of the recommender and of its mitigations, such as ("als", "none")."""
    about: AboutLog
    """Describes feeds for the measures."""


@dataclass(frozen=True)
class Lots:
    """Two halves of the incumbents outside the panel, and the groups that are drawn from each.

    Groups of a half are numbered from 1; group 0 of each half is accused of nothing.

    Attributes:
        log: the log as a study measures it.
        train: what is trained on, before any group leaves it or joins it.
        halves: what the groups of each half are made of.
    """

    log: MeasuredLog
    train: InteractionLog
    halves: tuple[Placebos, Placebos]

    @property
    def sort(self) -> str:
        """`WHOLE` or `JOINED`."""
        return WHOLE if self.halves[0].since is None else JOINED

    def group(self, half: int, draw: int) -> _Ids:
        """Dense ids of the users of a group.

        Args:
            half: 0 or 1.
            draw: number of the group.
        """
        return draw_placebo(self.halves[half].matching, draw)

    def audits(
        self,
        way: Way,
        groups: Sequence[int],
        draws: Sequence[int],
    ) -> Iterator[tuple[int, int, pl.DataFrame]]:
        """Measures what an audit of each group measures.

        Args:
            way: what is fitted and measured.
            groups: numbers of the groups that are accused.
            draws: numbers of the groups of the other half that each is held against, which hold
                `groups`.

        Yields:
            Half, number of the accused group, and its rows, as in `StudyResult.per_user`.
        """
        audits = self._of_whole_users if self.sort == WHOLE else self._of_joined
        made = audits(way, groups, draws)
        for half in (0, 1):
            for number, rows in made[half][0].items():
                yield half, number, pl.concat([rows, made[1 - half][1]])

    def _of_whole_users(
        self,
        way: Way,
        groups: Sequence[int],
        draws: Sequence[int],
    ) -> list[tuple[dict[int, pl.DataFrame], pl.DataFrame]]:
        """Rows of each half: of its accused groups by number, and of its placebos.

        A group is removed in the same way whether it is accused or a placebo, so one fit is both.
        """
        full, made = pl.DataFrame(), []
        for half in (0, 1):
            removals = self._removals(self.train, half, self.group(half, 0))
            rows = self._measured(removals, way, draws, with_influx=half == 0)
            full = rows.filter(arm="full") if half == 0 else full
            placebos = rows.filter(arm="placebo")
            as_influx = {"arm": pl.lit("influx"), "draw": pl.lit(0, dtype=placebos["draw"].dtype)}
            accused = {
                number: pl.concat([full, placebos.filter(draw=number).with_columns(**as_influx)])
                for number in groups
            }
            made.append((accused, placebos))
        return made

    def _of_joined(
        self,
        way: Way,
        groups: Sequence[int],
        draws: Sequence[int],
    ) -> list[tuple[dict[int, pl.DataFrame], pl.DataFrame]]:
        """See `_of_whole_users`.

        In an audit of a wave its placebos come in its place. The waves of a half share the placebos
        of one more wave like them, group 0 of that half, so that these are fitted once.
        """
        made = []
        for half in (0, 1):
            accused = {}
            for number in groups:
                wave = self.group(half, number)
                removals = self._removals(self.joined_by(wave, self.train), half, wave)
                accused[number] = self._measured(removals, way, ())
            stand_in = self.group(1 - half, 0)
            removals = replace(
                self._removals(self.joined_by(stand_in, self.train), half, stand_in),
                since=self.halves[half].since,
                replaced=stand_in,
            )
            placebos = self._measured(removals, way, draws, with_influx=False)
            made.append((accused, placebos))
        return made

    def _removals(self, train: InteractionLog, half: int, newcomers: _Ids) -> Removals:
        matching = self.halves[half].matching
        return Removals(train, self.log.panel, matching, newcomers, self.log.seed)

    def _measured(
        self,
        removals: Removals,
        way: Way,
        draws: Sequence[int],
        *,
        with_influx: bool = True,
    ) -> pl.DataFrame:
        ways = {way.name: self.log.serve}
        reference = Reference(removals, way.recommender, ways, same_seed=True)
        return measure(LogFeeds(reference, way.about, draws, with_influx=with_influx)).per_user

    def joined_by(self, group: _Ids, log: InteractionLog) -> InteractionLog:
        """A log whose only newcomers are a group that joins on the day.

        Args:
            group: dense ids of the users of the group.
            log: the log, without its newcomers' events.
        """
        past = log.dense.select(pl.col("timestamp") < self.halves[0].since).to_series().to_numpy()
        theirs = np.isin(log.dense["user"].to_numpy(), group)
        return _with_newcomers(log, group).only(~(theirs & past))

    def wave(self, half: int, draw: int) -> DatedLog:
        """The whole log, held-out events too, as it would be if a group alone had joined.

        Args:
            half, draw: see `group`.
        """
        log = self.log
        others = log.whole.without_users(log.whole.newcomers)
        joined = self.joined_by(self.group(half, draw), others)
        return DatedLog(joined, log.own.bystanders, arrived_of(log))


def whole_users(log: MeasuredLog) -> Lots:
    """Groups of whole users.

    Args:
        log: the log as a study measures it.

    Raises:
        LogError: too few users outside the panel have a positive event.
    """
    return _lots(log, log.train, None)


def joined_users(log: MeasuredLog) -> Lots | None:
    """Groups of users who joined.

    Args:
        log: the log as a study measures it, with times.

    Returns:
        None if too few users did anything since the day for two halves.
    """
    others = log.train.without_users(log.train.newcomers)
    since = arrival(others, arrived_of(log), log.source.timezone)
    try:
        return _lots(log, others, since)
    except LogError:
        return None


def arrived_of(log: MeasuredLog) -> date:
    """The day on which groups join.

    Args:
        log: the log as a study measures it, with times.
    """
    if log.own.arrived is not None:
        return log.own.arrived
    days = log.whole.dense["timestamp"].dt.convert_time_zone(log.source.timezone).dt.date()
    window = ((days[-1] - days[0]).days + 1) // (BEFORE + 1)
    first: date = days[0]
    return first + timedelta(days=BEFORE * window)


def _lots(log: MeasuredLog, train: InteractionLog, since: datetime | None) -> Lots:
    """As many users of each stratum in both halves."""
    liked = pl.col("weight") > 0
    if since is not None:
        liked &= pl.col("timestamp") >= since
    free = np.zeros(train.n_users, dtype=np.bool_)
    free[train.dense.filter(liked)["user"].to_numpy()] = True
    free &= log.incumbents
    free[log.panel] = False
    lot = uniforms(log.seed, Stream.HALF, *key_words(train.users["key"].to_numpy()))[:, 0]
    halves = [free & (lot < 0.5), free & (lot >= 0.5)]
    taken = np.flatnonzero(halves[1] & (lot >= 1 - SHARE / 2))
    if not (halves[0].any() and taken.size):
        raise LogError(
            "evaluation.panel: too few incumbents outside the panel have a positive event for "
            "groups of them; lower it"
        )
    first = _matched(log, train, halves[0], taken, since)
    second = _matched(log, train, halves[1], draw_placebo(first.matching, 0), since)
    return Lots(log, train, (first, second))


def _matched(
    log: MeasuredLog,
    train: InteractionLog,
    half: NDArray[np.bool_],
    group: _Ids,
    since: datetime | None,
) -> Placebos:
    """Matches groups of a half with a group of the other."""
    matching = matching_of(
        _with_newcomers(train, group),
        np.zeros(0, dtype=np.int64),
        half,
        log.seed,
        timezone=log.source.timezone,
        max_pool_fraction=log.source.max_pool_fraction,
        since=since,
    )
    return Placebos(matching, since)


def _with_newcomers(log: InteractionLog, group: _Ids) -> InteractionLog:
    cohort = np.full(log.n_users, "incumbent", dtype=object)
    cohort[group] = "newcomer"
    dtype = log.users["cohort"].dtype
    users = log.users.with_columns(cohort=pl.Series(cohort.tolist(), dtype=dtype))
    return replace(log, users=users)
