"""What a log holds, before a study of it: rows, arrivals, possible newcomers, what can be run.

A log is described as it is, from any frames; nothing is trained.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice

import numpy as np
import polars as pl

from recsys.config import AUTO, OwnLog
from recsys.config.text import parsed
from recsys.core.errors import ConfigError, LogError, UserError
from recsys.logs.conditions import holds, quoted, why_no_dates
from recsys.logs.frames import renamed
from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog, active_days, by_time
from recsys.logs.read import marked
from recsys.logs.schema import COHORTS, KINDS
from recsys.recommenders import RECOMMENDERS
from recsys.statistics.arrivals import Wave
from recsys.study.arms.placebos import placebos_of
from recsys.study.suggest import Suggestion, suggestion_of

ALIASES: dict[str, tuple[str, ...]] = {
    "user_id": ("userid", "user", "uid", "memberid", "member", "visitorid", "customerid"),
    "item_id": (
        *("itemid", "item", "iid", "postid", "noteid", "videoid", "photoid", "movieid"),
        *("productid", "articleid", "newsid", "trackid", "songid", "bookid", "isbn", "goodsid"),
        *("product", "sku"),
    ),
    "timestamp": ("timestamp", "time", "ts", "datetime", "date", "createdat", "eventtime"),
    "creator_id": ("creatorid", "authorid", "uploaderid", "channelid"),
    "joined": ("joined", "joindate", "joinedat", "registered", "registrationdate", "signupdate"),
}
"""Names of columns that are taken for ours, in lower case and without signs."""
_DAYS = ("day", "age", "tenure", "regist", "since", "member")
_SPANS = (30, 90, 365)
_MOST_VALUES = 200
_MOST_PER_COLUMN = 3
_MOST_PROPOSALS = 8
_FEWEST, _MOST = 0.005, 0.5
"""Least and largest share of the users that a cohort of newcomers may have to be proposed."""
_PANEL = 1000
_LONGEST = ((45, 1), (45 * 7, 7))
"""Arrivals are counted by day or week where the log is at most so many days long, else by 30 days.
"""


@dataclass(frozen=True)
class Proposal:
    """A way to say who the newcomers are.

    Attributes:
        line: the value of `newcomers:` in a config, to paste.
        users: newcomers with events.
        share: share of all users with events.
        events: share of all positive events that are theirs.
        matched: share of their positive events that can be matched with long-time users' activity;
            0 where no group does as much as they did, None where no group can be drawn.
    """

    line: str
    users: int
    share: float
    events: float
    matched: float | None


@dataclass(frozen=True)
class LogDescription:
    """What a log holds; made by `describe_log`.

    Attributes:
        log: the log.
        kinds: kind · rows, the most frequent first.
        span: first and last day; None in a log without times.
        arrivals: from (date) · days · first_seen (int), the users first seen in each period.
        wave: the wave of newcomers that was found; None if there is none.
        no_wave: why there is none; empty if one was found.
        arrived: first day of the wave.
        ended: last day of the wave; None if it goes on until the log ends.
        panel: how many long-time users a study of the log may measure.
        proposals: ways to say who the newcomers are, the wave first.
        recommenders: name of each recommender, and why it cannot run on the log; empty if it can.
        hints: what else the columns may tell, as sentences.
        suggestion: lines of a config that the columns suggest; the log is described as with them.
    """

    log: InteractionLog
    kinds: pl.DataFrame
    span: tuple[date, date] | None
    arrivals: pl.DataFrame
    wave: Wave | None
    no_wave: str
    arrived: date | None
    ended: date | None
    panel: int
    proposals: tuple[Proposal, ...]
    recommenders: Mapping[str, str]
    hints: tuple[str, ...]
    suggestion: Suggestion


def named(columns: list[str]) -> dict[str, str]:
    """Columns of a file that are likely ours under another name: theirs by ours.

    Args:
        columns: names of a file's columns. A column that has our name needs no other.

    >>> named(["userId", "movieId", "rating"]), named(["user_id", "member"])
    ({'user_id': 'userId', 'item_id': 'movieId'}, {})
    """
    plain = {"".join(c for c in name.lower() if c.isalnum()): name for name in reversed(columns)}
    found = {}
    for ours, aliases in ALIASES.items():
        theirs = next((plain[alias] for alias in aliases if alias in plain), None)
        if ours not in columns and theirs is not None:
            found[ours] = theirs
    return found


def describe_log(
    events: pl.DataFrame,
    users: pl.DataFrame | None = None,
    items: pl.DataFrame | None = None,
    *,
    timezone: str = "UTC",
) -> LogDescription:
    """Describes a log: rows, span, arrivals, cohorts, and which recommenders can run on it.

    Args:
        events: user_id and item_id, and what else `InteractionLog.from_frames` knows.
        users: user_id and attributes; None if there is no such table.
        items: item_id and attributes; None if there is no such table.
        timezone: zone in which days begin, such as "Asia/Shanghai".

    Raises:
        LogError: the frames hold no valid log.

    Example:
        >>> found = describe_log(pl.DataFrame({"user_id": [1, 1, 2], "item_id": [7, 8, 7]}))
        >>> found.log.n_users, found.span, found.recommenders["trending"]
        (2, None, '')
    """
    suggestion = suggestion_of(events, users, items, timezone)
    source = OwnLog(
        events="events",
        newcomers=AUTO,
        timezone=timezone,
        kinds=suggestion.kinds,
        weights=suggestion.weights,
        cancels=suggestion.cancels,
    )
    log = _log(events, users, items, suggestion, source)
    span = _span(log, timezone)
    wave, no_wave = _wave(log, source)
    counts = log.dense.group_by("kind").len("rows").sort("rows", "kind", descending=[True, False])
    return LogDescription(
        log=log,
        kinds=counts,
        span=span,
        arrivals=_arrivals(log, span, timezone),
        wave=None if wave is None else wave.wave,
        no_wave=no_wave,
        arrived=None if wave is None else wave.arrived,
        ended=None if wave is None else _end_of(wave),
        panel=_panel(log, source),
        proposals=tuple(islice(_proposals(log, wave, source), _MOST_PROPOSALS)),
        recommenders=_able(log),
        hints=(*filter(None, map(why_no_dates, log.users)), *_hints(events, suggestion)),
        suggestion=suggestion,
    )


def _log(
    events: pl.DataFrame,
    users: pl.DataFrame | None,
    items: pl.DataFrame | None,
    suggestion: Suggestion,
    source: OwnLog,
) -> InteractionLog:
    """The log as a config with what is suggested would read it."""
    frames = {"events": events, "users": users, "items": items}
    given = {name: frame for name, frame in frames.items() if frame is not None}
    read = renamed(given, suggestion.columns)
    everybody = read.get("users")
    if suggestion.of_users:
        values = read["events"].group_by("user_id", maintain_order=True)
        found = values.agg(pl.col(suggestion.of_users).drop_nulls().first())
        both = everybody is not None and everybody.schema["user_id"] == found.schema["user_id"]
        if both and everybody is not None:
            everybody = everybody.join(found, on="user_id", how="left", maintain_order="left")
        everybody = found if everybody is None else everybody
    return InteractionLog.from_frames(
        marked(read["events"], source),
        everybody,
        read.get("items"),
        weights=source.weights,
        timezone=source.timezone,
    )


def _span(log: InteractionLog, timezone: str) -> tuple[date, date] | None:
    if not log.has_times:
        return None
    days = log.dense["timestamp"].dt.convert_time_zone(timezone).dt.date()
    first, last = days.min(), days.max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    return first, last


def _arrivals(log: InteractionLog, span: tuple[date, date] | None, timezone: str) -> pl.DataFrame:
    """Users first seen, by day, week or 30 days."""
    schema = {"from": pl.Date, "days": pl.Int32, "first_seen": pl.Int64}
    if span is None:
        return pl.DataFrame(schema=schema)
    length = (span[1] - span[0]).days + 1
    width = next((days for longest, days in _LONGEST if length <= longest), 30)
    first = active_days(log, timezone).group_by("user").agg(pl.col("day").min())["day"]
    period = ((first - pl.Series([span[0]])).dt.total_days() // width).to_numpy()
    count = -(-length // width)
    starts = pl.date_range(span[0], span[1], f"{width}d", eager=True).head(count)
    return pl.DataFrame(
        {
            "from": starts,
            "days": [width] * count,
            "first_seen": np.bincount(period, minlength=count)[:count],
        },
        schema=schema,
    )


def _panel(log: InteractionLog, source: OwnLog) -> int:
    """Two fifths of the users with enough likes, so that as many are left for placebo groups."""
    liked = log.dense.filter(pl.col("weight") > 0)["user"].to_numpy()
    enough = np.bincount(liked, minlength=log.n_users) >= source.panel_min_events
    return max(1, min(_PANEL, int(0.4 * enough.sum())))


def _wave(log: InteractionLog, source: OwnLog) -> tuple[DatedLog | None, str]:
    """The wave of newcomers, or why there is none."""
    if not log.has_times:
        return None, "the log has no times"
    try:
        return by_time(log, source), ""
    except LogError as error:
        return None, str(error).removeprefix("log.newcomers: ").partition(" Say who is")[0]


def _proposals(log: InteractionLog, wave: DatedLog | None, source: OwnLog) -> Iterator[Proposal]:
    """The wave, then what the users' columns tell; each with how much can be matched."""
    if wave is not None:
        window = {"from": wave.arrived, "to": _end_of(wave)}
        line = ", ".join(f"{name}: {day}" for name, day in window.items() if day is not None)
        yield _proposal(wave, f"{{first_seen: {{{line}}}}}", source)
    for line in _conditions(log.users):
        new = holds(log.users, line, "newcomers").fill_null(False)
        named_as = pl.when(new).then(pl.lit("newcomer")).otherwise(pl.lit("incumbent"))
        users = log.users.with_columns(cohort=pl.select(named_as.cast(COHORTS)).to_series())
        dated = DatedLog(replace(log, users=users), np.zeros(log.n_users, dtype=np.bool_))
        proposal = _proposal(dated, _in_yaml(line), source)
        if _FEWEST <= proposal.share <= _MOST:
            yield proposal


