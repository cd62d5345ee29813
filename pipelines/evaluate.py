"""Compares feeds you have served: `python -m pipelines.evaluate --a A.parquet --b B.parquet …`.

Reads the frames, compares them, prints what was found, writes the files to data/evaluations and
logs both to MLflow. No training, no world. Exit codes: 0 done · 1 done, but MLflow did not take it
· 2 a mistake that the user can mend · 130 interrupted.
"""

import argparse
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import recsys
from pipelines.report.console import stdout
from pipelines.report.served import print_served
from pipelines.report.terminal import print_whereabouts
from pipelines.storage.digests import files_digest
from pipelines.storage.results import save_comparison_of_feeds
from pipelines.tracking.tracker import Subject, TrackingError, tracked_as
from recsys.core.errors import ConfigError, UserError
from recsys.logs.read import read_frame

_FRAMES = ("a", "b", "reference", "users", "items")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def main(argv: Sequence[str] | None = None) -> int:
    """Compares from the command line.

    Args:
        argv: arguments after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    if not _NAME.fullmatch(arguments.name):
        raise ConfigError(
            f"--name: {arguments.name!r} names no folder; give letters, digits, - and _"
        )
    paths = {name: path for name in _FRAMES if (path := getattr(arguments, name)) is not None}
    frames: dict[str, Any] = {
        name: read_frame(path, f"--{name}", f"--{name} FILE") for name, path in paths.items()
    }
    options = _options(arguments)
    digest = files_digest(paths)
    subject = Subject(arguments.name, "evaluation", arguments.experiment, digest, paths["b"])
    console, recorded, trouble = stdout(), None, None
    with tracked_as(subject, enabled=not arguments.no_tracking) as tracker:
        result = recsys.compare_feeds(**frames, **options)
        config = {"name": arguments.name, **paths, **options}
        folder = save_comparison_of_feeds(result, config, digest, _command(config))
        if tracker is not None:
            try:
                recorded = tracker.record_feeds(result, config, folder)
            except TrackingError as error:
                trouble = error
    print_served(console, arguments.name, result)
    print_whereabouts(console, folder, recorded, "drift.csv, summary.csv, per_user.parquet …")
    if trouble is not None:
        print(trouble, file=sys.stderr)
    return 0 if trouble is None else 1


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `recsys.compare_feeds`."""
    given = {
        "k": arguments.k,
        "columns": _pairs("--columns", arguments.columns),
        "cohort": arguments.cohort,
        "attributes": _pairs("--attributes", arguments.attributes) or None,
        "groups": arguments.groups,
    }
    return {name: value for name, value in given.items() if value not in (None, [], {})}


def _pairs(option: str, words: Sequence[str]) -> dict[str, str]:
    """`ours=theirs`; of attributes, one word stands for both."""
    pairs = {}
    for word in words:
        ours, equals, theirs = word.partition("=")
        if not ours or bool(equals) != bool(theirs) or (option == "--columns" and not equals):
            raise ConfigError(f"{option}: {word!r} is not of the form ours=theirs")
        pairs[ours] = theirs or ours
    return pairs


def _command(config: Mapping[str, Any]) -> str:
    """What makes these files again."""
    words = ["python", "-m", "pipelines.evaluate"]
    for name, value in config.items():
        values = [value]
        if isinstance(value, Mapping):
            values = [f"{ours}={theirs}" for ours, theirs in value.items()]
        elif isinstance(value, list):
            values = value
        words += [f"--{name}", *map(str, values)]
    return shlex.join(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.evaluate",
        description="Compare feeds that were served: how far B's are from A's, beyond what moves "
        "anyway. Frames are Parquet or CSV, a row a slot: user_id, rank (1 = top), item_id and, "
        "where there are any, day and score.",
    )
    add = parser.add_argument
    add("--a", metavar="FILE", required=True, help="the reference feeds: before, or control")
    add("--b", metavar="FILE", required=True, help="the feeds under test")
    add(
        "--reference",
        metavar="FILE",
        help="a second realisation of A, whose drift from A is the floor; without it, A's turnover "
        "from day to day is",
    )
    add("--users", metavar="FILE", help="user_id, cohort, attributes to group by")
    add(
        "--items",
        metavar="FILE",
        help="item_id, attributes (language, format, topic …), creator_id or creator_cohort, "
        "popularity, embedding",
    )
    add("--k", type=int, metavar="N", help="ranks to compare (default: the deepest feed)")
    add("--columns", nargs="+", default=[], metavar="OURS=THEIRS", help="your names of columns")
    add("--cohort", default="cohort", metavar="COLUMN", help="users' column of cohorts")
    add(
        "--attributes",
        nargs="+",
        default=[],
        metavar="NAME",
        help="items' columns to measure mixes by: NAME or NAME=COLUMN",
    )
    add(
        "--groups",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="users' columns to break the headline down by; numbers are in thirds",
    )
    add("--name", default="feeds", help="what the results are filed under (default: feeds)")
    add("--experiment", default="recsys", metavar="NAME", help="MLflow experiment")
    add("--no-tracking", action="store_true", help="do not log to MLflow")
    return parser


if __name__ == "__main__":
    sys.exit(main())
