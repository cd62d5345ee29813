"""What all programs share: where a config stands among words, what is printed, and exit codes.

A program hands back an `Outcome`; `carried_out` prints it as the `Output` says and gives the exit
code: 0 done · 1 done, but MLflow did not take it · 2 a mistake that the user can mend ·
130 interrupted.
"""

import json
import math
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
        quiet: nothing but errors and, at the end, the folder of the results.
        as_json: one JSON object and no progress.
        full: every row of every table.
    """

    quiet: bool = False
    as_json: bool = False
    full: bool = False

    def progress(self, what: str = "cells") -> "StudyProgress":
        """A progress that counts `what`, such as `days`; silent where only the end matters."""
        from pipelines.report.progress import StudyProgress

        return StudyProgress(what, silent=self.quiet or self.as_json)

    @property
    def flags(self) -> list[str]:
        """The options that ask for it: `["--quiet"]`."""
        asked = {"--quiet": self.quiet, "--json": self.as_json, "--full": self.full}
        return [flag for flag, given in asked.items() if given]


@dataclass(frozen=True)
class Outcome:
    """What a program did.

    Attributes:
        name: of the study or training run, such as `demo`.
        folder: where its files are; None if it wrote none.
        headline: the figures that matter most, a mapping a row.
        show: prints all that was found.
        run_id: of the MLflow run; None if there is none.
        troubles: why MLflow did not take it.
        more: what the JSON object says beside these.
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
    """Does the work of a program, prints what came of it, and gives the exit code.

    Args:
        work: reads, computes, writes files; a `UserError` becomes its message.
        output: how much is printed.
        interrupted: what to say after Ctrl-C.
    """
    try:
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
    """Where MLflow has the results, or why it has not: what is finished is shown either way.

    Args:
        tracker: None if nothing is to be recorded.
        record: what it is asked to do.
        folder: of the files, which are written already.
        off: what the user may say to do without MLflow.

    Returns:
        The record, if there is one, and troubles: no or one message.
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

    The config is the first word that has no `=` in it or is a file.

    Args:
        words: such as `["seeds=8", "configs/demo.yaml"]`.
        default: the config where none is named.

    Raises:
        ConfigError: no config is named, and there is no default.

    >>> config_in(["seeds=8", "configs/demo.yaml", "workers=2"])
    ('configs/demo.yaml', ['seeds=8', 'workers=2'])
    """
    for place, word in enumerate(words):
        if "=" not in word or Path(word).is_file():
            return word, [*words[:place], *words[place + 1 :]]
    if default is None:
        raise ConfigError(
            f"no config among: {' '.join(words)}; name a YAML file, such as configs/demo.yaml"
        )
    return default, list(words)


def command(*words: str) -> str:
    """What to type for `recsys WORDS`: begun as it was this time, else as `make` installs it.

    >>> command("run", "my study.yaml")
    ".venv/bin/recsys run 'my study.yaml'"
    """
    started = sys.argv[0] if Path(sys.argv[0]).name == "recsys" else COMMAND
    return shlex.join([started, *words])


def goes_on(progress: "StudyProgress", where: str, *words: str) -> str:
    """What to say after Ctrl-C where finished parts are kept, with the command that goes on.

    Args:
        progress: how far it got.
        where: the folder of what is done, such as `data/cells`.
        words: after `recsys`.
    """
    return (
        f"Interrupted with {progress.done} of {progress.total} {progress.what} done. They are kept "
        f"in {where}; the same command goes on from there:\n  {command(*words)}"
    )


def way_in(name: str) -> Callable[[Sequence[str] | None], int]:
    """A `main` that does what `recsys NAME` does, for `python -m pipelines.NAME`."""

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
    """Values that JSON has: null for what is no finite number, text for paths and dates."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)
