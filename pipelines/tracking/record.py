"""What MLflow is told of a result, as plain data beside its files: `record.json`.

It is written before MLflow is asked for anything, so that a store that is away costs nothing:
`recsys track FOLDER` sends the same record later.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.storage.files import explained, whole
from recsys.core.errors import UserError

_HOW_RUN = "workers"
"""The param that changes no figure."""
RECORD = "record.json"
"""The record among the files of its result."""
SEED = "seed"
"""The role of the runs of single seeds."""


class Value(NamedTuple):
    """The name, value and evaluation day of a metric."""

    name: str
    value: float | None
    step: int = 0


def finite(values: Iterable[Value]) -> tuple[Value, ...]:
    """The metrics whose values are finite numbers, as MLflow takes no others."""
    return tuple(v for v in values if v.value is not None and math.isfinite(v.value))


@dataclass(frozen=True)
class Data:
    """The world or the files that a run is about; they stay where they are.

    Attributes:
        name: what it is called, such as `demo world`.
        digest: a hash of it.
        kind: `code` or `local`, as MLflow calls sources.
        source: where it comes from, as MLflow wants it told.
        purpose: `training` or `evaluation`.
    """

    name: str
    digest: str
    kind: str
    source: dict[str, Any]
    purpose: str = "evaluation"


@dataclass(frozen=True)
class Run:
    """One run of MLflow, and those below it.

    Attributes:
        name, role: what it is called, and what it is, such as `study` or `seed`.
        values, params, tags: metrics, params and tags by name.
        more: metrics that it has with `tracking.detail=full` alone.
        timings: metrics that another run of the same has other values of.
        data: what it is about; None if its parent says it.
        children: the runs below it.
        failed: why it failed; empty if it did not.
    """

    name: str
    role: str
    values: tuple[Value, ...] = ()
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    data: Data | None = None
    children: tuple["Run", ...] = ()
    failed: str = ""
    more: tuple[Value, ...] = ()
    timings: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Record:
    """All that MLflow is told of a result.

    Attributes:
        experiment: the experiment of its runs.
        run: the run, and those below it.
        artifacts: names of the files, beside the record, that MLflow gets.
        tags: tags of every run, such as the versions of the code.
        model: name, kind and options of a stored model; None if there is none.
        view: the kind of table that shows it, as in `pipelines.tracking.views.views_of`.
    """

    experiment: str
    run: Run
    artifacts: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    model: dict[str, Any] | None = None
    view: str = ""

    @property
    def identity(self) -> str:
        """A hash by which the store knows what it has: of the config, the code and the figures.

        How much is recorded of them (`tracking.detail`) and how long it took are not part of it, so
        that the same work, done again, has the same identity.
        """
        told = replace(self, run=_essence(self.run), artifacts=(), view="")
        return _sum(_text(told))


def write_record(record: Record, folder: Path) -> None:
    """Writes a record beside the files that it is about.

    Args:
        record: the record.
        folder: the folder of the files.

    Raises:
        StorageError: if the folder cannot be written.
    """
    content = _text(record)
    text = json.dumps({"sha256": _sum(content)})[:-1] + f', "record": {content}}}\n'
    with explained(folder), whole(folder / RECORD) as part:
        part.write_text(text, encoding="utf-8")


def read_record(folder: Path) -> Record:
    """Reads a record.

    Args:
        folder: a folder that a program of recsys wrote.

    Raises:
        UserError: if there is no record, or it is damaged.
    """
    path = folder / RECORD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if _sum(json.dumps(content["record"])) != content["sha256"]:
            raise ValueError("it has changed since it was written")
        fields = content["record"]
        return replace(
            Record(**fields), run=_run(fields["run"]), artifacts=tuple(fields["artifacts"])
        )
    except FileNotFoundError as error:
        raise UserError(
            f"{folder}: no results that can be recorded ({RECORD} is missing); name a folder in "
            "data/ that a program of recsys has finished"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: damaged: {error}; run the command in config.yaml again"
        ) from error


def _essence(run: Run) -> Run:
    """A run without what a second run of the same may have otherwise, or more of."""
    children = tuple(_essence(child) for child in run.children if child.role != SEED)
    params = {name: text for name, text in run.params.items() if name != _HOW_RUN}
    return replace(run, params=params, more=(), timings=(), tags={}, children=children)


def _run(fields: dict[str, Any]) -> Run:
    data = fields["data"]
    return replace(
        Run(**fields),
        **{name: tuple(Value(*v) for v in fields[name]) for name in ("values", "more", "timings")},
        data=None if data is None else Data(**data),
        children=tuple(_run(child) for child in fields["children"]),
    )


def _text(record: Record) -> str:
    return json.dumps(record, default=vars)


def _sum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
