"""Hypothesis strategies for frames as people export them: any type, any sentinel."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
from hypothesis import strategies as st

NUMBERS = (0, 1, 2, 3, -1, 255, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**63))
FLOATS = (0.0, 1.0, 2.5, -1.0, 1e-46, 1e39, 1e300, 2.0**53, float("nan"), float("inf"))
TEXTS = (
    *(
        "",
        " ",
        "0",
        "1",
        "01",
        "1.0",
        "+1",
        " 1",
        "1e3",
        "nan",
        "None",
        "null",
        "\x00",
        "é",
        "user",
    ),
    *("2025-01-13", "2025-01-13 08:00", "2025-01-13T08:00:00Z", "13/01/2025", "2025-02-30", "soon"),
    *("0000-01-01T00:00:00Z", "+100000-01-01T00:00:00Z", "click", "like", "newcomer", "all", "a:b"),
)
EPOCHS = (0, -1, 1_736_640_000, 1_736_640_000_000, 2**31 - 1, 2**63 - 1)
DAYS = (date(1, 1, 1), date(1970, 1, 1), date(2025, 1, 13), date(9999, 12, 31))
MOMENTS = tuple(datetime(day.year, day.month, day.day, 12) for day in DAYS)

INTEGERS = (
    pl.Int8,
    pl.Int16,
    pl.Int32,
    pl.Int64,
    pl.UInt8,
    pl.UInt16,
    pl.UInt32,
    pl.UInt64,
    pl.Int128,
)
POOLS = (
    *((kind, NUMBERS + EPOCHS) for kind in INTEGERS),
    (pl.Float32, FLOATS + EPOCHS),
    (pl.Float64, FLOATS + EPOCHS + NUMBERS),
    (pl.String, TEXTS),
    (pl.Categorical, TEXTS),
    (pl.Enum(sorted(TEXTS)), TEXTS),
    (pl.Boolean, (True, False)),
    (pl.Binary, (b"", b"\xff")),
    (pl.Decimal(18, 2), (Decimal("1.00"), Decimal("2.50"), Decimal("-1"))),
    (pl.Date, DAYS),
    (pl.Datetime("ns"), (datetime(1970, 1, 1), datetime(2025, 1, 13))),
    (pl.Datetime("us"), MOMENTS),
    (
        pl.Datetime("ms", "Asia/Shanghai"),
        tuple(moment.replace(tzinfo=UTC) for moment in MOMENTS[1:3]),
    ),
    (pl.Time, (time(8, 30),)),
    (pl.Duration("us"), (timedelta(days=3),)),
    (pl.List(pl.Int64), ([1], [])),
    (pl.Array(pl.Float64, 2), ([1.0, 2.0],)),
    (pl.Struct({"a": pl.Int64}), ({"a": 1},)),
    (pl.Object, (object(), "x")),
    (pl.Null, (None,)),
)
"""Types of polars, each with values that people's files hold."""


@st.composite
def hostile(draw, name, rows):
    """A column of any type, with nulls and sentinels among its values."""
    kind, values = draw(st.sampled_from(POOLS))
    if draw(st.booleans()):
        values = (*values, None)
    drawn = draw(st.lists(st.sampled_from(values), min_size=rows, max_size=rows))
    return pl.Series(name, drawn, dtype=kind, strict=False)


@st.composite
def frames(draw, sound, odd=3):
    """A frame in which a few of the sound columns are replaced by hostile ones.

    Args:
        sound: values of each column by its name, all equally many, which make a valid frame.
        odd: the largest number of columns that are replaced or left out.
    """
    rows = len(next(iter(sound.values())))
    kept = {name: pl.Series(name, values) for name, values in sound.items()}
    for name in draw(st.lists(st.sampled_from(sorted(sound)), max_size=odd, unique=True)):
        kept[name] = draw(hostile(name, rows))
        if draw(st.integers(0, 9)) == 0:
            del kept[name]
    frame = pl.DataFrame(list(kept.values()))
    return frame.clear() if draw(st.integers(0, 29)) == 0 else frame
