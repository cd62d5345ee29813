"""Hashes of all that a result depends on: its config, code, libraries and data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.storage.written import check_written
from recsys.config import Study, Training, World
from recsys.core.alike import code_digest, foreign_code, sha256
from recsys.logs.files import content_digest


def cell_digest(study: Study, identity: str) -> str:
    """A hash of a cell's identity, and of the code and data that the identity leaves out.

    Args:
        study: the study of the cell.
        identity: `Cell.identity`, a JSON object.
    """
    cell = json.loads(identity)
    kinds = [cell["recommender"]["kind"], *(part["kind"] for part in cell.get("mitigations", ()))]
    return sha256(identity, code_digest(), data_digest(study), *map(foreign_code, kinds))


def study_digest(study: Study) -> str:
    """A hash of all that the figures of a study depend on: not of threads and tracking."""
    left_out = {"workers", "engine", "tracking"} | (set() if study.mitigations else {"mitigations"})
    config = study.model_dump_json(exclude=left_out)
    parts = [part for chain in study.mitigations for part in chain.parts]
    foreign = [foreign_code(spec.kind) for spec in (*study.recommenders, *parts)]
    return sha256(config, code_digest(), data_digest(study), *foreign)


def training_digest(training: Training) -> str:
    """A hash of all that a trained model depends on."""
    config = training.model_dump_json(exclude={"workers", "engine", "tracking", "tune"})
    foreign = foreign_code(training.recommender.kind)
    return sha256(config, code_digest(), data_digest(training), foreign)


def tuning_digest(training: Training) -> str:
    """A hash of all that a search depends on but its length, so that a longer one continues it."""
    assert training.tune is not None
    return sha256(training_digest(training), training.tune.model_dump_json(exclude={"trials"}))


def group_digest(studies: Sequence[Study]) -> str:
    """A hash of all that the figures of several studies depend on, and of their order."""
    return sha256(*(study_digest(study) for study in studies))


def world_digest(study: Study | Training) -> str:
    """A hash of the source alone: runs with the same hash had the same world or the same log."""
    source = study.source.model_dump_json()
    is_world = isinstance(study.source, World)
    return sha256(source) if is_world else sha256(source, data_digest(study))


def data_digest(study: Study | Training) -> str:
    """A hash of the files that a log is read from; empty for a world.

    Raises:
        LogError: inside a program, if a file has changed since it was first read or hashed.
    """
    source = study.source
    if isinstance(source, World):
        return ""
    paths = {name: getattr(source, name) for name in ("events", "users", "items")}
    for path in filter(None, paths.values()):
        check_written(Path(path))
    return sha256(
        *("" if path is None else content_digest(path, f"log.{n}") for n, path in paths.items())
    )


def files_digest(paths: Mapping[str, str]) -> str:
    """A hash of the contents and the names of some files.

    Args:
        paths: files by name, such as `{"a": "a.parquet"}`.
    """
    return sha256(*(f"{n} {content_digest(path, f'--{n}')}" for n, path in paths.items()))


def evaluation_digest(config: Mapping[str, Any], files: str) -> str:
    """A hash of all that a comparison of feeds depends on.

    Args:
        config: its arguments, by name.
        files: the result of `files_digest`.
    """
    return sha256(json.dumps(config, sort_keys=True), files, code_digest())
