"""Writes a synthetic platform's log for others to train on: `recsys simulate CONFIG`.

Each day is written to disk when it is over, so that memory does not grow with the number of days.
Everything is written under another name beside the target and renamed when it is complete.
"""

import hashlib
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import polars as pl

import recsys
from pipelines.program import COMMAND, Outcome, Output, carried_out, way_in
from pipelines.report.datasheet import Tally, Whence, datasheet, readme
from pipelines.report.progress import StudyProgress
from pipelines.storage.files import explained, sweep, whole_folder
from pipelines.trust import read_config
from recsys.config import OwnLog, Study, World
from recsys.core.errors import ConfigError
from recsys.world.arms import ARMS
from recsys.world.day.values import Day
from recsys.world.frames import events_frame, items_frame, users_frame
from recsys.world.people.posts import first_day
from recsys.world.run import Run

_SHEET = "datasheet.json"
_SUMS = "SHA256SUMS"
_ROWS = 2**18
"""Rows of a row group in a Parquet file: fixed, so that bytes do not depend on the machine."""


main = way_in("simulate")


def execute(
    words: Sequence[str],
    output: Output,
    arm: str = "influx",
    seed: int = 0,
    *,
    impressions: bool = False,
    out: Path | None = None,
    force: bool = False,
) -> int:
    """Writes a data set and prints where it is.

    Args:
        words: a config with a world, and changes to it, such as `["configs/demo.yaml"]`.
        output: how much is printed.
        arm, seed, impressions, out, force: as in `write`.

    Returns:
        The exit code.
    """
    origin = [*words, "--arm", arm, "--seed", str(seed), *["--impressions"][:impressions]]

    def work() -> Outcome:
        study = read_config(recsys.load_study, words)
        place = write(
            study,
            arm,
            seed,
            command=shlex.join([COMMAND, "simulate", *origin]),
            impressions=impressions,
            out=out,
            force=force,
            progress=output.progress("days"),
        )
        counts = json.loads((place / _SHEET).read_text(encoding="utf-8"))["counts"]
        return Outcome(study.name, place, [counts], lambda _: print(place))

    return carried_out(work, output)


def write(
    study: Study,
    arm: str = "influx",
    seed: int = 0,
    *,
    command: str,
    impressions: bool = False,
    out: Path | None = None,
    force: bool = False,
    progress: StudyProgress,
) -> Path:
    """Runs a world and writes its log.

    Args:
        study: a study of a world. `workers` is the number of threads, which changes no byte.
        arm: a key of `recsys.world.arms.ARMS`, such as `influx`.
        seed: the world seed, which draws everybody's luck, such as 0.
        command: the command that makes the data set again, for the datasheet.
        impressions: whether impressions are written too.
        out: the folder to write; data/NAME-ARM-seed-SEED by default.
        force: whether a data set in that folder is replaced.
        progress: shows each day that is done.

    Returns:
        The folder.

    Raises:
        ConfigError: if the study has no world, or the folder exists.
        StorageError: if the folder cannot be written.
    """
    if isinstance(study.source, OwnLog):
        raise ConfigError(
            f"{study.name}: a study of a log has no world to simulate; name a config with a world"
        )
    place = out if out is not None else Path("data") / f"{study.name}-{arm}-seed-{seed}"
    _check_free(place, force=force)
    whence = Whence(study.name, arm, seed, command, study.world, impressions)
    sweep(place.absolute().parent)
    with explained(place), whole_folder(place.absolute()) as part:
        _write(part, whence, study.threads, progress)
    return place


def _write(part: Path, whence: Whence, threads: int, progress: StudyProgress) -> None:
    """Writes all files of a data set into an empty folder."""
    world, tally = whence.world, Tally(whence.world, whence.seed)
    (part / "events").mkdir()
    progress.total = world.days_before + world.days_after
    with progress:
        for number, (run, day) in enumerate(_days(whence, threads), 1):
            tally.add(day, run.people, run.scene.posts_for)
            frame = events_frame([day]).select(
                pl.col("user").cast(pl.Int64).alias("user_id"),
                pl.col("item").cast(pl.Int64).alias("item_id"),
                "timestamp",
                "kind",
                "rank",
                "weight",
            )
            _parquet(frame, part / "events" / f"{_date(world, day)}.parquet")
            progress(number, progress.total, f"{_date(world, day)}, {day.user.size:,} events")
    users, items = users_frame(world, run.people), items_frame(world, run.posts)
    _parquet(users, part / "users.parquet")
    _parquet(items, part / "items.parquet")
    sheet = datasheet(whence, tally, users, items, _sums(part))
    (part / "README.md").write_text(readme(sheet), encoding="utf-8")
    text = json.dumps(sheet, indent=2, ensure_ascii=False) + "\n"
    (part / _SHEET).write_text(text, encoding="utf-8")


def _days(whence: Whence, threads: int) -> Iterator[tuple[Run, Day]]:
    """The days of the log, each with the run that made it; the last run holds all people."""
    world = whence.world
    run = Run.start(world, whence.seed, threads, impressions=whence.impressions)
    for day in run.run_days(first_day(world), 0):
        if day.day >= -world.days_before:
            yield run, day
    run = run.fork(ARMS[whence.arm])
    for day in run.run_days(0, world.days_after):
        yield run, day


def _date(world: World, day: Day) -> str:
    """The date of a day as YYYY-MM-DD, so that files sorted by name are sorted by time."""
    return (world.start + timedelta(days=day.day)).isoformat()


def _parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.rechunk().write_parquet(path, compression="zstd", row_group_size=_ROWS)


def _sums(part: Path) -> str:
    """Writes SHA256SUMS with the sums of all Parquet files; returns the sum of SHA256SUMS."""
    lines = []
    for path in sorted(part.rglob("*.parquet")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(part).as_posix()}\n")
    text = "".join(lines)
    (part / _SUMS).write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def _check_free(place: Path, *, force: bool) -> None:
    """Raises unless the folder is free, or holds a data set that `force` allows to replace."""
    if not (place.exists() or place.is_symlink()):
        return
    if not force:
        raise ConfigError(
            f"{place} exists already; --force replaces it, --out DIR writes elsewhere"
        )
    if place.is_symlink() or not (place / _SHEET).is_file():
        raise ConfigError(
            f"{place} is not a data set of this program ({_SHEET} is missing), so it is not "
            "replaced; name another folder with --out"
        )


if __name__ == "__main__":
    sys.exit(main())
