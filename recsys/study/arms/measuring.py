"""Measuring: one loop that turns the feeds of any study into rows.

A source hands out its arms one after another, the reference first. Each arm gives feeds for every
evaluated day and says what measures must know about them. Everything else is here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.measures.attention_rows import EXPOSURE, Pool, exposure_rows
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.rows import headline_of, rows_of
from recsys.recommenders import Ranking
from recsys.study.arms.result import CellResult, feeds_in_one, feeds_of

INCUMBENT, NEWCOMER = "incumbent", "newcomer"


class Group(NamedTuple):
    """Users of one cohort and their feeds."""

    cohort: str
    """`INCUMBENT` or `NEWCOMER`."""
    users: NDArray[np.int64]
    """Dense ids (n,)."""
    feeds: Ranking
    """Their feeds (n, k)."""


class Served(NamedTuple):
    """The feeds of one arm on one day, and how long they took."""

    groups: Sequence[Group]
    """The panel first, then the newcomers where any are there."""
    fit_s: float = 0.0
    """Seconds that the fit took."""
    serve_s: float = 0.0
    """Seconds that ranking and blending took."""


class ArmDay(Protocol):
    """One arm on one day."""

    def feeds(self) -> Served:
        """The feeds to measure."""

    def without_newcomers(self, feeds: Ranking) -> NDArray[np.int32] | None:
        """The panel's feeds from a fit that has learned nothing from newcomers.

        Args:
            feeds: the panel's feeds (n, k), which are the answer where nothing was learned.

        Returns:
            int32 (n, k) items, or None if one-step drift is not asked for.
        """

    def pair(
        self,
        group: Group,
        reference: Ranking,
        previous: Ranking | None,
        without: NDArray[np.int32] | None,
    ) -> FeedPair:
        """A group's feeds beside the reference's, described as the measures take them.

        Args:
            group: from `feeds`.
            reference: feeds of the same users in the reference arm (n, k).
            previous: feeds of the same users one measured day before (n, k), or None.
            without: from `without_newcomers`, or None.
        """

    def pool(self, group: Group) -> Pool | None:
        """What could have been served to a group; None leaves attention unmeasured."""


@dataclass(frozen=True)
class ArmFeeds:
    """One arm of a source.

    Attributes:
        keys: what its rows are called: recommender, mitigation, arm, seed and draw.
        on: the arm on one of the source's days.
        user_ids: the users' own ids (n_users,).
        item_ids: the items' own ids (n_items,).
        compared: whether it has drift; every arm has but the reference.
        reported: whether its rows are wanted; if not, its feeds are the reference and no more.
        kept: whether its feeds themselves go into the result.
    """

    keys: Mapping[str, Any]
    on: Callable[[Any], ArmDay]
    user_ids: pl.Series
    item_ids: pl.Series
    compared: bool
    reported: bool = True
    kept: bool = False


class Source(Protocol):
    """Where the feeds of a cell come from: a world in an open or a closed loop, or a log."""

    @property
    def days(self) -> tuple[int | None, ...]:
        """The days that are measured; `(None,)` where feeds have no day."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What is measured, by name."""

    def arms(self) -> Iterator[ArmFeeds]:
        """The arms, the reference first. An arm may be forgotten once the next is asked for."""

    def life(self) -> pl.DataFrame:
        """What people lived through, as `recsys.study.arms.result.life_of` gives it."""


def measure(source: Source) -> CellResult:
    """The rows of every arm, day and user of a source.

    Args:
        source: such as an `OpenLoop`.

    Returns:
        A row a day for each user, and one for all days together, whose day is null; attention,
        seconds, people's life and, where they are asked for, the feeds.
    """
    references: dict[int | None, Ranking] = {}
    # `map` lets go of an arm, and of its world, before it asks for the next one.
    arms = list(map(partial(_measured, source, references), source.arms()))
    return CellResult(
        pl.concat([frame for arm in arms for frame in arm.rows]),
        pl.DataFrame(
            [row for arm in arms for row in arm.timings], schema_overrides={"day": pl.Int32}
        ),
        source.life(),
        feeds_in_one([frame for arm in arms for frame in arm.kept]),
        pl.concat([pl.DataFrame(schema=EXPOSURE), *(f for arm in arms for f in arm.exposure)]),
    )


@dataclass(frozen=True)
class _Rows:
    """What was measured in one arm."""

    rows: list[pl.DataFrame] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    exposure: list[pl.DataFrame] = field(default_factory=list)
    kept: list[pl.DataFrame] = field(default_factory=list)


def _measured(source: Source, references: dict[int | None, Ranking], arm: ArmFeeds) -> _Rows:
    """The rows of an arm; the first arm fills the references."""
    made = _Rows()
    by_cohort: dict[str, list[pl.DataFrame]] = {}
    pairs: list[FeedPair] = []
    previous: Ranking | None = None
    for day in source.days:
        on_day = arm.on(day)
        served = on_day.feeds()
        panel = served.groups[0].feeds
        reference = references.setdefault(day, panel)
        if not arm.reported:
            continue
        for group in served.groups:
            keys = {**arm.keys, "day": day, "cohort": group.cohort}
            if group.cohort == INCUMBENT:
                without = on_day.without_newcomers(panel)
                pair = on_day.pair(group, reference, previous, without)
                pairs.append(pair)
            else:  # newcomers have no feed in the reference: their quality is measured alone
                pair = on_day.pair(group, group.feeds, None, None)
            compared = arm.compared and group.cohort == INCUMBENT
            ids = arm.user_ids.gather(group.users)
            rows = rows_of(pair, source.measures, ids, keys, compared=compared)
            by_cohort.setdefault(group.cohort, []).append(rows)
            pool = on_day.pool(group)
            if pool is not None:
                shown = group.feeds.item_ids
                made.exposure.append(exposure_rows(keys, shown, pair.examine, pool))
            if arm.kept:
                made.kept.append(feeds_of(keys, ids, arm.item_ids, group.feeds))
        previous = panel
        made.timings.append(_timing(arm.keys, day, served))
    for cohort, days in by_cohort.items():
        if source.days != (None,):  # rows without a day are the headline already
            whole = pairs if cohort == INCUMBENT else []
            made.rows.append(headline_of(days, whole, source.measures))
        made.rows.extend(days)
    return made


def _timing(keys: Mapping[str, Any], day: int | None, served: Served) -> dict[str, Any]:
    named = {name: keys[name] for name in ("recommender", "mitigation", "seed", "arm")}
    return {**named, "day": day, "fit_s": served.fit_s, "serve_s": served.serve_s}
