"""The table `matching`: how much of a log's newcomers is tested, and against which groups."""

import polars as pl

from recsys.study.arms.placebos import Placebos
from recsys.study.tables.table import Column, Columns, schema_of

COLUMNS: Columns = {
    "newcomers": Column(pl.Int64, "newcomers with a positive event"),
    "newcomers_tested": Column(pl.Int64, "those of them that are left out in the arm `influx`"),
    "events": Column(pl.Int64, "positive events of the newcomers"),
    "events_tested": Column(pl.Int64, "those of the newcomers that are left out"),
    "share": Column(
        pl.Float64, "events_tested / events: the part of their activity that could be matched"
    ),
    "placebo_events": Column(pl.Float64, "positive events of a placebo group, on average"),
    "pool": Column(pl.Int64, "incumbents from whom placebo groups are drawn"),
    "crowding": Column(pl.Float64, "share of the pool that one group takes, by users or by events"),
    "matched": Column(
        pl.Boolean, "whether events and active days of the groups equal those of the newcomers"
    ),
    "joined": Column(
        pl.Boolean,
        "whether what placebos did before the newcomers' first day is left out of both fits",
    ),
    "early": Column(
        pl.Int64, "newcomers who did something before the day that was given as their first"
    ),
}


def matching_table(placebos: Placebos) -> pl.DataFrame:
    """One row on the newcomers that are tested and on the placebo groups.

    Args:
        placebos: of the log as it is measured.

    Returns:
        The columns of `COLUMNS`.
    """
    matching = placebos.matching
    row = {
        "newcomers": matching.newcomer_users_before,
        "newcomers_tested": matching.newcomer_users,
        "events": matching.newcomer_events_before,
        "events_tested": matching.newcomer_events,
        "share": matching.event_share,
        "placebo_events": matching.placebo_events,
        "pool": len(matching.pool),
        "crowding": matching.crowding,
        "matched": matching.matched,
        "joined": placebos.since is not None,
        "early": 0 if placebos.early is None else placebos.early.users,
    }
    return pl.DataFrame([row], schema=schema_of(COLUMNS))
