"""The files of results: of studies, comparisons, training runs and served feeds.

Each file is written under another name and then renamed, so that another process, or the next run
after a crash, finds it complete or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from polars.exceptions import PolarsError

from pipelines.storage.digests import (
    evaluation_digest,
    group_digest,
    study_digest,
    training_digest,
    world_digest,
)
from pipelines.storage.files import whole, whole_folder, written_in
from pipelines.storage.models import MODEL, write_model
from recsys.config import Study, Training
from recsys.core.errors import ConfigError
from recsys.served.compare import FeedComparison
from recsys.study.load import load_study
from recsys.study.result import StudyResult
from recsys.study.sensitivity import sensitivity
from recsys.study.tables.registry import TABLES
from recsys.study.tables.table import Table
from recsys.training.evaluate import TrainingResult

STUDIES = Path("data/studies")
EVALUATIONS = Path("data/evaluations")
TRAININGS = Path("data/training")
TUNINGS = Path("data/tuning")
COMPARISONS = Path("data/comparisons")

WORLD_DIGEST = "# world_digest: "
"""Begins the last line of a study's config.yaml, which says which world or log it had."""

_WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "csv": lambda frame, path: frame.write_csv(path),
}
"""How to write a frame, by the ending of the file."""


def study_folder(study: Study, root: Path = STUDIES) -> Path:
    """The folder of a study's files, whether it exists or not."""
    return root / f"{study.name}-{study_digest(study)[:12]}"


def training_folder(training: Training, root: Path = TRAININGS) -> Path:
    """The folder of a training run's files, whether it exists or not."""
    return root / f"{training.name}-{training_digest(training)[:12]}"


def save_result(result: StudyResult, root: Path = STUDIES) -> Path:
    """Writes the files of a finished study.

    Args:
        result: the result of `recsys.run`.
        root: the folder of all studies.

    Returns:
        The folder. It holds config.yaml, notes.txt, and the files of each table of
        `recsys.study.tables.registry.TABLES` that the study has. The same study has the same
        folder and, but for the timings, the same bytes.
    """
    place = study_folder(result.study, root)
    with written_in(place):
        for table in written_tables(result):
            for ending in table.files:
                with whole(place / f"{table.name}.{ending}") as part:
                    _WRITERS[ending](result.tables[table.name], part)
        with whole(place / "config.yaml") as part:
            digest = f"{WORLD_DIGEST}{world_digest(result.study)}\n"
            part.write_text(f"{config_text(result.study, place)}{digest}", encoding="utf-8")
        with whole(place / "notes.txt") as part:
            part.write_text("".join(f"{note}\n" for note in result.notes), encoding="utf-8")
    return place


def written_tables(result: StudyResult) -> list[Table]:
    """The tables of a study that are written to files."""
    return [
        table
        for name, table in TABLES.items()
        if table.is_written(result.study, result.tables[name])
    ]


def save_comparison(results: Sequence[StudyResult], root: Path = STUDIES) -> Path:
    """Writes the drift of all variants of a study as one long table.

    Args:
        results: the results of all variants, in the order of the config.
        root: the folder of all studies.

    Returns:
        The folder. It holds comparison.csv, which is `drift` with the column `variant` before it,
        and sensitivity.csv if the study has a reference. The same variants have the same folder
        and the same bytes.
    """
    studies = [result.study for result in results]
    place = root / f"{studies[0].group}-{group_digest(studies)[:12]}"
    frames = [r.drift.select(pl.lit(r.study.variant).alias("variant"), pl.all()) for r in results]
    with written_in(place):
        with whole(place / "comparison.csv") as part:
            pl.concat(frames, how="vertical_relaxed").write_csv(part)
        if studies[0].reference is not None:
            named = {str(result.study.variant): result for result in results}
            with whole(place / "sensitivity.csv") as part:
                sensitivity(named, studies[0].reference).write_csv(part)
    return place


