"""What all programs share: finding the config among words, printing, and exit codes.

A program returns an `Outcome`; `carried_out` prints it as the `Output` says, then hands it to
MLflow, and gives the exit code: 0 done · 2 a mistake that the user can mend · 3 done, but MLflow
did not take it · 70 a fault of ours · 130 interrupted.
"""

import json
import math
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pipelines.report.console import stdout
from recsys.core.errors import ConfigError, UserError

if TYPE_CHECKING:
    from pipelines.report.progress import StudyProgress
    from pipelines.tracking.tracker import Kept, Recorded

DONE, MISTAKE, NOT_TRACKED, OURS, INTERRUPTED = 0, 2, 3, 70, 130

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
        kept: the records that MLflow gets when the summary is printed.
        show_runs: prints what there is to say of the MLflow runs: one, or None, for each of `kept`.
        variants: more entries of the JSON object, one for each of `kept`.
        run_id: id of the MLflow run that the results come from; None if they are new.
        more: more entries of the JSON object.
    """

    name: str
    folder: Path | None
    headline: Sequence[Mapping[str, Any]]
    show: Callable[[Console], None]
    kept: "Sequence[Kept]" = ()
    show_runs: "Callable[[Console, Sequence[Recorded | None]], None] | None" = None
    variants: Sequence[Mapping[str, Any]] = ()
    run_id: str | None = None
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
        with stoppable():
            with steady():
                outcome = work()
            return _ended(outcome, output)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            print(str(error) or interrupted(), file=sys.stderr)
            return INTERRUPTED
        return failed(error)


def failed(error: BaseException) -> int:
    """Says in words what went wrong, and gives the exit code.

    Args:
        error: what a program raised.
    """
    if isinstance(error, SystemExit | GeneratorExit):
        raise error
    if isinstance(error, KeyboardInterrupt):
        print("Interrupted; nothing was written.", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, UserError):
        print(error, file=sys.stderr)
        return MISTAKE
    if isinstance(error, MemoryError):
        print(
            "There is not enough memory for this; make it smaller (fewer users, posts, days or "
            "workers), or run it on a larger machine. What was finished is kept.",
            file=sys.stderr,
        )
        return MISTAKE
    from pipelines.crash import reported

    print(reported(error), file=sys.stderr)
    return OURS


@contextmanager
def stoppable() -> Iterator[None]:
    """Lets `kill` and a closed terminal stop a program as Ctrl-C does.

    Signs that the terminal cannot show are printed as escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a stream of somebody else
            if stream.errors == "strict":
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            with suppress(ValueError):  # not the main thread
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(outcome: Outcome, output: Output) -> int:
    """Prints the outcome, hands it to MLflow and prints what became of that; the exit code."""
    code = DONE
    if not output.as_json:
        show = (lambda: print(outcome.folder)) if output.quiet else lambda: outcome.show(stdout())
        code = _printed(show, outcome.folder)
    runs, trouble = recorded(outcome.kept)
    if output.as_json:
        code = _printed(lambda: print(_json(outcome, runs)), outcome.folder)
    elif not output.quiet and outcome.show_runs is not None:
        show_runs = outcome.show_runs
        code = max(code, _printed(lambda: show_runs(stdout(), runs), outcome.folder))
    if trouble is not None:
        print(trouble, file=sys.stderr)
    return NOT_TRACKED if trouble is not None and code == DONE else code


def _printed(show: Callable[[], None], folder: Path | None) -> int:
    """Prints to stdout, which may be a pipe that nobody reads, or a file on a full disk."""
    try:
        show()
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # rich makes the one into the other
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = "" if folder is None else f"; the files in {folder} are complete"
        print(f"the results cannot be printed: {error.strerror or error}{where}", file=sys.stderr)
        return MISTAKE
    return DONE


def recorded(kept: "Sequence[Kept]") -> "tuple[list[Recorded | None], str | None]":
    """Hands records to MLflow. If that fails, the message is returned, not raised.

    Args:
        kept: the records, whose files are complete.

    Returns:
        A place in MLflow or None for each record; and what went wrong.
    """
    runs: list[Recorded | None] = [None] * len(kept)
    trackers = {id(each.tracker): each.tracker for each in kept if each.tracker is not None}
    reason = None
    for tracker in trackers.values():
        from pipelines.tracking.tracker import TrackingError

        mine = [place for place, each in enumerate(kept) if each.tracker is tracker]
        try:
            done = tracker.record([(kept[place].record, kept[place].folder) for place in mine])
        except TrackingError as error:
            done, reason = list(error.done), str(error)
        except KeyboardInterrupt as error:
            later = _later([kept[place] for place in mine])
            raise KeyboardInterrupt(f"Interrupted while MLflow took the results.{later}") from error
        for place, run in zip(mine, done, strict=False):
            runs[place] = run
        if reason is not None:
            break
    left = [e for e, run in zip(kept, runs, strict=True) if run is None and e.tracker is not None]
    return runs, None if reason is None else f"{reason}{_later(left)}"


def _later(kept: "Sequence[Kept]") -> str:
    """What to do where MLflow did not get records whose files are complete."""
    if not kept:
        return ""
    track = command("track", *(str(each.folder) for each in kept))
    skip = f"\n({kept[0].off} skips MLflow)" if kept[0].off else ""
    return f"\nThe files are complete; to record them later: {track}{skip}"


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
        where: the folder of finished parts, such as `data/cells`, unless the progress names another
            place.
        words: the words after `recsys`, such as `"run", "configs/demo.yaml"`.
    """
    from pipelines.tracking.addresses import masked

    kept_in = masked(progress.kept_in or where)
    return (
        f"Interrupted with {progress.done} of {progress.total} {progress.what} done. They are kept "
        f"in {kept_in}. The same command continues from there:\n  {command(*words)}"
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


def _json(outcome: Outcome, runs: "Sequence[Recorded | None]") -> str:
    ids = [None if run is None else run.run_id for run in runs]
    content = {
        "name": outcome.name,
        "folder": outcome.folder,
        "mlflow_run_id": ids[0] if ids and not outcome.variants else outcome.run_id,
        **_pages(runs),
        "headline": outcome.headline,
        **outcome.more,
    }
    if outcome.variants:
        pairs = zip(outcome.variants, ids, strict=True)
        content["variants"] = [{**variant, "mlflow_run_id": run_id} for variant, run_id in pairs]
    return json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)


def _pages(runs: "Sequence[Recorded | None]") -> dict[str, str | None]:
    """The addresses of the table and the charts of the runs; none where MLflow got nothing."""
    first = next(filter(None, runs), None)
    if first is None:
        return {"mlflow_url": None, "mlflow_charts_url": None}
    from pipelines.report.terminal import page_of

    table, charts = (page_of(first, charts=which, menu=True) for which in (False, True))
    return {"mlflow_url": table, "mlflow_charts_url": charts}


def _plain(value: Any) -> Any:
    """A value that JSON can hold: null for infinite numbers and NaN, text for paths and dates."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)
