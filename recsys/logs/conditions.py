"""SQL conditions on the columns of a file: who is a newcomer, what kind of event a row is."""

import re

import polars as pl

from recsys.core.errors import ConfigError
from recsys.logs.columns import shown
from recsys.logs.foreign import FOREIGN, first_line, shortened

_LONGEST = 2_000
"""Number of characters of a condition; much longer ones exhaust the parser's memory."""

_DAY_FIRST = r"^\s*\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b"
"""Dates that can be read in two ways, such as 01/02/2025."""


def holds(frame: pl.DataFrame, text: str, where: str) -> pl.Series:
    """Whether an SQL condition holds in each row; null where SQL says so.

    It is evaluated on the whole frame at once.

    Args:
        frame: a file with its columns.
        text: the condition, such as "register_days <= 365".
        where: the config key that holds it, for messages, such as "log.newcomers".

    Returns:
        Bool (n,).

    Raises:
        ConfigError: it cannot be evaluated; the message names the first row on which it fails.

    >>> holds(pl.DataFrame({"days": [3, None, 900]}), "days < 30", "log.newcomers").to_list()
    [True, None, False]
    """
    if len(text) > _LONGEST:
        raise ConfigError(
            f"{where}: the condition has {len(text):,} characters, more than {_LONGEST:,}; put "
            "what it says into a column of the file"
        )
    try:
        expression = pl.sql_expr(text)
        _check_dates(frame, expression, where)
        result = _evaluated(frame, expression)
    except FOREIGN as error:
        raise ConfigError(_refusal(frame, text, where, error)) from error
    if result.dtype != pl.Boolean:
        raise ConfigError(f"{where}: {text!r} gives {result.dtype}, not true or false")
    if len(result) == 1 and not expression.meta.root_names():
        return result.new_from_index(0, frame.height)  # a constant, such as `true`
    if len(result) != frame.height:
        raise ConfigError(
            f"{where}: {text!r} gives {len(result):,} values for {frame.height:,} rows; give a "
            "condition on each row by itself"
        )
    return result


def names_in(text: str) -> list[str]:
    """The columns that an SQL condition names; none if it cannot be read.

    Args:
        text: the condition.

    >>> names_in("country = 'DE' AND days < 30")
    ['country', 'days']
    """
    if len(text) > _LONGEST:
        return []
    try:
        return list(dict.fromkeys(pl.sql_expr(text).meta.root_names()))
    except FOREIGN:
        return []


def quoted(name: str) -> str:
    """A column as a condition names it: quoted where the name alone would be read otherwise.

    Args:
        name: of the column.

    >>> quoted("days"), quoted("order"), quoted("days here")
    ('days', '"order"', '"days here"')
    """
    plain = name.isidentifier() and names_in(f"{name} or {name} = 1 or {name} in (1, 2)") == [name]
    return name if plain else '"{}"'.format(name.replace('"', '""'))


def _evaluated(frame: pl.DataFrame, expression: pl.Expr) -> pl.Series:
    return frame.select(expression.alias("condition")).to_series()


def _refusal(frame: pl.DataFrame, text: str, where: str, error: BaseException) -> str:
    """The message on a condition that cannot be evaluated, with the first row on which it fails."""
    message = f"{where}: cannot evaluate {shown(text, 200)}: {first_line(error)}"
    row = _first_failing(frame, text)
    if row is not None:
        names = [name for name in pl.sql_expr(text).meta.root_names() if name in frame.columns]
        values = ", ".join(f"{name} is {shown(frame[name][row])}" for name in names)
        return (
            f"{message}. It fails first in row {row + 1}, where {values}; TRY_CAST gives null "
            "where CAST fails"
        )
    return f"{message}. The columns are {shortened(', '.join(frame.columns), 1000)}"


def _first_failing(frame: pl.DataFrame, text: str) -> int | None:
    """The first row on which a condition fails; None if it fails on a frame without rows too."""
    try:
        expression = pl.sql_expr(text)
        _evaluated(frame.clear(), expression)
    except FOREIGN:
        return None
    sound, failing = 0, frame.height
    while failing - sound > 1:
        middle = (sound + failing) // 2
        try:
            _evaluated(frame.slice(sound, middle - sound), expression)
            sound = middle
        except FOREIGN:
            failing = middle
    return sound if frame.height else None


def _check_dates(frame: pl.DataFrame, expression: pl.Expr, where: str) -> None:
    """Raises ConfigError where a condition compares texts such as 01/02/2025 by the alphabet."""
    for name in expression.meta.root_names():
        if name in frame.columns and (why := why_no_dates(frame[name])):
            raise ConfigError(f"{where}: {why}")


def why_no_dates(column: pl.Series) -> str:
    """Why a column's dates cannot be compared, and what to do; empty if nothing is wrong with them.

    Args:
        column: of any type.

    >>> why_no_dates(pl.Series("joined", ["01/02/2025"]))[:51]
    "joined holds dates such as '01/02/2025', which can "
    """
    texts: list[str] = column.drop_nulls().head(1).to_list() if column.dtype == pl.String else []
    if not texts or not re.search(_DAY_FIRST, texts[0]):
        return ""
    return (
        f"{column.name} holds dates such as {texts[0]!r}, which can be read in two ways; "
        "write them with the year first, such as 2025-01-13"
    )
