"""From feeds to rows: a row for each user, a column for each measure.

`rows_of` makes the rows of one arm on one day. `headline_of` makes the rows of all days together;
their day is null.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import ConfigError
from recsys.logs.log import item_codes
from recsys.logs.schema import COHORTS
from recsys.measures.mix_drift import mix_measure, share_measure
from recsys.measures.pair import FeedPair, Measure
from recsys.measures.registry import MEASURES, available

KEY_TYPES: dict[str, Any] = {
    "recommender": pl.String,
    "mitigation": pl.String,
    "arm": pl.String,
    "seed": pl.Int64,
    "draw": pl.Int32,
    "day": pl.Int32,
    "cohort": COHORTS,
}
"""Columns that say which feeds a row is about, and their types."""

KEYS = (*KEY_TYPES, "user_id")
"""Columns that say what a row is about; all other columns are measures."""

_FIELDS = {field.name for field in fields(FeedPair)}
_OF_MEASURES = {need for measure in MEASURES.values() for need in measure.needs} - _FIELDS
"""Attributes that measures are made for, such as topic."""
_FORMER = {"notes"}
"""Names that measures had in earlier versions: old notebooks look for figures under them."""
_TAKEN = {*KEYS, *MEASURES, *_FORMER, *_FIELDS, "feeds", "measure", ""} - _OF_MEASURES
"""Names that an attribute cannot have: of columns, of measures, and of what measures need."""

_MOST_SHARES = 6
"""An attribute with at most this many values gets a measure for the share of each value."""

_USERS_AT_ONCE = 8_000
"""Users measured together. With fewer, the calls take most of the time; with more, the arrays do
not fit the processor's cache."""

Attributes = Mapping[str, tuple[NDArray[np.int32], list[str]]]
"""By attribute: the code of each item, int32 (n_items,), and the label of each code."""


def attributes_of(
    items: pl.DataFrame, columns: Mapping[str, str], where: str = "log.attributes"
) -> Attributes:
    """Codes and labels of items' attributes.

    Args:
        items: a log's items.
        columns: by name of the attribute, the column of `items` that holds it, such as
            {"topic": "topic"}.
        where: the key or argument that names the attributes, for messages.

    Raises:
        ConfigError: an attribute has a name that recsys uses itself, such as that of a measure.
        LogError: a column is missing, or holds lists.

    >>> attributes_of(pl.DataFrame({"item_id": [7], "z": ["x"]}), {"posts": "z"})
    Traceback (most recent call last):
    ...
    recsys.core.errors.ConfigError: log.attributes: 'posts' is a name of recsys' own, so its figures
    would take the place of others; call the attribute something else, as in {my_posts: z}
    """
    for name, column in columns.items():
        if is_taken(name) or ":" in name:
            raise ConfigError(
                f"{where}: {name!r} is a name of recsys' own, so its figures would take the place "
                "of others; call the attribute something else, as in "
                f"{{my_{name.replace(':', '_').strip()}: {column}}}"
            )
    return {name: item_codes(items, column) for name, column in columns.items()}


def is_taken(attribute: str) -> bool:
    """Whether an attribute cannot have a name, because recsys uses the name itself.

    >>> is_taken("topic"), is_taken("posts"), is_taken("day")
    (False, True, True)
    """
    return attribute.strip() in _TAKEN


