"""What all programs share: finding the config among words, printing, and exit codes.

A program returns an `Outcome`; `carried_out` prints it as the `Output` says and gives the exit
code: 0 done · 1 done, but MLflow did not take it · 2 a mistake that the user can mend ·
130 interrupted.
"""

import json
import math
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pipelines.report.console import stdout
from recsys.core.errors import ConfigError, UserError

if TYPE_CHECKING:
    from pipelines.report.progress import StudyProgress
    from pipelines.tracking.tracker import Recorded, Tracker

DONE, NOT_TRACKED, MISTAKE, INTERRUPTED = 0, 1, 2, 130

COMMAND = ".venv/bin/recsys"
"""The command as `make` installs it."""


@dataclass(frozen=True)
class Output:
    """How much a program prints.

    Attributes:
        quiet: whether only errors and, at the end, the folder of the results are printed.
        as_json: whether one JSON object is printed, without progress.
        full: whether every row of every table is printed.
    """

    quiet: bool = False
    as_json: bool = False
    full: bool = False

    def progress(self, what: str = "cells") -> "StudyProgress":
        """A progress that counts `what`, such as `days`; it is silent if `quiet` or `as_json`."""
        from pipelines.report.progress import StudyProgress

        return StudyProgress(what, silent=self.quiet or self.as_json)

    @property
    def flags(self) -> list[str]:
        """The options of the command that ask for this output, such as `["--quiet"]`."""
        asked = {"--quiet": self.quiet, "--json": self.as_json, "--full": self.full}
        return [flag for flag, given in asked.items() if given]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a program.

    Attributes:
        name: name of the study or training run, such as `demo`.
        folder: folder of its files; None if it wrote none.
        headline: the figures that matter most, with a mapping for each row.
        show: prints the whole summary.
        run_id: id of the MLflow run; None if there is none.
        troubles: messages on why MLflow did not take the results.
        more: more entries of the JSON object.
    """

    name: str
    folder: Path | None
    headline: Sequence[Mapping[str, Any]]
    show: Callable[[Console], None]
    run_id: str | None = None
    troubles: Sequence[str] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


def carried_out(
    work: Callable[[], Outcome],
    output: Output,
    interrupted: Callable[[], str] = lambda: "Interrupted; nothing was written.",
) -> int:
    """Does the work of a program, prints the outcome, and gives the exit code.

    Args:
        work: reads, computes and writes files. If it raises a `UserError`, the message is printed.
        output: how much is printed.
        interrupted: makes the message that is printed after Ctrl-C.
    """
    from recsys.logs.files import steady  # polars: `--help` comes without it

    try:
        with steady():
            outcome = work()
        if output.as_json:
            print(_json(outcome))
        elif output.quiet:
            print(outcome.folder)
        else:
            outcome.show(stdout())
    except UserError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print(interrupted(), file=sys.stderr)
        return INTERRUPTED
    for trouble in outcome.troubles:
        print(trouble, file=sys.stderr)
    return NOT_TRACKED if outcome.troubles else DONE


def recorded_by(
    tracker: "Tracker | None",
    record: Callable[["Tracker"], "Recorded"],
    folder: Path,
    off: str = "tracking.enabled=false",
) -> tuple["Recorded | None", tuple[str, ...]]:
    """Records results in MLflow. If that fails, the message is returned, not raised.

    Args:
        tracker: the tracker; None if nothing is to be recorded.
        record: records with the tracker.
        folder: folder of the files, which are already written.
        off: the option that switches MLflow off, such as `--no-tracking`.

    Returns:
        The record, or None; and the messages on what went wrong: none or one.
    """
    from pipelines.tracking.tracker import TrackingError

    if tracker is None:
        return None, ()
    try:
        return record(tracker), ()
    except TrackingError as error:
        return None, (f"{error}\nThe files in {folder} are complete; {off} skips MLflow.",)


def config_in(words: Sequence[str], default: str | None = None) -> tuple[str, list[str]]:
    """The config among the words of a command, and the changes to it, in their order.

    The config is the first word that contains no `=` or is the name of a file.

    Args:
        words: words of a command, such as `["seeds=8", "configs/demo.yaml"]`.
        default: the config if none is named.

    Raises:
        ConfigError: no config is named, and there is no default.

    >>> config_in(["seeds=8", "configs/demo.yaml", "workers=2"])
    ('configs/demo.yaml', ['seeds=8', 'workers=2'])
    """
    for place, word in enumerate(words):
        if "=" not in word or os.path.isfile(word):
            return word, [*words[:place], *words[place + 1 :]]
    if default is None:
        raise ConfigError(
            f"no config among: {' '.join(words)}; name a YAML file, such as configs/demo.yaml"
        )
    return default, list(words)


def command(*words: str) -> str:
    """The command line of `recsys WORDS`, to be shown to the user.

    The command begins as this program was started, or as `make` installs it.

    >>> command("run", "my study.yaml")
    ".venv/bin/recsys run 'my study.yaml'"
    """
    started = sys.argv[0] if Path(sys.argv[0]).name == "recsys" else COMMAND
    return shlex.join([started, *words])


def goes_on(progress: "StudyProgress", where: str, *words: str) -> str:
    """The message after Ctrl-C if finished parts are kept, with the command that continues.

    Args:
        progress: the progress of the program.
        where: the folder of finished parts, such as `data/cells`.
        words: the words after `recsys`, such as `"run", "configs/demo.yaml"`.
    """
    return (
        f"Interrupted with {progress.done} of {progress.total} {progress.what} done. They are kept "
        f"in {where}. The same command continues from there:\n  {command(*words)}"
    )


def way_in(name: str) -> Callable[[Sequence[str] | None], int]:
    """The `main` of `pipelines/NAME.py`: `python -m pipelines.NAME` does what `recsys NAME` does.

    Args:
        name: a subcommand, such as `run`.
    """

    def main(argv: Sequence[str] | None = None) -> int:
        from pipelines import cli

        return cli.main([name, *(sys.argv[1:] if argv is None else argv)])

    return main


def _json(outcome: Outcome) -> str:
    content = {
        "name": outcome.name,
        "folder": outcome.folder,
        "mlflow_run_id": outcome.run_id,
        "headline": outcome.headline,
        **outcome.more,
    }
    return json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value that JSON can hold: null for infinite numbers and NaN, text for paths and dates."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)
