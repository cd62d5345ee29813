"""Rolling evaluation: each of the last days of a log is tested with a model of all days before it.

This is how a platform that retrains every night would have fared. A single cut, in contrast, tests
a model on days that are further and further from its training. Posts that are first seen on the day
itself count: a recommender that knows attributes can serve them, and one that knows clicks alone
misses them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from recsys.config import Training
from recsys.core.errors import ConfigError
from recsys.logs.holdout import Split
from recsys.measures.metrics.registry import METRICS
from recsys.recommenders import Recommender, Trending
from recsys.statistics.user_days import user_day_interval
from recsys.training.evaluate import Days, TrainingResult, Truth, evaluate

_MEANS = ("value", "ci_low", "ci_high")
_DIFFERENCES = ("difference", "difference_ci_low", "difference_ci_high")


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
    results: list[TrainingResult] = []
    references: list[TrainingResult] = []
    tested: list[Split] = []
    serves_new = False
    for split in splits:
        if split.users.size == 0:
            continue
        truth = truth_of(split)
        previous = results[-1].model if results else None
        result = evaluate(training, recommender, split, truth, previous)
        serves_new |= bool(split.new[result.model.scorable].any())
        results.append(_with_known(result))
        references.append(_with_known(evaluate(training, Trending(), split, truth)))
        tested.append(split)
    if not results:
        raise ConfigError(
            "evaluation.rolling.days: on none of these days did anybody like an item that could "
            "have been recommended and was not seen yet; test more days"
        )
    per_user = _by_day([result.per_user for result in results])
    series = _series(results, references, tested)
    return TrainingResult(
        training=training,
        model=results[-1].model,
        candidates=results[-1].candidates,
        summary=_summary(results),
        per_user=per_user,
        feeds=_by_day([result.feeds for result in results]),
        timings=_timings(results),
        notes=tuple(_notes(tested, training, serves_new=serves_new)),
        days=Days(series, _means(per_user, _by_day([r.per_user for r in references]))),
    )


def _by_day(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The frames of all days below one another, with the column `day`, from 1 on, in front."""
    return pl.concat(
        frame.select(pl.lit(day, pl.Int64).alias("day"), pl.all())
        for day, frame in enumerate(frames, start=1)
    )


def _with_known(result: TrainingResult) -> TrainingResult:
    """The result with figures of known posts: those of all posts where none is of the day."""
    summary = result.summary
    if summary.filter(by="posts").is_empty():
        known = summary.filter(by="all").with_columns(by=pl.lit("posts"), group=pl.lit("known"))
        summary = pl.concat([summary, known])
    return replace(result, summary=summary)


def _summary(results: Sequence[TrainingResult]) -> pl.DataFrame:
    """Means over the days on which a group has a value, and the sum of its users."""
    together = pl.concat(result.summary for result in results)
    return together.group_by("by", "group", "metric", maintain_order=True).agg(
        pl.col("value").mean(), pl.col("n_users").sum()
    )


def _series(
    results: Sequence[TrainingResult],
    references: Sequence[TrainingResult],
    splits: Sequence[Split],
) -> pl.DataFrame:
    keys = ["by", "group", "metric"]
    days = []
    for day, (result, reference, split) in enumerate(
        zip(results, references, splits, strict=True), start=1
    ):
        theirs = reference.summary.select(*keys, trending="value")
        ours = result.summary.filter(pl.col("by").is_in(["all", "posts"]))
        days.append(
            ours.join(theirs, on=keys, how="left", maintain_order="left").select(
                pl.lit(day, pl.Int64).alias("day"),
                pl.lit(split.cut).alias("begins"),
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


def _timings(results: Sequence[TrainingResult]) -> pl.DataFrame:
    """The seconds of all days together."""
    every = pl.concat(result.timings for result in results)
    sums = every.select(pl.col("users", "fit_s", "serve_s").sum())
    return sums.with_columns(users_per_s=pl.col("users") / pl.col("serve_s"))


def _notes(splits: Sequence[Split], training: Training, *, serves_new: bool) -> Iterator[str]:
    days = len(splits)
    tested, held_out = (sum(split.likes[part] for split in splits) for part in (0, 1))
    first, last = splits[0].cut, splits[-1].cut
    assert first is not None
    assert last is not None
    yield (
        f"Tested on {days} day{'s' if days > 1 else ''}, the first from {first:%Y-%m-%d %H:%M} UTC "
        f"on, the last from {last:%Y-%m-%d %H:%M}, each with a model of all days before it: "
        f"{tested:,} of {held_out:,} likes are of items that the user had not seen and that could "
        "be recommended."
    )
    assert training.rolling is not None
    if days < training.rolling.days:
        yield f"{training.rolling.days - days} of the days have nothing to test and are left out."
    of_new = sum(int(split.relevant[:, split.new].sum()) for split in splits)
    if of_new:
        can = "can serve them" if serves_new else "cannot serve them, so these likes are lost"
        yield (
            f"{of_new:,} of these likes are of items first seen on the day itself; "
            f"{training.recommender.name} {can}."
        )
    if days < 2:
        yield "A single day has no interval; test two or more, better seven."
