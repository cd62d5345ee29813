"""All tables of a study: what is in drift.csv, summary.csv and the rest, and how each is made.

To add a table:

1. Write a file in this folder, named as the table. It holds `COLUMNS`, with the type and meaning of
   each column, and a function that makes the table from `Rows` or from some of their frames.
2. Add an entry to `_ALL` below: the table's name, what a row is, its columns, the function, and
   which studies have it.
3. Add what `TABLES[name].described()` prints to docs/measures.md; a test checks that it is there.

`StudyResult.tables`, the files of a study and the artifacts in MLflow follow from the entry.
"""

from recsys.config import Study
from recsys.study.arms.gated import RUNGS
from recsys.study.tables import (
    channels,
    counted,
    drift,
    exposure,
    front,
    gathered,
    groups,
    headline,
    life,
    matching,
    measures,
    mix,
    power,
    quantiles,
    recovery,
    shown_users,
    summary,
    wins,
)
from recsys.study.tables.table import Condition, Table


def _has_mitigations(study: Study) -> bool:
    return any(chain.parts for chain in study.mitigations)


def _has_a_reversal(study: Study) -> bool:
    return study.world.influx.reversal_day is not None


_GROUPED = Condition("with `evaluation.groups`", lambda study: bool(study.evaluation.groups))
_MITIGATED = Condition("with mitigations", _has_mitigations)
_REVERSED = Condition("with a reversal", _has_a_reversal)
_SPLIT = Condition("with `channels`", lambda study: study.channels)

_BINARY = ("parquet",)
_TEXT = ("csv",)

_ALL = (
    Table(
        "per_user",
        row="a user, arm, seed and day",
        columns=gathered.PER_USER,
        make=lambda rows: rows.per_user,
        files=_BINARY,
        measures=True,
    ),
    Table(
        "headline",
        row="a group of incumbents, or the slots of a source, on a day",
        columns=headline.COLUMNS,
        make=headline.headline,
        of="world",
    ),
    Table(
        "summary",
        row="a measure in an arm, of a cohort, on a day",
        columns=summary.COLUMNS,
        make=lambda rows: summary.summarise(rows.per_user),
    ),
    Table(
        "drift",
        row="a measure of the incumbents' feeds on a day",
        columns=drift.COLUMNS,
        make=lambda rows: rows.drift_of(rows.per_user),
    ),
    Table(
        "quantiles",
        row="a measure in an arm, of a cohort, on a day",
        columns=quantiles.COLUMNS,
        make=lambda rows: quantiles.quantiles(rows.per_user),
    ),
    Table(
        "wins",
        row="a measure and another arm on a day",
        columns=wins.COLUMNS,
        make=lambda rows: wins.wins_of(rows.per_user),
    ),
    Table(
        "groups",
        row="a group of incumbents and a measure, over all days",
        columns=groups.COLUMNS,
        make=lambda rows: groups.groups_of(
            rows.per_user, rows.users, rows.study.evaluation.groups, rows.drift_of
        ),
        when=_GROUPED,
    ),
    Table(
        "exposure",
        row="a measure of attention in an arm, of a cohort's feeds, on a day",
        columns=exposure.COLUMNS,
        make=lambda rows: exposure.exposure_summary(rows.exposure),
    ),
    Table(
        "measures",
        row="a measure",
        columns=measures.COLUMNS,
        make=lambda rows: measures.measures_in(
            rows.per_user, rows.attributes, RUNGS if rows.study.channels else ()
        ),
    ),
    Table(
        "life",
        row="an arm, seed, day and cohort; a log has none",
        columns=life.COLUMNS,
        make=life.life,
    ),
    Table(
        "front",
        row="a quantity under a mitigation",
        columns=front.COLUMNS,
        make=lambda rows: front.front(rows.per_user),
        of="world",
        when=_MITIGATED,
        files=_TEXT,
    ),
    Table(
        "dominated",
        row="a mitigation and another that is better",
        columns=front.DOMINATED,
        make=lambda rows: front.dominated(rows.per_user),
        of="world",
        when=_MITIGATED,
        files=_TEXT,
    ),
    Table(
        "recovery",
        row="a measure and an event after the reversal",
        columns=recovery.COLUMNS,
        make=recovery.recovery_of,
        of="world",
        when=_REVERSED,
        files=_TEXT,
        written_empty=False,
    ),
    Table(
        "power",
        row="a primary measure",
        columns=power.COLUMNS,
        make=lambda rows: power.power_of_world(rows.per_user, rows.study.arms),
        of="world",
        files=_TEXT,
        written_empty=False,
    ),
    Table(
        "channels",
        row="a part of a measure's composition effect that a channel has, on a day",
        columns=channels.COLUMNS,
        make=lambda rows: channels.channels(rows.games),
        of="world",
        when=_SPLIT,
        files=_TEXT,
    ),
    Table(
        "games",
        row="a user, set of open gates, arm, seed and day: what `channels` is made from",
        columns=gathered.GAMES,
        make=lambda rows: rows.games,
        of="world",
        when=_SPLIT,
        files=_BINARY,
    ),
    Table(
        "arrivals",
        row="a period in which newcomers were looked for, with `log.newcomers: auto`",
        columns=gathered.ARRIVED,
        make=lambda rows: rows.arrivals,
        of="log",
        files=_TEXT,
        written_empty=False,
    ),
    Table(
        "counted",
        row="a part of what incumbents were shown, where impressions are kept",
        columns=counted.COLUMNS,
        make=lambda rows: rows.counted,
        of="log",
        files=_TEXT,
        written_empty=False,
    ),
    Table(
        "mix",
        row="a value of an attribute of posts, or its mix as a whole",
        columns=mix.COLUMNS,
        make=lambda rows: mix.mix_of(
            rows.per_user, rows.attributes, float(rows.matching["crowding"][0])
        ),
        of="log",
        files=_TEXT,
        written_empty=False,
    ),
    Table(
        "matching",
        row="the newcomers of the log",
        columns=matching.COLUMNS,
        make=lambda rows: rows.matching,
        of="log",
        files=_TEXT,
    ),
    Table(
        "exposed",
        row="an outcome in the view by exposure, where the day of arrival is known",
        columns=gathered.BY_EXPOSURE,
        make=lambda rows: rows.exposed,
        of="log",
        files=_TEXT,
        written_empty=False,
    ),
    Table(
        "removals",
        row="a recommender from which users can be removed exactly",
        columns=gathered.REMOVED,
        make=lambda rows: rows.removals,
        of="log",
        files=_TEXT,
        written_empty=False,
    ),
    Table(
        "feeds",
        row="a slot of a measured feed, of the users in `shown_users`, or of all with "
        "`evaluation.snapshots`",
        columns=gathered.FEEDS,
        make=shown_users.feeds,
        files=_BINARY,
        uploaded=False,
    ),
    Table(
        "shown_users",
        row="a user whose feeds are shown side by side",
        columns=shown_users.COLUMNS,
        make=shown_users.shown_users,
        files=_TEXT,
    ),
    Table(
        "shown_posts",
        row="a post in such a user's feeds, in an arm",
        columns=shown_users.SHOWN_POSTS,
        make=shown_users.shown_posts,
        files=_BINARY,
        uploaded=False,
    ),
    Table(
        "timings",
        row="a fit and its serving",
        columns=gathered.TIMINGS,
        make=gathered.timings,
        files=_BINARY,
        uploaded=False,
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}
"""Every table by name."""
