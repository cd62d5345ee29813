"""Compares feeds you have served: `recsys evaluate --a A.parquet --b B.parquet …`.

It reads the frames, compares them, prints the summary, writes files to data/evaluations and logs
them to MLflow. Nothing is trained or simulated.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.console import Console

import recsys
from pipelines.program import COMMAND, Outcome, Output, carried_out, way_in
from pipelines.report.page import save_served_page
from pipelines.report.served import print_served
from pipelines.report.served_phones import served_phones
from pipelines.report.terminal import print_run, print_whereabouts
from pipelines.storage.digests import files_digest
from pipelines.storage.results import save_comparison_of_feeds
from pipelines.tracking.background import leave
from pipelines.tracking.describe import begun_as, feeds_record
from pipelines.tracking.tracker import keep, tracked_as
from recsys.core.errors import ConfigError
from recsys.logs.frames import ID_COLUMNS, read_frames

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


main = way_in("evaluate")


def execute(
    paths: Mapping[str, str],
    output: Output,
    *,
    name: str = "feeds",
    experiment: str = "recsys",
    tracking: bool = True,
    k: int | None = None,
    columns: Sequence[str] = (),
    cohort: str = "cohort",
    attributes: Sequence[str] = (),
    groups: Sequence[str] = (),
) -> int:
    """Compares the frames in files, and prints the summary.

    Args:
        paths: files by name of frame: `a`, `b` and, if they exist, `reference`, `users`, `items`.
            Such as `{"a": "before.parquet", "b": "after.parquet"}`.
        output: how much is printed.
        name: name of the comparison, which the folder of its files begins with.
        experiment: the MLflow experiment.
        tracking: whether the results are logged to MLflow.
        k, cohort, groups: as in `recsys.compare_feeds`.
        columns, attributes: as in `recsys.compare_feeds`, but as texts: `["user_id=member"]`.

    Returns:
        The exit code.
    """

    def work() -> Outcome:
        arguments = {
            "k": k,
            "columns": _pairs("--columns", columns),
            "cohort": cohort,
            "attributes": _pairs("--attributes", attributes),
            "groups": list(groups),
        }
        options = {name: value for name, value in arguments.items() if value not in (None, [], {})}
        return _evaluate(paths, output, name, experiment, options, tracking=tracking)

    return carried_out(work, output)


def _evaluate(
    paths: Mapping[str, str],
    output: Output,
    name: str,
    experiment: str,
    options: Mapping[str, Any],
    *,
    tracking: bool,
) -> Outcome:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name: {name!r} cannot be the name of a folder; give letters, digits, - and _"
        )
    columns, attributes = options.get("columns", {}), options.get("attributes", {})
    ids = [columns.get(name, name) for name in ID_COLUMNS]
    names = {"items": list(attributes.values()), "users": [options.get("cohort", "cohort")]}
    frames: dict[str, Any] = dict(read_frames(paths, ids, names, "--{}", "--{} {}"))
    digest = files_digest(paths)
    begun = begun_as(name, "evaluation", experiment, digest)
    with tracked_as(lambda: begun, experiment, tracking) as tracker:
        result = recsys.compare_feeds(**frames, **options)
        config = {"name": name, **paths, **options}
        phones = served_phones(result, frames, options)
        folder = save_comparison_of_feeds(
            result,
            config,
            digest,
            _command(config),
            page=lambda path: save_served_page(name, result, phones, path),
        )
        record = feeds_record(result, config, experiment, digest, folder)
        kept = keep(tracker, record, folder, off="--no-tracking")

    def show(console: Console) -> None:
        print_served(console, name, result, full=output.full)
        print_whereabouts(console, folder, "report.html, drift.csv, per_user.parquet …")

    headline = result.drift.filter(pl.col("day").is_null()).drop("day").to_dicts()
    return Outcome(name, folder, headline, show, [kept], print_run)


def _pairs(option: str, words: Sequence[str]) -> dict[str, str]:
    """Names by our name, from words `ours=theirs`; an attribute may be given as `name` alone."""
    pairs = {}
    for word in words:
        ours, equals, theirs = word.partition("=")
        if not ours or bool(equals) != bool(theirs) or (option == "--columns" and not equals):
            raise ConfigError(f"{option}: {word!r} is not of the form ours=theirs")
        pairs[ours] = theirs or ours
    return pairs


def _command(config: Mapping[str, Any]) -> str:
    """The command that makes these files again."""
    words = [COMMAND, "evaluate"]
    for name, value in config.items():
        values = [value]
        if isinstance(value, Mapping):
            values = [f"{ours}={theirs}" for ours, theirs in value.items()]
        elif isinstance(value, list):
            values = value
        words += [f"--{name}", *map(str, values)]
    return shlex.join(words)


if __name__ == "__main__":
    leave(main())
