"""Writes a synthetic platform's log for others to train on: `python -m pipelines.simulate CONFIG`.

Days go to disk as they are over, so memory does not grow with their number. Everything is written
under another name beside the target and renamed when whole. Exit codes: 0 done · 2 a mistake that
the user can mend · 130 interrupted, and nothing was written.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import recsys
from pipelines.report.datasheet import Tally, Whence, datasheet, readme
from pipelines.storage.files import StorageError
from recsys.config import OwnLog, Study, World
from recsys.core.errors import ConfigError, UserError
from recsys.world.arms import ARMS
from recsys.world.frames import Day, events_frame, items_frame, users_frame
from recsys.world.people.notes import first_day
from recsys.world.run import Run

_SHEET = "datasheet.json"
_SUMS = "SHA256SUMS"
_ROWS = 2**18
"""Rows of a group within a part: fixed, so that bytes depend on no machine."""


def main(argv: Sequence[str] | None = None) -> int:
    """Simulates from the command line.

    Args:
        argv: arguments after the program's name; None for those of this process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_intermixed_args(argv)
    try:
        study = recsys.load_study(arguments.config, arguments.overrides)
        place = write(
            study,
            arguments.arm,
            arguments.seed,
            command=_command(arguments),
            impressions=arguments.impressions,
            out=arguments.out,
            force=arguments.force,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130
    print(place)
    return 0


def write(
    study: Study,
    arm: str = "influx",
    seed: int = 0,
    *,
    command: str,
    impressions: bool = False,
    out: Path | None = None,
    force: bool = False,
) -> Path:
    """Runs a world and writes what it logged.

    Args:
        study: names the world; `workers` threads run it, which change no byte.
        arm: a key of `recsys.world.simulate.ARMS`.
        seed: draws everybody's luck.
        command: what the datasheet names as its origin.
        impressions: whether impressions are written too.
        out: where to; data/NAME-ARM-seed-SEED by default.
        force: whether a data set that is there already is replaced.

    Returns:
        The directory.

    Raises:
        ConfigError: a study without a world, or a target that is taken.
        StorageError: a place that cannot be written to.
    """
    if isinstance(study.source, OwnLog):
        raise ConfigError(
            f"{study.name}: a study of a log has no world to simulate; name one that has"
        )
    place = out if out is not None else Path("data") / f"{study.name}-{arm}-seed-{seed}"
    _check_free(place, force=force)
    whence = Whence(study.name, arm, seed, command, study.world, impressions)
    with _whole(place) as part:
        _write(part, whence, study.workers)
    return place


def _write(part: Path, whence: Whence, threads: int) -> None:
    """Everything into an empty directory."""
    world, tally = whence.world, Tally(whence.world)
    (part / "events").mkdir()
    progress = _Progress(world.days_before + world.days_after)
    with progress:
        for run, day in _days(whence, threads):
            tally.add(day, run.people, run.scene.given)
            frame = events_frame([day]).select(
                pl.col("user").cast(pl.Int64).alias("user_id"),
                pl.col("item").cast(pl.Int64).alias("item_id"),
                "timestamp",
                "kind",
                "rank",
                "weight",
            )
            _parquet(frame, part / "events" / f"{_date(world, day)}.parquet")
            progress.advance(f"{_date(world, day)}, {day.user.size:,} events")
    users, items = users_frame(world, run.people), items_frame(world, run.notes)
    _parquet(users, part / "users.parquet")
    _parquet(items, part / "items.parquet")
    sheet = datasheet(whence, tally, users, items, _sums(part))
    (part / "README.md").write_text(readme(sheet), encoding="utf-8")
    text = json.dumps(sheet, indent=2, ensure_ascii=False) + "\n"
    (part / _SHEET).write_text(text, encoding="utf-8")


def _days(whence: Whence, threads: int) -> Iterator[tuple[Run, Day]]:
    """The log's days, each with the run that made it; the last run holds everybody."""
    world = whence.world
    run = Run.start(world, whence.seed, threads, impressions=whence.impressions)
    for day in run.run_days(first_day(world), 0):
        if day.day >= -world.days_before:
            yield run, day
    run = run.fork(ARMS[whence.arm])
    for day in run.run_days(0, world.days_after):
        yield run, day


def _date(world: World, day: Day) -> str:
    """Dates sort as text does, so a glob of the parts is in the order of time."""
    return (world.start + timedelta(days=day.day)).isoformat()


def _parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.rechunk().write_parquet(path, compression="zstd", row_group_size=_ROWS)


def _sums(part: Path) -> str:
    """Writes SHA256SUMS of all Parquet files; returns its own sum."""
    lines = []
    for path in sorted(part.rglob("*.parquet")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(part).as_posix()}\n")
    text = "".join(lines)
    (part / _SUMS).write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def _check_free(place: Path, *, force: bool) -> None:
    """Only a data set of ours is ever replaced, and only if asked."""
    if not (place.exists() or place.is_symlink()):
        return
    if not force:
        raise ConfigError(
            f"{place} exists already; --force replaces it, --out DIR writes elsewhere"
        )
    if place.is_symlink() or not (place / _SHEET).is_file():
        raise ConfigError(
            f"{place} is no data set of this program ({_SHEET} is missing); "
            "it is left alone: name another place with --out"
        )


@contextmanager
def _whole(place: Path) -> Iterator[Path]:
    """A directory to write to; it appears at `place` at the end of the block, or not at all."""
    part = place.absolute().parent / f".part-{uuid4().hex}"
    try:
        part.mkdir(parents=True)
        yield part
        _publish(part, place)
    except OSError as error:
        raise StorageError(
            f"cannot write to {place.absolute()}: {error.strerror or error}; "
            "free space there, or name another place with --out"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _publish(part: Path, place: Path) -> None:
    if not place.exists():
        os.rename(part, place)
        return
    aside = part.with_name(f".old-{uuid4().hex}")
    os.rename(place, aside)
    os.rename(part, place)
    shutil.rmtree(aside, ignore_errors=True)


class _Progress:
    """How many days are over, on stderr: a bar on a terminal, plain lines anywhere else."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._start = total, 0, time.monotonic()
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("days"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[last]}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("days", total=total, last="")

    def __enter__(self) -> None:
        self._bar.start()

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self, name: str) -> None:
        """Says that a day is over."""
        self._done += 1
        if self._console.is_terminal:
            self._bar.update(self._task, completed=self._done, last=name)
            return
        seconds = time.monotonic() - self._start
        left = seconds / self._done * (self._total - self._done)
        times = f"{seconds:.0f} s, about {left:.0f} s left" if left else f"{seconds:.0f} s"
        line = f"{self._done}/{self._total} days, {times}: {name}"
        self._console.print(line, markup=False, soft_wrap=True)


def _command(arguments: argparse.Namespace) -> str:
    """What makes the same data again, wherever it is put."""
    words = [arguments.config, *arguments.overrides, "--arm", arguments.arm]
    words += ["--seed", str(arguments.seed), *["--impressions"][: arguments.impressions]]
    return shlex.join(["python", "-m", "pipelines.simulate", *words])


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**62:
        raise ValueError
    return seed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.simulate",
        description="Write a synthetic platform's users, items and events as Parquet, "
        "with a datasheet. The house policy serves, whatever the config's recommenders.",
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file with a world")
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="changes to it, dots for nested keys: world.incumbents=100000 workers=8",
    )
    arms = [name for name, arm in ARMS.items() if not arm.retrained]
    parser.add_argument("--arm", choices=arms, default="influx", help="who arrives (influx)")
    parser.add_argument("--seed", type=_seed, default=0, help="draws everybody's luck (0)")
    parser.add_argument(
        "--impressions",
        action="store_true",
        help="write what was shown too: about ten times as many rows",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to (data/NAME-ARM-seed-SEED)"
    )
    parser.add_argument("--force", action="store_true", help="replace a data set that is there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