def load_saved(folder: Path, *, trust: bool = False) -> tuple[Study, pl.DataFrame, str]:
    """Reads a study that was saved: its config, the rows of its users, and its world's digest.

    Args:
        folder: the folder that `save_result` wrote.
        trust: whether classes that its config names as module:Class may be loaded.

    Raises:
        ConfigError: the folder holds no finished study, or one that cannot be read.
    """
    config, rows = folder / "config.yaml", folder / "per_user.parquet"
    if not config.is_file() or not rows.is_file():
        raise ConfigError(
            f"{folder} holds no finished study; give a folder that `recsys run` wrote, such as "
            "data/studies/demo-0123456789ab"
        )
    study = load_study(config, trust=trust)
    last = config.read_text(encoding="utf-8").splitlines()[-1]
    known = last.startswith(WORLD_DIGEST)
    digest = last.removeprefix(WORLD_DIGEST) if known else world_digest(study)
    try:
        return study, pl.read_parquet(rows), digest
    except (OSError, PolarsError) as error:
        raise ConfigError(f"{rows}: cannot be read as Parquet: {error}; run it again") from error


def save_compared(
    table: pl.DataFrame, page: str, first: Path, second: Path, root: Path = COMPARISONS
) -> Path:
    """Writes the comparison of two studies.

    Args:
        table: the differences.
        page: the same as HTML.
        first, second: the folders of the studies.
        root: the folder of all such comparisons.

    Returns:
        The folder. It holds differences.csv and report.html.

    Raises:
        StorageError: if the folder cannot be written.
    """
    place = root / f"{first.name}-{second.name}"
    with written_in(place):
        with whole(place / "differences.csv") as part:
            table.write_csv(part)
        with whole(place / "report.html") as part:
            part.write_text(page, encoding="utf-8")
    return place


def save_training(result: TrainingResult, root: Path = TRAININGS) -> Path:
    """Writes the files of a training run.

    Args:
        result: the result of `recsys.train`.
        root: the folder of all training runs.

    Returns:
        The folder. It holds config.yaml, summary.csv, timings.csv, per_user.parquet,
        feeds.parquet, notes.txt and the folder model; of a rolling evaluation also days.csv and
        means.csv. The same run has the same folder and, but
        for the timings, the same bytes.

    Raises:
        ModelError: if the model cannot be stored; the other files are written.
        StorageError: if the folder cannot be written.
    """
    place = training_folder(result.training, root)
    with written_in(place):
        for name in ("summary", "timings"):
            with whole(place / f"{name}.csv") as part:
                getattr(result, name).write_csv(part)
        for name, table in (("days", "series"), ("means", "means")) if result.days else ():
            with whole(place / f"{name}.csv") as part:
                getattr(result.days, table).write_csv(part)
        for name in ("per_user", "feeds"):
            with whole(place / f"{name}.parquet") as part:
                getattr(result, name).write_parquet(part)
        with whole(place / "config.yaml") as part:
            part.write_text(config_text(result.training, place, "train"), "utf-8")
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
    page: Callable[[Path], None] | None = None,
) -> Path:
    """Writes the files of a comparison of served feeds.

    Args:
        result: the result of `recsys.compare_feeds`.
        config: its name, its arguments, and the paths of the frames.
        files: the digest of the files of the frames.
        command: the command that makes these files again.
        root: the folder of all comparisons.
        page: writes the page to a path; None for no page.

    Returns:
        The folder. It holds report.html, summary, drift, quantiles, groups and measures as .csv,
        per_user.parquet, notes.txt, and config.yaml, which says what was compared. The same frames
        and arguments have the same folder and the same bytes.

    Raises:
        StorageError: if the folder cannot be written.
    """
    place = root / f"{config['name']}-{evaluation_digest(config, files)[:12]}"
    with written_in(place):
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
        if page is not None:
            with whole(place / "report.html") as part:
                page(part)
    return place


def _save_model(result: TrainingResult, place: Path) -> None:
    """Writes the model complete or not at all, in place of one from before."""
    with whole_folder(place) as part:
        write_model(result.model, result.candidates, part)


def config_text(study: Study | Training, place: Path, program: str = "run") -> str:
    """The config as YAML with every default but `engine`, below the command that runs it.

    Where a config ran is no part of its results: a copy of them does not ask for that cluster.

    Args:
        study: the config.
        place: the folder that config.yaml will be in.
        program: the subcommand that reads it, such as `run`.
    """
    command = f"# .venv/bin/recsys {program} {(place / 'config.yaml').as_posix()}\n"
    content = study.model_dump(mode="json", exclude_none=True, exclude={"engine"})
    return command + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
