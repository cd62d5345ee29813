"""Rolling evaluation: each of the last days of a log is tested with a model of all days before it.

This is how a platform that retrains every night would have fared. A single cut, in contrast, tests
a model on days that are further and further from its training. Posts that are first seen on the day
itself count: a recommender that knows attributes can serve them, and one that knows clicks alone
misses them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from recsys.config import Training
from recsys.core.errors import ConfigError
from recsys.logs.holdout import Split
from recsys.measures.metrics.registry import METRICS
from recsys.recommenders import Model, Recommender, Trending
from recsys.statistics.user_days import user_day_interval
from recsys.training.evaluate import Days, TrainingResult, Truth, evaluate

_MEANS = ("value", "ci_low", "ci_high")
_DIFFERENCES = ("difference", "difference_ci_low", "difference_ci_high")


class _Day(NamedTuple):
    """What is kept of a day: figures, without the day's model and log, which take much memory."""

    summary: pl.DataFrame
    """`TrainingResult.summary`, with figures of known posts."""
    per_user: pl.DataFrame
    feeds: pl.DataFrame
    timings: pl.DataFrame


class _Test(NamedTuple):
    """What a day was tested on."""

    begins: datetime
    likes: tuple[int, int]
    """Likes that could be found, and all that were held out."""
    likes_of_new: int
    """Those of the first that are of items first seen on the day."""


def roll(
    training: Training,
    recommender: Recommender,
    splits: Iterable[Split],
    truth_of: Callable[[Split], Truth | None],
) -> TrainingResult:
    """Tests a recommender on one day after the other.

    Args:
        training: the config; it has `evaluation.rolling`.
        recommender: the recommender, which is fitted every day.
        splits: the days, as `split_days` cuts them.
        truth_of: gives the truth of a world on the day of a cut; None for a log from files.

    Returns:
        The result with `days`. Its model is that of the last day, its figures are means over days,
        in which n_users counts a user once for each day, and the tables of users and feeds have the
        column `day` in front.

    Raises:
        ConfigError: the log is too short, k is too large, or nobody can be tested on any day.
        LogError: the log cannot be learned from.
    """
    ours: list[_Day] = []
    trending: list[_Day] = []
    tests: list[_Test] = []
    model: Model | None = None
    serves_new = False
    for split in splits:
        if split.users.size == 0:
            continue
        result = evaluate(training, recommender, split, truth_of(split), model)
        model, candidates = result.model, result.candidates
        serves_new |= bool(split.new[model.scorable].any())
        ours.append(_day(result))
        trending.append(_day(evaluate(training, Trending(), split, truth_of(split))))
        tests.append(_test(split))
    if model is None:
        raise ConfigError(
            "evaluation.rolling.days: on none of these days did anybody like an item that could "
            "have been recommended and was not seen yet; test more days"
        )
    per_user = _by_day([day.per_user for day in ours])
    return TrainingResult(
        training=training,
        model=model,
        candidates=candidates,
        summary=_summary(ours),
        per_user=per_user,
        feeds=_by_day([day.feeds for day in ours]),
        timings=_timings(ours),
        notes=tuple(_notes(tests, training, serves_new=serves_new)),
        days=Days(
            _series(ours, trending, tests),
            _means(per_user, _by_day([day.per_user for day in trending])),
        ),
    )


def _day(result: TrainingResult) -> _Day:
    """What is kept; figures of known posts are those of all posts where none is of the day."""
    summary = result.summary
    if summary.filter(by="posts").is_empty():
        known = summary.filter(by="all").with_columns(by=pl.lit("posts"), group=pl.lit("known"))
        summary = pl.concat([summary, known])
    return _Day(summary, result.per_user, result.feeds, result.timings)


def _test(split: Split) -> _Test:
    assert split.cut is not None
    return _Test(split.cut, split.likes, int(split.relevant[:, split.new].sum()))


def _by_day(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The frames of all days below one another, with the column `day`, from 1 on, in front."""
    return pl.concat(
        frame.select(pl.lit(day, pl.Int64).alias("day"), pl.all())
        for day, frame in enumerate(frames, start=1)
    )


def _summary(days: Sequence[_Day]) -> pl.DataFrame:
    """Means over the days on which a group has a value, and the sum of its users."""
    together = pl.concat(day.summary for day in days)
    return together.group_by("by", "group", "metric", maintain_order=True).agg(
        pl.col("value").mean(), pl.col("n_users").sum()
    )


def _series(ours: Sequence[_Day], trending: Sequence[_Day], tests: Sequence[_Test]) -> pl.DataFrame:
    """`Days.series`."""
    keys = ["by", "group", "metric"]
    days = []
    for day, (mine, reference, test) in enumerate(zip(ours, trending, tests, strict=True), start=1):
        theirs = reference.summary.select(*keys, trending="value")
        all_and_posts = mine.summary.filter(pl.col("by").is_in(["all", "posts"]))
        days.append(
            all_and_posts.join(theirs, on=keys, how="left", maintain_order="left").select(
                pl.lit(day, pl.Int64).alias("day"),
                pl.lit(test.begins).alias("begins"),
                pl.col("group").alias("posts"),
                "metric",
                "value",
                "trending",
                "n_users",
            )
        )
    return pl.concat(days)


def _means(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """`Days.means`; the rows of both frames are the same users on the same days."""
    days = ours["day"].to_numpy()
    users = ours["user_id"].rank("dense").to_numpy().astype(np.int64)
    rows = []
    for name in ours.columns:
        if name in METRICS:
            mine, reference = (
                frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
                for frame in (ours, theirs)
            )
            alone = user_day_interval(mine, users, days)
            paired = user_day_interval(mine - reference, users, days)
            figures = zip((*_MEANS, *_DIFFERENCES), (*alone, *paired), strict=True)
            rows.append({"metric": name, **dict(figures), "n_days": np.unique(days).size})
    schema = {"metric": pl.String, **dict.fromkeys((*_MEANS, *_DIFFERENCES), pl.Float64)}
    frame = pl.DataFrame(rows, schema={**schema, "n_days": pl.Int64})
    return frame.with_columns(pl.col(*_MEANS, *_DIFFERENCES).fill_nan(None))


def _timings(days: Sequence[_Day]) -> pl.DataFrame:
    """The seconds of all days together."""
    every = pl.concat(day.timings for day in days)
    sums = every.select(pl.col("users", "fit_s", "serve_s").sum())
    return sums.with_columns(users_per_s=pl.col("users") / pl.col("serve_s"))


def _notes(tests: Sequence[_Test], training: Training, *, serves_new: bool) -> Iterator[str]:
    days = len(tests)
    tested, held_out = (sum(test.likes[part] for test in tests) for part in (0, 1))
    first, last = tests[0].begins, tests[-1].begins
    yield (
        f"Tested on {days} day{'s' if days > 1 else ''}, the first from {first:%Y-%m-%d %H:%M} UTC "
        f"on, the last from {last:%Y-%m-%d %H:%M}, each with a model of all days before it: "
        f"{tested:,} of {held_out:,} likes are of items that the user had not seen and that could "
        "be recommended."
    )
    assert training.rolling is not None
    if days < training.rolling.days:
        yield f"{training.rolling.days - days} of the days have nothing to test and are left out."
    of_new = sum(test.likes_of_new for test in tests)
    if of_new:
        can = "can serve them" if serves_new else "cannot serve them, so these likes are lost"
        yield (
            f"{of_new:,} of these likes are of items first seen on the day itself; "
            f"{training.recommender.name} {can}."
        )
    if days < 2:
        yield "A single day has no interval; test two or more, better seven."
