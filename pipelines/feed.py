"""Prints one user's feed: `recsys feed RUN USER [--k K]`, or `recsys feed STUDY [--user USER]`.

RUN is the folder that `recsys train` wrote, or the id of its MLflow run; the feed is the trained
model's. STUDY is the folder that `recsys run` wrote; its feeds stand side by side.
"""

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from pipelines.program import Outcome, Output, carried_out, way_in
from pipelines.report.console import print_section
from pipelines.report.headline import DASH
from pipelines.report.section import Section
from pipelines.storage.models import read_model
from pipelines.study_feed import Wanted, is_study, study_feed
from pipelines.tracking.background import leave
from pipelines.tracking.models import find_model
from recsys.core.errors import ConfigError
from recsys.logs.ids import parsed_id
from recsys.recommenders import Model

_NOT_SHOWN = ("user_id", "item_id", "key")


main = way_in("feed")


def execute(
    run: str, user: str | None, k: int, output: Output, *, wanted: Wanted | None = None
) -> int:
    """Prints a feed.

    Args:
        run: the folder that `recsys train` or `recsys run` wrote, or the id of a training run.
        user: the id of a user in the log, as text, such as "17"; a study may go without.
        k: number of slots.
        output: how much is printed.
        wanted: in a study, which feed; `user` counts where it names none.

    Returns:
        The exit code.
    """
    return carried_out(
        lambda: _chosen(run, user, k, wanted or Wanted()),
        output,
        lambda: "Interrupted before the feed was made.",
    )


def _chosen(run: str, user: str | None, k: int, wanted: Wanted) -> Outcome:
    user = user if wanted.user is None else wanted.user
    if is_study(run):
        return study_feed(run, wanted._replace(user=user), k)
    only = {"--day": wanted.day, "--recommender": wanted.recommender}
    given = [option for option, value in only.items() if value is not None]
    if given:
        raise ConfigError(f"{given[0]}: only a study has several; {run} is no folder of a study")
    if user is None:
        raise ConfigError("USER: name the user whose feed is wanted, such as 17")
    return _feed(run, user, k)


def _feed(run: str, user: str, k: int) -> Outcome:
    with tempfile.TemporaryDirectory() as copies:
        model, candidates = read_model(find_model(run, Path(copies)))
    most = int(candidates.sum())
    if not 1 <= k <= most:
        raise ConfigError(
            f"--k: {k} is not between 1 and {most}, the number of posts to choose from"
        )
    feed = model.recommend([_user(model, user)], k, candidates)
    folder = Path(run) if Path(run).is_dir() else None
    return Outcome(
        type(model).__name__.removesuffix("Model"),
        folder,
        feed.to_dicts(),
        lambda console: _print(console, model, user, feed),
        run_id=run if folder is None else None,
    )


def _user(model: Model, text: str) -> Any:
    """A user id with the type that ids have in the log."""
    try:
        return parsed_id(text, model.log.users["user_id"])
    except ValueError as error:
        raise ConfigError(f"USER: {error}") from error


def _print(console: Console, model: Model, user: str, feed: pl.DataFrame) -> None:
    """A line about the user, and a row for each slot with what is known of its item."""
    users = model.log.dense_users([_user(model, user)])
    row = int(users[0])
    description = "not in the log, so this is the feed of every unknown user"
    if row >= 0:
        everything = model.log.users.row(row, named=True)
        attributes = {name: it for name, it in everything.items() if name not in _NOT_SHOWN}
        description = ", ".join([*model.status(users), *_described(attributes, named=True)])
    kind = type(model).__name__.removesuffix("Model")
    items = model.log.items
    columns = [name for name in ("published", "creator_id") if name in items.columns]
    rest = [name for name in items.columns if name not in (*columns, *_NOT_SHOWN)]
    places = {item: place for place, item in enumerate(items["item_id"])}
    known = items[[places[item] for item in feed["item_id"]]].iter_rows(named=True)
    rows = tuple(
        (
            str(slot["rank"]),
            str(slot["item_id"]),
            ", ".join(_described({name: item[name] for name in rest}, named=False)),
            *(_text(item[name]) for name in columns),
            f"{slot['score']:.4g}",
            str(slot["source"]),
        )
        for slot, item in zip(feed.iter_rows(named=True), known, strict=True)
    )
    titles = ("rank", "item", "what it is", *columns, "score", "source")
    print_section(console, Section(f"{kind}'s feed for user {user}: {description}.", titles, rows))


def _described(attributes: dict[str, Any], *, named: bool) -> list[str]:
    """Attributes as text, without those that are not known; a true flag is shown by its name."""
    words = []
    for name, value in attributes.items():
        title = name.replace("_", " ")
        if isinstance(value, bool):
            words += [title] if value else []
        elif value is not None:
            words.append(f"{title} {_text(value)}" if named else _text(value))
    return words


def _text(value: Any) -> str:
    if value is None:
        return DASH
    if isinstance(value, float):
        return f"{value:.2g}"
    return f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "strftime") else str(value)


if __name__ == "__main__":
    leave(main())
