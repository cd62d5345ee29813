"""The boundary to polars and the file system: what they raise on user data becomes one sentence.

Columns are cast one by one with messages of their own (`recsys.logs.columns`). What still goes
wrong inside polars, panics of its compiled code included, is explained here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from polars.exceptions import PanicException, PolarsError

from recsys.core.errors import ConfigError, LogError

FOREIGN = (PolarsError, PanicException, OSError, OverflowError, UnicodeError)
"""What polars and the file system raise on data that they cannot read or compute."""


@contextmanager
def explained(
    where: str, advice: str, error: type[LogError] | type[ConfigError] = LogError
) -> Iterator[None]:
    """Turns errors of polars and of the file system into an error that a user can act on.

    Args:
        where: what was tried, for the message, such as "log.events: data/e.csv cannot be read".
        advice: what to do, such as "write it again as Parquet".
        error: the error that is raised instead.

    >>> with explained("events: cannot be sorted", "cast the column"):
    ...     raise OverflowError("too large")
    Traceback (most recent call last):
    ...
    recsys.core.errors.LogError: events: cannot be sorted: too large; cast the column
    """
    try:
        yield
    except FOREIGN as cause:
        raise error(f"{where}: {first_line(cause)}; {advice}") from cause


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut to a length that can be read.

    Args:
        error: any error.

    >>> first_line(ValueError("too\\nmuch"))
    'too'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = shortened(lines[0].rstrip(".;:"), 200) if lines else type(error).__name__
    return f"polars fails on it ({text})" if isinstance(error, PanicException) else text


def shortened(text: str, most: int) -> str:
    """A text cut to at most so many characters, with a mark where it was cut.

    >>> shortened("abcdef", 3)
    'abc…'
    """
    return text if len(text) <= most else f"{text[:most]}…"
