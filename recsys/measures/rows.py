"""From feeds to rows: every measure of every user's feed in one arm, one row a user.

Each day gives a row, and all days together give another, whose day is null: the headline.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.logs.log import item_codes
from recsys.logs.schema import COHORTS
from recsys.measures.mix_drift import mix_measure, share_measure
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.registry import MEASURES, available

KEYS = ("recommender", "mitigation", "arm", "seed", "draw", "day", "cohort", "user_id")
"""What identifies a row of per-user values; the other columns are measures."""

_MOST_SHARES = 6
"""The share of each value is measured for attributes with at most so many values."""

_READERS_AT_ONCE = 8_000
"""Measured together: fewer, and calls cost more than they save; more, and caches overflow."""

Attributes = Mapping[str, tuple[NDArray[np.int32], list[str]]]
"""Codes of the items, and what each code stands for, by attribute."""


def attributes_of(items: pl.DataFrame, columns: Mapping[str, str]) -> Attributes:
    """Codes and labels of items' attributes.

    Args:
        items: a log's items.
        columns: column of `items` by name of the attribute.
    """
    return {name: item_codes(items, column) for name, column in columns.items()}


def measures_of(provides: Sequence[str], attributes: Attributes) -> dict[str, Measure]:
    """The measures that can be computed, and mixes and shares by each attribute at hand.

    Args:
        provides: optional `FeedPair` fields at hand.
        attributes: item attributes at hand.

    >>> codes = np.zeros(3, np.int32)
    >>> list(measures_of([], {"genre": (codes, ["drama", "news"])}))[-3:]
    ['genre', 'genre:drama', 'genre:news']
    """
    several = ("attributes",) if len(attributes) > 1 else ()
    chosen = {name: MEASURES[name] for name in available([*provides, *attributes, *several])}
    for name, (_, labels) in attributes.items():
        if not any(name in measure.needs for measure in chosen.values()):
            chosen[name] = mix_measure(name, (name,), "tv")
        if len(labels) <= _MOST_SHARES:
            shares = [share_measure(name, code, label) for code, label in enumerate(labels)]
            chosen |= {share.name: share for share in shares}
    return chosen


def described(measures: Mapping[str, Measure]) -> pl.DataFrame:
    """measure · title · kind · unit · formula, a row each: what a column of figures means.

    >>> described({"notes": MEASURES["notes"]}).row(0)[:3]
    ('notes', 'drift of notes', 'drift')
    """
    names = ("title", "kind", "unit", "formula")
    rows = [(key, *(getattr(m, name) for name in names)) for key, m in measures.items()]
    return pl.DataFrame(rows, schema=dict.fromkeys(("measure", *names), pl.String), orient="row")


def is_level(measure: str) -> bool:
    """Whether a measure describes feeds alone, so that arms are compared by differences.

    >>> is_level("utility"), is_level("language:en"), is_level("notes"), is_level("genre")
    (True, True, False, False)
    """
    return ":" in measure or (measure in MEASURES and MEASURES[measure].kind == "level")


def rows_of(
    pair: FeedPair,
    measures: Mapping[str, Measure],
    user_ids: pl.Series,
    keys: Mapping[str, Any],
    *,
    compared: bool = True,
) -> pl.DataFrame:
    """One row a user: the keys, the user, and each measure.

    Args:
        pair: the users' feeds.
        measures: what to compute.
        user_ids: (n,) people's ids.
        keys: recommender, mitigation, arm, seed, draw, day and cohort of all rows.
        compared: whether the reference is another arm's; if not, drift is null, as is what the pair
            lacks the needs of.
    """
    known = {
        name: measure
        for name, measure in measures.items()
        if (compared or measure.kind == "level") and pair.provides.issuperset(measure.needs)
    }
    found = _values_of(pair, known)
    values = {name: found.get(name) for name in measures}
    return pl.DataFrame({"user_id": user_ids}).select(
        *(pl.lit(keys[name]).cast(_DTYPES[name]).alias(name) for name in KEYS[:-1]),
        "user_id",
        *(
            pl.lit(None, dtype=pl.Float64).alias(name)
            if value is None
            else pl.Series(name, value, nan_to_null=True)
            for name, value in values.items()
        ),
    )


def headline_of(
    days: Sequence[pl.DataFrame], pairs: Sequence[FeedPair], measures: Mapping[str, Measure]
) -> pl.DataFrame:
    """The rows of all days together: day is null, each user's mean over the days.

    Mixes are measured on the days' feeds laid end to end, where those compare two arms.

    Args:
        days: rows of each day, from `rows_of`.
        pairs: the feeds of each day, or none for cohorts whose members change from day to day.
        measures: as for the rows.
    """
    if _same_people(days):
        first_rows = days[0]
        means = {name: _mean_over([day[name] for day in days]) for name in measures}
    else:
        rows = pl.concat(days)
        users, first, place = np.unique(
            rows["user_id"].to_numpy(), return_index=True, return_inverse=True
        )
        in_order = np.argsort(first)
        first_rows = rows[np.sort(first)]
        means = {name: _mean_by(rows[name], place, users.size)[in_order] for name in measures}
    headline = first_rows.with_columns(
        pl.lit(None, dtype=pl.Int32).alias("day"),
        *(pl.Series(name, mean, nan_to_null=True) for name, mean in means.items()),
    )
    if not pairs:
        return headline
    long = _end_to_end(pairs)
    pooled = {
        name: measure
        for name, measure in measures.items()
        if measure.pooled and any(day[name].null_count() < day.height for day in days)
    }
    return headline.with_columns(
        pl.Series(name, value, nan_to_null=True) for name, value in _values_of(long, pooled).items()
    )


def _values_of(pair: FeedPair, measures: Mapping[str, Measure]) -> dict[str, NDArray[np.float64]]:
    """Each measure of each reader, in blocks of readers whose arrays stay in the processor's cache,
    in threads if there are several blocks. What measures share is forgotten with the block."""

    def of_block(part: FeedPair) -> list[NDArray[np.float64]]:
        return [measure(part) for measure in measures.values()]

    pair = pair.afresh()
    if pair.feeds.shape[0] <= _READERS_AT_ONCE:
        return dict(zip(measures, of_block(pair), strict=True))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = list(pool.map(of_block, pair.parts(_READERS_AT_ONCE)))
    return dict(zip(measures, map(np.concatenate, zip(*blocks, strict=True)), strict=True))


def _same_people(days: Sequence[pl.DataFrame]) -> bool:
    """Whether every day has a row for each of the same people, in the same order."""
    first = days[0]["user_id"]
    return all(day["user_id"].equals(first) for day in days[1:]) and first.is_unique().all()


def _mean_over(days: Sequence[pl.Series]) -> NDArray[np.float64]:
    """Mean of the known values of each row, summed in the order of days; NaN where none is."""
    total, count = np.zeros(len(days[0])), np.zeros(len(days[0]))
    for day in days:
        values = day.to_numpy()
        known = ~np.isnan(values)
        total += np.where(known, values, 0.0)
        count += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean_by(values: pl.Series, place: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Mean of the known values at each place, summed in the order of rows; NaN where none is."""
    known = values.is_not_null().to_numpy()
    total = np.bincount(place, values.fill_null(0.0).to_numpy(), minlength=n)
    count = np.bincount(place[known], minlength=n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _end_to_end(pairs: Sequence[FeedPair]) -> FeedPair:
    return FeedPair(
        reference=np.concatenate([pair.reference for pair in pairs], axis=1),
        feeds=np.concatenate([pair.feeds for pair in pairs], axis=1),
        attributes=pairs[-1].attributes,
        from_newcomers=pairs[-1].from_newcomers,
        examine=np.concatenate([pair.examine for pair in pairs]),
        history=pairs[-1].history,
    )


_DTYPES: dict[str, Any] = {
    "recommender": pl.String,
    "mitigation": pl.String,
    "arm": pl.String,
    "seed": pl.Int64,
    "draw": pl.Int32,
    "day": pl.Int32,
    "cohort": COHORTS,
}
