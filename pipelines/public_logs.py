"""Public logs that `recsys fetch` brings: which package carries them, and how they become tables.

A package of the Python package index is used as a parcel: its file is compared with a checksum, the
few members that hold data are read, and its code is never unpacked or run.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl
from polars.exceptions import PolarsError

from recsys.core.errors import LogError, first_line


@dataclass(frozen=True)
class PublicLog:
    """A log that the wheel of a package holds.

    Attributes:
        name: name of the log, and of its folder in `data/`.
        about: what it is, in a sentence.
        package, version: the package that carries it, such as `recbole` and `1.2.1`.
        wheel: file name of that wheel.
        sha256: checksum of the wheel, in hexadecimal.
        members: path within the wheel and most bytes, by table: events, users, items.
        tables: makes the three tables of the bytes of the members.
        terms: the terms of use, a sentence each.
        source: who made the log, and how to cite it.
    """

    name: str
    about: str
    package: str
    version: str
    wheel: str
    sha256: str
    members: Mapping[str, tuple[str, int]]
    tables: Callable[[Mapping[str, bytes]], dict[str, pl.DataFrame]]
    terms: tuple[str, ...]
    source: str


def movielens(parts: Mapping[str, bytes]) -> dict[str, pl.DataFrame]:
    r"""The tables of MovieLens 100K.

    Args:
        parts: texts separated by tabs, as bytes, by table: events, users and items. Their first
            line names columns, such as `user_id:token`.

    Returns:
        events, ordered by time: user_id, item_id, rating (1 to 5), timestamp (UTC). users: user_id,
        age, gender, occupation. items: item_id, title, year and decade (null if not known), genre
        (the first of `genres`), genres (a list).

    Raises:
        LogError: a text is not a table of that form.

    >>> heads = {
    ...     "events": "user_id:token|item_id:token|rating:float|timestamp:float",
    ...     "users": "user_id:token|age:token|gender:token|occupation:token",
    ...     "items": "item_id:token|movie_title:token_seq|release_year:token|class:token_seq",
    ... }
    >>> rows = {"events": "7|1|4|0", "users": "7|30|F|none", "items": "1|A Film|1995|Comedy War"}
    >>> parts = {
    ...     table: f"{head}\n{rows[table]}".replace("|", "\t").encode()
    ...     for table, head in heads.items()
    ... }
    >>> movielens(parts)["items"].row(0)
    (1, 'A Film', 1995, '1990s', 'Comedy', ['Comedy', 'War'])
    """
    read = {table: _texts(table, part) for table, part in parts.items()}
    whole = pl.col("item_id").cast(pl.Int64)
    year = pl.col("release_year").cast(pl.Int64, strict=False)
    try:
        events = read["events"].select(
            pl.col("user_id").cast(pl.Int64),
            whole,
            pl.col("rating").cast(pl.Float64).cast(pl.Int8),
            pl.from_epoch(pl.col("timestamp").cast(pl.Float64).cast(pl.Int64), "s")
            .dt.replace_time_zone("UTC")
            .alias("timestamp"),
        )
        users = read["users"].select(
            pl.col("user_id").cast(pl.Int64), pl.col("age").cast(pl.Int64), "gender", "occupation"
        )
        items = read["items"].select(
            whole,
            pl.col("movie_title").alias("title"),
            year.alias("year"),
            pl.format("{}s", year // 10 * 10).alias("decade"),
            pl.col("class").str.split(" ").list.first().alias("genre"),
            pl.col("class").str.split(" ").alias("genres"),
        )
    except PolarsError as error:
        raise LogError(f"a table is not as expected: {first_line(error)}") from error
    return {
        "events": events.sort("timestamp", "user_id", "item_id"),
        "users": users.sort("user_id"),
        "items": items.sort("item_id"),
    }


def _texts(table: str, part: bytes) -> pl.DataFrame:
    """A text separated by tabs as a frame of texts, without the types in the names of columns."""
    try:
        frame = pl.read_csv(io.BytesIO(part), separator="\t", quote_char=None, infer_schema=False)
    except PolarsError as error:
        raise LogError(f"{table}: cannot be read as a table: {first_line(error)}") from error
    return frame.rename(lambda name: name.split(":")[0])


_MEMBERS = "recbole/dataset_example/ml-100k/ml-100k"

PUBLIC_LOGS: dict[str, PublicLog] = {
    "movielens-100k": PublicLog(
        name="movielens-100k",
        about="100,000 ratings of 1,682 films by 943 users, September 1997 to April 1998",
        package="recbole",
        version="1.2.1",
        wheel="recbole-1.2.1-py3-none-any.whl",
        sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        members={
            "events": (f"{_MEMBERS}.inter", 4_000_000),
            "users": (f"{_MEMBERS}.user", 100_000),
            "items": (f"{_MEMBERS}.item", 400_000),
        },
        tables=movielens,
        terms=(
            "It may be used for research.",
            "Do not state or imply that the University of Minnesota or GroupLens endorses you.",
            "Name the data set in publications that use it.",
            "Do not pass the data on without separate permission.",
            "Do not use it commercially without permission of GroupLens.",
        ),
        source="GroupLens Research, University of Minnesota. F. M. Harper and J. A. Konstan, 2015: "
        "The MovieLens Datasets: History and Context. ACM Transactions on Interactive Intelligent "
        "Systems 5(4), 19. doi 10.1145/2827872",
    )
}
"""The logs that can be fetched, by name."""
