"""Hashes of all that a result depends on: its config, code, libraries and data."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import recsys
from pipelines.storage.written import check_written
from recsys.config import Study, Training, World
from recsys.logs.files import content_digest

_LIBRARIES = ("implicit", "numba", "numpy", "polars", "scikit-learn", "scipy")
"""Libraries of which another version may change figures in the last bits."""


def cell_digest(study: Study, identity: str) -> str:
    """A hash of a cell's identity, and of the code and data that the identity leaves out.

    Args:
        study: the study of the cell.
        identity: `Cell.identity`, a JSON object.
    """
    cell = json.loads(identity)
    kinds = [cell["recommender"]["kind"], *(part["kind"] for part in cell.get("mitigations", ()))]
    return _sha256(identity, code_digest(), data_digest(study), *map(_foreign_code, kinds))


def study_digest(study: Study) -> str:
    """A hash of all that the figures of a study depend on: not of threads and tracking."""
    left_out = {"workers", "tracking"} | (set() if study.mitigations else {"mitigations"})
    config = study.model_dump_json(exclude=left_out)
    parts = [part for chain in study.mitigations for part in chain.parts]
    foreign = [_foreign_code(spec.kind) for spec in (*study.recommenders, *parts)]
    return _sha256(config, code_digest(), data_digest(study), *foreign)


def training_digest(training: Training) -> str:
    """A hash of all that a trained model depends on."""
    config = training.model_dump_json(exclude={"workers", "tracking", "tune"})
    foreign = _foreign_code(training.recommender.kind)
    return _sha256(config, code_digest(), data_digest(training), foreign)


def tuning_digest(training: Training) -> str:
    """A hash of all that a search depends on but its length, so that a longer one continues it."""
    assert training.tune is not None
    return _sha256(training_digest(training), training.tune.model_dump_json(exclude={"trials"}))


def group_digest(studies: Sequence[Study]) -> str:
    """A hash of all that the figures of several studies depend on, and of their order."""
    return _sha256(*(study_digest(study) for study in studies))


def world_digest(study: Study | Training) -> str:
    """A hash of the source alone: runs with the same hash had the same world or the same log."""
    source = study.source.model_dump_json()
    is_world = isinstance(study.source, World)
    return _sha256(source) if is_world else _sha256(source, data_digest(study))


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
    return _sha256(
        *("" if path is None else content_digest(path, f"log.{n}") for n, path in paths.items())
    )


def files_digest(paths: Mapping[str, str]) -> str:
    """A hash of the contents and the names of some files.

    Args:
        paths: files by name, such as `{"a": "a.parquet"}`.
    """
    return _sha256(*(f"{n} {content_digest(path, f'--{n}')}" for n, path in paths.items()))


def evaluation_digest(config: Mapping[str, Any], files: str) -> str:
    """A hash of all that a comparison of feeds depends on.

    Args:
        config: its arguments, by name.
        files: the result of `files_digest`.
    """
    return _sha256(json.dumps(config, sort_keys=True), files, code_digest())


@cache
def code_digest() -> str:
    """A hash of recsys' version and source, and of the versions of the libraries that compute."""
    root = Path(recsys.__file__).parent
    files = sorted(root.rglob("*.py"))
    sources = [f"{file.relative_to(root)} {_hash_of(file)}" for file in files]
    return _sha256(recsys.__version__, *sources, *map(_version, _LIBRARIES))


def _version(library: str) -> str:
    """The version of a library; empty if it is not installed, as some are not on each Python."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _foreign_code(kind: str) -> str:
    """A hash of the source of a class from elsewhere, `package.module:Class`; empty for ours."""
    if ":" not in kind:
        return ""
    spec = find_spec(kind.partition(":")[0])
    file = Path(spec.origin) if spec is not None and spec.origin is not None else None
    return _hash_of(file) if file is not None and file.is_file() else ""


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(*parts: str) -> str:
    """A hash of texts that tells ("ab", "c") from ("a", "bc")."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