def measures_of(provides: Sequence[str], attributes: Attributes) -> dict[str, Measure]:
    """The measures that can be computed from what a study has.

    First come the measures of `MEASURES` whose inputs are there. An attribute that none of these
    measures needs gets a measure of its mix. An attribute with few values also gets a measure for
    the share of each value.

    Args:
        provides: optional fields of `FeedPair` that will be filled, such as ["from_newcomers"].
        attributes: codes and labels of the items' attributes.

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
    """What each measure means, a row each: measure, title, kind, unit and formula.

    Args:
        measures: by name.

    >>> described({"posts": MEASURES["posts"]}).row(0)[:3]
    ('posts', 'drift of posts', 'drift')
    """
    names = ("title", "kind", "unit", "formula")
    rows = [(key, *(getattr(m, name) for name in names)) for key, m in measures.items()]
    return pl.DataFrame(rows, schema=dict.fromkeys(("measure", *names), pl.String), orient="row")


def is_level(measure: str) -> bool:
    """Whether a measure is a level: it describes one arm's feeds alone.

    The drift of a level is its difference between two arms.

    Args:
        measure: its name, such as "utility" or "language:en".

    >>> is_level("utility"), is_level("language:en"), is_level("posts"), is_level("genre")
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
    """One row for each user: the keys, the user, and each measure.

    Measures whose inputs are missing from the pair are null, and so are those that are undefined
    for a user.

    Args:
        pair: feeds of n users.
        measures: what to compute, by name.
        user_ids: (n,), ids of the users.
        keys: recommender, mitigation, arm, seed, draw, day and cohort of all rows.
        compared: whether `pair.reference` holds feeds of another arm. If not, there is nothing to
            drift from, and measures of drift are null.

    Returns:
        The columns of `KEYS`, then one for each measure, float64.
    """
    computable = {
        name: measure
        for name, measure in measures.items()
        if (compared or measure.kind == "level") and pair.provides.issuperset(measure.needs)
    }
    computed = _values_of(pair, computable)
    n = len(user_ids)
    nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, n)
    values = (
        pl.Series(name, computed[name], nan_to_null=True)
        if name in computed
        else nothing.alias(name)
        for name in measures
    )
    # Columns are put together as they are: an expression takes longer than all of them.
    same = (pl.Series(name, [keys[name]], dtype=kind) for name, kind in KEY_TYPES.items())
    return pl.DataFrame(
        [*(key.new_from_index(0, n) for key in same), user_ids.alias("user_id"), *values]
    )


def headline_of(
    days: Sequence[pl.DataFrame], pairs: Sequence[FeedPair], measures: Mapping[str, Measure]
) -> pl.DataFrame:
    """The rows of all days together, whose day is null: each user's mean over the days.

    Measures that are `pooled`, such as those of mixes, are not averaged. They are measured once, on
    the user's feeds of all days laid end to end.

    Args:
        days: rows of each day, from `rows_of`.
        pairs: the feeds of each day; empty for cohorts whose members change from day to day.
        measures: as in `rows_of`.
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
    """Each measure of each user, float64 (n,).

    Users are measured in blocks that fit the processor's cache, several at a time. What measures
    share is kept with the block, and freed with it.
    """

    def of_block(part: FeedPair) -> list[NDArray[np.float64]]:
        return [measure(part) for measure in measures.values()]

    pair = pair.afresh()
    if pair.feeds.shape[0] <= _USERS_AT_ONCE:
        return dict(zip(measures, of_block(pair), strict=True))
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        blocks = list(pool.map(of_block, pair.parts(_USERS_AT_ONCE)))
    return dict(zip(measures, map(np.concatenate, zip(*blocks, strict=True)), strict=True))


def _same_people(days: Sequence[pl.DataFrame]) -> bool:
    """Whether every day has a row for each of the same people, in the same order."""
    first = days[0]["user_id"]
    return all(day["user_id"].equals(first) for day in days[1:]) and first.is_unique().all()


def _mean_over(days: Sequence[pl.Series]) -> NDArray[np.float64]:
    """Mean of each row over the days on which its value is not NaN; NaN if there is no such day.

    The values are summed in the order of days.
    """
    total, count = np.zeros(len(days[0])), np.zeros(len(days[0]))
    for day in days:
        values = day.to_numpy()
        defined = ~np.isnan(values)
        total += np.where(defined, values, 0.0)
        count += defined
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean_by(values: pl.Series, place: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Mean, for each place, of its values that are not null; NaN if all of them are null.

    The values are summed in the order of rows.
    """
    numbers = values.to_numpy()
    defined = ~np.isnan(numbers)
    total = np.bincount(place, np.where(defined, numbers, 0.0), minlength=n)
    count = np.bincount(place[defined], minlength=n)
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