def _in_yaml(condition: str) -> str:
    """A condition as a config holds it: in quotes where YAML would read it otherwise."""
    try:
        if parsed(f"{{of: {condition}}}", "a condition")["of"] == condition:
            return condition
    except ConfigError:
        pass
    return json.dumps(condition, ensure_ascii=False)


def _end_of(wave: DatedLog) -> date | None:
    """Last day of the wave; None if it goes on until the log ends."""
    inside = wave.arrivals.filter("wave")
    if inside.is_empty() or inside["from"][-1] == wave.arrivals["from"][-1]:
        return None
    after = wave.arrivals.filter(pl.col("from") > inside["from"][-1])["from"][0]
    last = pl.select(pl.lit(after) - pl.duration(days=1)).item()
    assert isinstance(last, date)
    return last


def _proposal(dated: DatedLog, line: str, source: OwnLog) -> Proposal:
    log, liked = dated.log, dated.log.dense.filter(pl.col("weight") > 0)
    has_events = np.zeros(log.n_users, dtype=np.bool_)
    has_events[log.dense["user"].unique().to_numpy()] = True
    users = int((log.newcomers & has_events).sum())
    theirs = float(log.newcomers[liked["user"].to_numpy()].mean()) if liked.height else 0.0
    return Proposal(
        line, users, users / max(int(has_events.sum()), 1), theirs, _matched(dated, source)
    )


