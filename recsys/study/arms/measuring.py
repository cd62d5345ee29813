"""Measures feeds: `measure` does so in the same way for open, closed and gated loops and for logs.

`measure` takes a `Source`, which hands out its arms (`ArmFeeds`) one after another, the reference
first. An arm gives an `ArmDay` for each evaluated day: the feeds, and the pairs of feeds that
measures take. `measure` compares each arm's feeds with the reference arm's feeds of the same day,
and returns a row for each user. The sources are `OpenLoop`, `ClosedLoop`, `GatedLoop` and
`LogFeeds`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.steps import MEASURING, step
from recsys.measures.attention_rows import EXPOSURE, Pool, exposure_rows
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.rows import headline_of, rows_of
from recsys.recommenders import Ranking
from recsys.study.arms.result import CellResult, feeds_in_one, feeds_of
from recsys.study.arms.snapshots import INCUMBENT, POSTS, Snapshots, posts_of


class Group(NamedTuple):
    """Users of one cohort and their feeds."""

    cohort: str
    """`INCUMBENT` or `NEWCOMER`."""
    users: NDArray[np.int64]
    """Dense ids (n,)."""
    feeds: Ranking
    """Their feeds (n, k)."""


class Served(NamedTuple):
    """The feeds of one arm on one day, and how long it took to make them."""

    groups: Sequence[Group]
    """The panel first, then the newcomers if there are any on this day."""
    fit_s: float = 0.0
    """Seconds that fitting the recommender took."""
    serve_s: float = 0.0
    """Seconds that making feeds from the fit took."""


class ArmDay(Protocol):
    """One arm on one day."""

    def feeds(self) -> Served:
        """The feeds to measure."""

    def without_newcomers(self, feeds: Ranking) -> NDArray[np.int32] | None:
        """The panel's feeds from a fit to the same log without newcomers' events.

        One-step drift compares these feeds with the panel's own.

        Args:
            feeds: the panel's feeds (n, k). The method returns these feeds themselves where there
                is no other fit to make, such as before the newcomers come.

        Returns:
            int32 (n, k) items, or None if the study does not ask for one-step drift.
        """

    def pair(
        self,
        group: Group,
        reference: Ranking,
        previous: Ranking | None,
        without: NDArray[np.int32] | None,
    ) -> FeedPair:
        """A group's feeds beside the reference's, with all that the measures need.

        Args:
            group: one of the groups that `feeds` gives.
            reference: feeds of the same users in the reference arm (n, k).
            previous: feeds of the same users on the measured day before (n, k), or None.
            without: what `without_newcomers` gives, or None.
        """

    def pool(self, group: Group) -> Pool | None:
        """The posts that could have been served to a group; None if attention is not measured."""


@dataclass(frozen=True)
class ArmFeeds:
    """One arm of a source.

    Attributes:
        keys: the arm's values of the key columns recommender, mitigation, arm, seed and draw.
        on: function that takes one of the source's days and gives the arm on that day.
        user_ids: the ids that the log or world gives its users (n_users,).
        items: the log's or world's items (n_items,), with the column item_id.
        attributes: by attribute, the column of `items` that holds it, such as {"topic": "topic"}.
        compared: whether drift is measured; it is for every arm except the reference.
        reported: whether the arm has rows in the result. False for a reference whose rows another
            cell reports.
    """

    keys: Mapping[str, Any]
    on: Callable[[Any], ArmDay]
    user_ids: pl.Series
    items: pl.DataFrame
    attributes: Mapping[str, str]
    compared: bool
    reported: bool = True


class Source(Protocol):
    """Gives the feeds of one cell of a study."""

    @property
    def days(self) -> tuple[int | None, ...]:
        """The days that are measured, such as (1, 3); `(None,)` for a log, which has no days."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """The measures to take, by name."""

    def arms(self) -> Iterator[ArmFeeds]:
        """The arms, the reference first. `measure` frees each arm before it asks for the next."""

    def life(self) -> pl.DataFrame:
        """Visits, clicks and satisfaction of a world's people, as
        `recsys.study.arms.result.life_of` gives them; no row for a log."""


def measure(source: Source, snapshots: Snapshots | None = None) -> CellResult:
    """Measures the feeds of every arm, day and user of a source.

    Args:
        source: such as an `OpenLoop`.
        snapshots: which feeds go into the result themselves; None for no feed.

    Returns:
        The frame `per_user` has a row for each arm, day and user. It also has a row for each arm
        and user over all days together; the day of such a row is null. Other frames hold the
        spread of attention, the seconds that fits and serving took, people's life and the
        feeds that are kept.
    """
    references: dict[int | None, Ranking] = {}
    # `map` lets go of an arm, and of its world, before it asks for the next one. A `for` loop's
    # variable would hold on to it.
    arms = list(map(partial(_measured, source, references, snapshots), source.arms()))
    posts = [frame for arm in arms for frame in arm.posts]
    return CellResult(
        pl.concat([frame for arm in arms for frame in arm.rows]),
        pl.DataFrame(
            [row for arm in arms for row in arm.timings], schema_overrides={"day": pl.Int32}
        ),
        source.life(),
        feeds_in_one([frame for arm in arms for frame in arm.kept]),
        pl.concat([pl.DataFrame(schema=EXPOSURE), *(f for arm in arms for f in arm.exposure)]),
        posts=pl.concat(posts) if posts else pl.DataFrame(schema=POSTS),
    )


@dataclass(frozen=True)
class _Rows:
    """What was measured in one arm."""

    rows: list[pl.DataFrame] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    exposure: list[pl.DataFrame] = field(default_factory=list)
    kept: list[pl.DataFrame] = field(default_factory=list)
    posts: list[pl.DataFrame] = field(default_factory=list)


def _measured(
    source: Source,
    references: dict[int | None, Ranking],
    snapshots: Snapshots | None,
    arm: ArmFeeds,
) -> _Rows:
    """Measures one arm.

    Args:
        source: the source that the arm is from.
        references: the panel's feeds in the reference arm, by day. The first arm, which is the
            reference, adds them.
        snapshots: which feeds are kept; None for no feed.
        arm: the arm to measure.
    """
    measured = _Rows()
    kept = snapshots.cohorts_of(arm.keys) if snapshots is not None else ()
    shown: list[NDArray[np.int32]] = []
    pools: dict[str, Pool] = {}
    by_cohort: dict[str, list[pl.DataFrame]] = {}
    pairs: list[FeedPair] = []
    previous: Ranking | None = None
    for day in source.days:
        step(MEASURING, _title(arm.keys, day))
        arm_day = arm.on(day)
        served = arm_day.feeds()
        panel = served.groups[0].feeds
        reference = references.setdefault(day, panel)
        if not arm.reported:
            continue
        for group in served.groups:
            keys = {**arm.keys, "day": day, "cohort": group.cohort}
            if group.cohort == INCUMBENT:
                without = arm_day.without_newcomers(panel)
                pair = arm_day.pair(group, reference, previous, without)
                pairs.append(pair)
            else:  # newcomers have no feeds in the reference, so only levels are measured
                pair = arm_day.pair(group, group.feeds, None, None)
            compared = arm.compared and group.cohort == INCUMBENT
            ids = arm.user_ids.gather(group.users)
            rows = rows_of(pair, source.measures, ids, keys, compared=compared)
            by_cohort.setdefault(group.cohort, []).append(rows)
            pool = arm_day.pool(group)
            if pool is not None:
                pools[group.cohort] = pool
                items = group.feeds.item_ids
                measured.exposure.append(exposure_rows(keys, items, pair.examine, pool))
            if group.cohort in kept:
                measured.kept.append(feeds_of(keys, ids, arm.items["item_id"], group.feeds))
                shown.append(group.feeds.item_ids)
        previous = panel
        measured.timings.append(_timing(arm.keys, day, served))
    for cohort, days in by_cohort.items():
        if source.days != (None,):  # a log's rows have no day, so they are the headline already
            pairs_of_cohort = pairs if cohort == INCUMBENT else []
            measured.rows.append(headline_of(days, pairs_of_cohort, source.measures))
        measured.rows.extend(days)
    if shown:
        shown_ids = np.unique(np.concatenate([feeds.ravel() for feeds in shown]))
        from_newcomers, pool = pairs[-1].from_newcomers, pools.get(INCUMBENT)
        posts = shown_ids[shown_ids >= 0].astype(np.int64), arm.items, arm.attributes
        measured.posts.append(posts_of(arm.keys, *posts, from_newcomers, pool))
    return measured


def _title(keys: Mapping[str, Any], day: int | None) -> str:
    """An arm on a day for people, such as "als, seed 0, influx, day 3"."""
    names = [keys["recommender"], *([keys["mitigation"]] if keys["mitigation"] != "none" else [])]
    draw = f" {keys['draw']}" if keys["draw"] else ""
    when = (
        f"seed {keys['seed']}, {keys['arm']}{draw}" if day is not None else f"{keys['arm']}{draw}"
    )
    return f"{' + '.join(names)}, {when}{'' if day is None else f', day {day}'}"


def _timing(keys: Mapping[str, Any], day: int | None, served: Served) -> dict[str, Any]:
    arm = {name: keys[name] for name in ("recommender", "mitigation", "seed", "arm")}
    return {**arm, "day": day, "fit_s": served.fit_s, "serve_s": served.serve_s}
