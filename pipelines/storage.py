"""Finished cells and results on disk.

Everything is written whole under another name and then renamed, so that a reader, another process
or the next run after a crash finds a file complete or not at all.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import yaml
from polars.exceptions import PolarsError

from pipelines.digests import (
    cell_digest,
    evaluation_digest,
    group_digest,
    study_digest,
    training_digest,
)
from pipelines.models import MODEL, write_model
from recsys.config import Study, Training
from recsys.errors import UserError
from recsys.sensitivity import sensitivity
from recsys.served import FeedComparison
from recsys.study import CellResult, StudyResult
from recsys.training import TrainingResult

__all__ = [
    "CELLS",
    "EVALUATIONS",
    "STUDIES",
    "TRAININGS",
    "TUNINGS",
    "CellStore",
    "StorageError",
    "config_text",
    "explained",
    "save_comparison",
    "save_comparison_of_feeds",
    "save_result",
    "save_training",
    "tables_of_a_log",
    "whole",
]

CELLS = Path("data/cells")
STUDIES = Path("data/studies")
EVALUATIONS = Path("data/evaluations")
TRAININGS = Path("data/training")
TUNINGS = Path("data/tuning")
_FRAMES = ("per_user", "timings", "life", "feeds", "exposure", "games", "removals")
_TABLES = ("summary", "drift", "quantiles", "wins", "exposure", "measures", "life")
"""Frames of a study that are small enough to be written as text too."""
_TABLES_OF_A_LOG = ("arrivals", "exposed", "removals")
"""More of them, where they have rows."""
_RECORD = "cell.json"


class StorageError(UserError):
    """A place that results cannot be written to."""


class CellStore(MutableMapping[str, CellResult]):
    """Results of a study's cells by `Cell.identity`, each a directory under `root`.

    An entry holds a Parquet file for each frame of a `CellResult`, and cell.json: the identity, to
    be read by people, and the checksums of the files. One that does not match them is as good as
    none.

    Args:
        study: the study whose cells are kept; its data and the code are part of their address.
        root: where entries live.
    """

    def __init__(self, study: Study, root: Path = CELLS) -> None:
        self._study = study
        self._root = root

    def path(self, identity: str) -> Path:
        """The directory of a cell, whether it is there or not."""
        return self._root / cell_digest(self._study, identity)

    def __getitem__(self, identity: str) -> CellResult:
        try:
            return _read_cell(self.path(identity), identity)
        except (OSError, PolarsError, ValueError, KeyError, TypeError) as error:
            raise KeyError(identity) from error

    def __setitem__(self, identity: str, result: CellResult) -> None:
        with explained(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            part = self._root / f".part-{uuid4().hex}"
            part.mkdir()
            try:
                _write_cell(part, identity, result)
                self._publish(part, identity)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def __delitem__(self, identity: str) -> None:
        if identity not in self:
            raise KeyError(identity)
        _remove(self.path(identity))

    def __iter__(self) -> Iterator[str]:
        for record in sorted(self._root.glob(f"*/{_RECORD}")):
            identity = _identity_in(record)
            if identity is not None and identity in self:
                yield identity

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _publish(self, part: Path, identity: str) -> None:
        """Renames a finished entry into place; a sound one that is there already may stay."""
        place = self.path(identity)
        while True:
            try:
                return os.replace(part, place)
            except OSError:
                if identity in self:
                    return
                if not place.exists():
                    raise
                _remove(place)


def save_result(result: StudyResult, root: Path = STUDIES) -> Path:
    """Writes the files of a finished study.

    Args:
        result: what `recsys.run` gave.
        root: where studies live.

    Returns:
        The directory: config.yaml, per_user.parquet, summary, drift, quantiles, wins, exposure,
        measures, life and, if asked for, groups as .parquet and .csv, timings.parquet, notes.txt;
        of a world recovery.csv and power.csv, of a log arrivals, exposed and removals as .csv,
        those that have rows; with mitigations front.csv and dominated.csv; with channels
        channels.csv and games.parquet; and, if the study keeps them, feeds.parquet. The same study
        has the same directory and, but for the timings, the same bytes.
    """
    place = root / f"{result.study.name}-{study_digest(result.study)[:12]}"
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        feeds = ("feeds",) if result.study.evaluation.snapshots else ()
        tables = (*_TABLES, "groups") if result.study.evaluation.groups else _TABLES
        for name in ("per_user", *tables, "timings", *feeds):
            with whole(place / f"{name}.parquet") as part:
                getattr(result, name).write_parquet(part)
        for name in (*tables, *tables_of_a_log(result)):
            with whole(place / f"{name}.csv") as part:
                getattr(result, name).write_csv(part)
        if not result.front.is_empty():
            for name in ("front", "dominated"):
                with whole(place / f"{name}.csv") as part:
                    getattr(result, name).write_csv(part)
        for name in ("recovery", "power"):
            if not getattr(result, name).is_empty():
                with whole(place / f"{name}.csv") as part:
                    getattr(result, name).write_csv(part)
        if not result.channels.is_empty():
            with whole(place / "channels.csv") as part:
                result.channels.write_csv(part)
            with whole(place / "games.parquet") as part:
                result.games.write_parquet(part)
        with whole(place / "config.yaml") as part:
            part.write_text(config_text(result.study, place), encoding="utf-8")
        with whole(place / "notes.txt") as part:
            part.write_text("".join(f"{note}\n" for note in result.notes), encoding="utf-8")
    return place


def tables_of_a_log(result: StudyResult) -> list[str]:
    """Names of the tables that only studies of a log have, and this one has."""
    return [name for name in _TABLES_OF_A_LOG if not getattr(result, name).is_empty()]


def save_comparison(results: Sequence[StudyResult], root: Path = STUDIES) -> Path:
    """Writes the drift of all variants of a study as one long table.

    Args:
        results: of one group, in its order.
        root: where studies live.

    Returns:
        The directory: comparison.csv, which is `drift` with the column `variant` before it, and
        with a reference sensitivity.csv. The same variants have the same directory and the same
        bytes.
    """
    studies = [result.study for result in results]
    place = root / f"{studies[0].group}-{group_digest(studies)[:12]}"
    frames = [r.drift.select(pl.lit(r.study.variant).alias("variant"), pl.all()) for r in results]
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        with whole(place / "comparison.csv") as part:
            pl.concat(frames, how="vertical_relaxed").write_csv(part)
        if studies[0].reference is not None:
            named = {str(result.study.variant): result for result in results}
            with whole(place / "sensitivity.csv") as part:
                sensitivity(named, studies[0].reference).write_csv(part)
    return place


def save_training(result: TrainingResult, root: Path = TRAININGS) -> Path:
    """Writes the files of a training run.

    Args:
        result: what `recsys.train` gave.
        root: where training runs live.

    Returns:
        The directory: config.yaml, summary and timings as .csv, per_user.parquet, feeds.parquet,
        notes.txt and the folder model. The same run has the same directory and, but for the
        timings, the same bytes.

    Raises:
        ModelError: a model that cannot be stored; all else is written.
        StorageError: a place that cannot be written to.
    """
    place = root / f"{result.training.name}-{training_digest(result.training)[:12]}"
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        for name in ("summary", "timings"):
            with whole(place / f"{name}.csv") as part:
                getattr(result, name).write_csv(part)
        for name in ("per_user", "feeds"):
            with whole(place / f"{name}.parquet") as part:
                getattr(result, name).write_parquet(part)
        with whole(place / "config.yaml") as part:
            part.write_text(config_text(result.training, place, "pipelines.train"), "utf-8")
        with whole(place / "notes.txt") as part:
            part.write_text("".join(f"{note}\n" for note in result.notes), encoding="utf-8")
        if ":" not in result.training.recommender.kind:
            _save_model(result, place / MODEL)
    return place


def save_comparison_of_feeds(
    result: FeedComparison,
    config: Mapping[str, Any],
    files: str,
    command: str,
    root: Path = EVALUATIONS,
) -> Path:
    """Writes the files of a comparison of served feeds.

    Args:
        result: what `recsys.compare_feeds` gave.
        config: its arguments and where the frames were, with a name.
        files: digest of the frames' files.
        command: what makes these files again.
        root: where comparisons live.

    Returns:
        The directory: summary, drift, quantiles, groups and measures as .csv, per_user.parquet,
        notes.txt, and config.yaml, which says what was compared. The same frames and arguments have
        the same directory and the same bytes.

    Raises:
        StorageError: a place that cannot be written to.
    """
    place = root / f"{config['name']}-{evaluation_digest(config, files)[:12]}"
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        for name in ("summary", "drift", "quantiles", "groups", "measures"):
            with whole(place / f"{name}.csv") as part:
                getattr(result, name).write_csv(part)
        with whole(place / "per_user.parquet") as part:
            result.per_user.write_parquet(part)
        with whole(place / "notes.txt") as part:
            part.write_text("".join(f"{note}\n" for note in result.notes), encoding="utf-8")
        with whole(place / "config.yaml") as part:
            content = {**config, "k": result.k, "floor": result.floor, "files_sha256": files}
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
            part.write_text(f"# {command}\n{text}", encoding="utf-8")
    return place


def _save_model(result: TrainingResult, place: Path) -> None:
    """Whole or not at all; one that was there before is replaced."""
    part = place.with_name(f".part-{uuid4().hex}")
    try:
        write_model(result.model, result.candidates, part)
        if place.exists():
            _remove(place)
        os.replace(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def config_text(study: Study | Training, place: Path, program: str = "pipelines.run") -> str:
    """The config with every default written out; it can be run as it stands."""
    command = f"# python -m {program} {(place / 'config.yaml').as_posix()}\n"
    content = study.model_dump(mode="json", exclude_none=True)
    return command + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _write_cell(place: Path, identity: str, result: CellResult) -> None:
    for name in _FRAMES:
        getattr(result, name).write_parquet(place / f"{name}.parquet")
    sums = {f"{name}.parquet": _checksum(place / f"{name}.parquet") for name in _FRAMES}
    record = {"identity": json.loads(identity), "sha256": sums}
    (place / _RECORD).write_text(json.dumps(record, indent=2, sort_keys=True), encoding="utf-8")


def _read_cell(place: Path, identity: str) -> CellResult:
    """Raises ValueError, or what reading raises, unless every byte is as it was written."""
    record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
    if record["identity"] != json.loads(identity):
        raise ValueError(f"{place} holds another cell")
    for name in (f"{frame}.parquet" for frame in _FRAMES):
        if _checksum(place / name) != record["sha256"][name]:
            raise ValueError(f"{place / name} has changed since it was written")
    return CellResult(**{name: pl.read_parquet(place / f"{name}.parquet") for name in _FRAMES})


def _identity_in(record: Path) -> str | None:
    try:
        return json.dumps(
            json.loads(record.read_text(encoding="utf-8"))["identity"], sort_keys=True
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _remove(place: Path) -> None:
    """Takes an entry out of sight in one step, then deletes it; another process may be faster."""
    aside = place.with_name(f".old-{uuid4().hex}")
    with suppress(FileNotFoundError):
        os.replace(place, aside)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to; what was written appears at `path` at the end of the block."""
    part = path.with_name(f".part-{uuid4().hex}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turns a full disk or a forbidden directory into a message."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write to {place.resolve()}: {error.strerror or error}; "
            "free space there, or run from a directory that you may write to"
        ) from error