def _matched(dated: DatedLog, source: OwnLog) -> float | None:
    """Share of the newcomers' positive events that a study could match."""
    log = dated.log
    incumbents = ~log.newcomers & ~dated.bystanders
    liked = log.dense.filter(pl.col("weight") > 0)["user"].to_numpy()
    activity = np.bincount(liked, minlength=log.n_users)
    eligible = np.flatnonzero(incumbents & (activity >= source.panel_min_events))
    panel = eligible[:: max(2, -(-eligible.size // _PANEL))]
    try:
        matching = placebos_of(
            log,
            panel,
            incumbents,
            0,
            arrived=dated.arrived,
            timezone=source.timezone,
            max_pool_fraction=source.max_pool_fraction,
        ).matching
    except (ValueError, UserError):
        return None
    return matching.event_share if matching.matched else 0.0


def _conditions(users: pl.DataFrame) -> Iterator[str]:
    """SQL conditions on the users' columns that may say who is new."""
    for name in users.columns:
        column, plain = users[name], quoted(name)
        known = column.drop_nulls()
        if name in ("user_id", "key") or known.is_empty() or why_no_dates(column):
            continue
        if name == "cohort":
            if (known == "newcomer").any():
                yield "cohort = 'newcomer'"
        elif column.dtype == pl.Boolean:
            yield plain
        elif column.dtype.is_numeric():
            if any(word in name.lower() for word in _DAYS):
                yield from (f"{plain} <= {days}" for days in _SPANS)
        elif column.dtype in (pl.String, pl.Categorical) or isinstance(column.dtype, pl.Enum):
            values = known.cast(pl.String).value_counts(sort=True)
            if values.height <= _MOST_VALUES and name != "joined":
                some = values.filter(pl.col("count") <= _MOST * users.height)
                names = some.head(_MOST_PER_COLUMN).to_series(0)
                yield from ("{} = '{}'".format(plain, text.replace("'", "''")) for text in names)
        elif isinstance(column.dtype, pl.Date | pl.Datetime):
            late = known.cast(pl.Date).sort()[int(0.9 * (known.len() - 1))]
            yield f"{plain} >= CAST('{late}' AS DATE)"


def _able(log: InteractionLog) -> dict[str, str]:
    """Each recommender and why it cannot run; empty text where it can."""
    found = {}
    for name, recommender in RECOMMENDERS.items():
        try:
            recommender().check(log)
            found[name] = ""
        except LogError as error:
            found[name] = str(error)
    return found


def _hints(events: pl.DataFrame, suggestion: Suggestion) -> Iterator[str]:
    """What the events' columns may say about kinds of events, beyond what is suggested."""
    if "kind" in events.columns or "weight" in events.columns or suggestion.kinds:
        return
    flags = [
        name
        for name, kind in events.schema.items()
        if (kind == pl.Boolean or kind.is_integer()) and events[name].drop_nulls().n_unique() == 2
        if set(events[name].drop_nulls().cast(pl.Int64).unique()) == {0, 1}
    ]
    if flags:
        means = events.select(pl.col(flags).cast(pl.Float64).mean()).row(0)
        shares = ", ".join(f"{n} ({mean:.1%})" for n, mean in zip(flags, means, strict=True))
        yield (
            f"Every row counts as a click. These columns may tell what each row is: {shares}; such "
            f"as kinds: {{click: {_in_yaml(f'{quoted(flags[0])} = 1')}}}, which makes all other "
            "rows impressions."
        )
    names = ", ".join(kind for kind in KINDS.categories if kind != "impression")
    for name, column in events.schema.items():
        values = events[name].drop_nulls().unique() if column == pl.String else None
        if values is not None and 2 <= values.len() <= 12:
            condition = _in_yaml(f"{quoted(name)} = '{sorted(values)[0]}'")
            yield (
                f"{name} has the values {', '.join(sorted(values))}; if they are kinds of events, "
                f"say so: kinds: {{click: {condition}}} (kinds: {names})."
            )
    for name in events.columns:
        if "rating" in name.lower() and events[name].dtype.is_numeric():
            ends = events.select(low=pl.col(name).min(), high=pl.col(name).max())
            low, high = ends.row(0)
            condition = _in_yaml(f"{quoted(name)} <= {low}")
            yield (
                f"{name} goes from {low} to {high} and is not used; say what is a like, such as "
                f'kinds: {{hide: {condition}, click: "true"}} with weights: {{hide: -1}}.'
            )
