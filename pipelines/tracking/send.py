"""Sends a record to MLflow: once, and so that nothing looks finished or at work that is not.

A run is KILLED from the moment it is made until all of it has arrived: whatever stops the program,
MLflow never shows a run at work that nobody works on. A record that the store has already, since
the same work was done before, brings its runs up to date and makes no new ones. Runs of a record
that a program left unfinished are deleted when it is sent again.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.storage.models import MODEL
from pipelines.tracking.local import PATIENCE
from pipelines.tracking.record import Data, Record, Run, Value
from pipelines.tracking.views import View

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

_MOST_METRICS = 1000
_MOST_PARAMS = 100
_IDENTITY = "recsys.record"
"""Tag with the identity of the record."""
_FILES = "recsys.files"
"""Tag with a hash of the files."""
_PARENT = "mlflow.parentRunId"
_OLD = 900.0
"""Seconds after which a run that nobody finished is one that nobody works on."""


class Found(NamedTuple):
    """What a store holds of a record.

    Attributes:
        tree: its run and those below it; empty if the store has not all of them.
        left: ids of runs that were never finished, to be deleted.
    """

    tree: "list[MlflowRun]"
    left: list[str]


class Sender:
    """Sends records to one experiment.

    Args:
        client: a client of the store.
        experiment_id: the experiment.
        moved: is called after each answer of the store.
    """

    def __init__(
        self, client: "MlflowClient", experiment_id: str, moved: Callable[[], None] = lambda: None
    ) -> None:
        self._client, self._experiment_id, self._moved = client, experiment_id, moved

    def find(self, record: Record, *, alone: bool) -> Found:
        """What the store holds of a record.

        Args:
            record: the record.
            alone: whether nobody else can be sending it now, so that what is not finished never
                will be.
        """
        query = f"tags.`{_IDENTITY}` = '{record.identity}'"
        runs = list(self._ask("search_runs", [self._experiment_id], query, max_results=10_000))
        roots = [run for run in runs if _PARENT not in run.data.tags]
        finished = [run for run in roots if run.info.status == "FINISHED"]
        lost = [
            run
            for run in roots
            if run.info.status != "FINISHED"
            and (alone or run.info.status == "FAILED" or _age(run) > _OLD)
        ]
        left = [below.info.run_id for root in lost for below in _tree(root, runs)]
        return Found(_tree(finished[0], runs) if finished else [], [str(name) for name in left])

    def delete(self, run_ids: list[str]) -> None:
        """Deletes runs that were not finished, and their models."""
        for run_id in run_ids:
            query = f"source_run_id = '{run_id}'"
            for model in self._ask(
                "search_logged_models", [self._experiment_id], filter_string=query
            ):
                self._ask("delete_logged_model", model.model_id)
            self._ask("delete_run", run_id)

    def send(self, record: Record, folder: Path, started: int) -> tuple[str, str | None]:
        """Sends a record with its files and its model.

        Args:
            record: the record.
            folder: the folder of the files.
            started: when the work began, in milliseconds since 1970.

        Returns:
            The id of the run, and that of its model or None.
        """
        tags = {**record.tags, _IDENTITY: record.identity}
        with self._run(record.run, tags, None, started) as run_id:
            model_id = None
            if record.model is not None:
                model_id = self._model(record, run_id, folder / MODEL)
            self._fill(run_id, record.run, model_id)
            for child in record.run.children:
                self._child(child, tags, run_id)
            self._files(run_id, record, folder, "")
        return run_id, model_id

    def update(
        self, tree: "Sequence[MlflowRun]", record: Record, folder: Path
    ) -> tuple[str, str | None]:
        """Brings the runs of a record up to date: what they lack, how long it took, its files.

        Args:
            tree: the run that the store has, and those below it.
            record: the record.
            folder: the folder of the files.

        Returns:
            The id of the run, and that of its model or None.
        """
        root = tree[0]
        run_id = str(root.info.run_id)
        outputs = root.outputs.model_outputs if root.outputs else []
        model_id = str(outputs[-1].model_id) if outputs else None
        tags = {**record.tags, _IDENTITY: record.identity}
        self._complete(root, record.run, tree, tags, model_id)
        self._files(run_id, record, folder, root.data.tags.get(_FILES, ""))
        return run_id, model_id

    def save_views(self, views: Sequence[View]) -> None:
        """Saves views of the runs table with the experiment, in the place of those of before."""
        for view in views:
            self._ask("set_experiment_tag", self._experiment_id, view.tag, view.saved(_now()))

    def end(self, record: Record, status: str, reason: str, started: int) -> None:
        """Sends the run of a program that did not finish.

        Args:
            record: what was begun.
            status: `KILLED` or `FAILED`.
            reason: why it ended.
            started: when it began, in milliseconds since 1970.
        """
        with self._run(record.run, record.tags, None, started, status) as run_id:
            self._ask("set_tag", run_id, "error", reason)
            self._fill(run_id, record.run, None)

    def _child(self, run: Run, tags: Mapping[str, str], parent: str) -> None:
        status = "FAILED" if run.failed else "FINISHED"
        with self._run(run, tags, parent, _now(), status) as run_id:
            self._fill(run_id, run, None)
            for child in run.children:
                self._child(child, tags, run_id)

    @contextmanager
    def _run(
        self,
        run: Run,
        shared: Mapping[str, str],
        parent: str | None,
        started: int,
        status: str = "FINISHED",
    ) -> Iterator[str]:
        """Makes a run, which gets its status at the end of the block, or FAILED if that raises."""
        tags = {**shared, **run.tags, "role": run.role}
        if run.failed:
            tags["error"] = run.failed
        if parent is not None:
            tags[_PARENT] = parent
        made = self._ask("create_run", self._experiment_id, started, tags=tags, run_name=run.name)
        run_id = str(made.info.run_id)
        self._ask("set_terminated", run_id, "KILLED")
        try:
            yield run_id
        except Exception:
            self._ask("set_terminated", run_id, "FAILED")
            raise
        self._ask("set_terminated", run_id, status)

    def _complete(
        self,
        held: "MlflowRun",
        run: Run,
        tree: "Sequence[MlflowRun]",
        tags: Mapping[str, str],
        model_id: str | None,
    ) -> None:
        run_id, known = str(held.info.run_id), held.data.metrics
        missing = [value for value in (*run.values, *run.more) if value.name not in known]
        self._metrics(run_id, [*missing, *run.timings], model_id, run.data)
        below = {other.info.run_name: other for other in tree if _parent(other) == run_id}
        for child in run.children:
            if child.name in below:
                self._complete(below[child.name], child, tree, tags, None)
            else:
                self._child(child, tags, run_id)

    def _files(self, run_id: str, record: Record, folder: Path, known: str) -> None:
        """Sends the files, unless the run has these very bytes."""
        digest = hashlib.sha256()
        for name in record.artifacts:
            digest.update(f"{name} ".encode() + (folder / name).read_bytes())
        if digest.hexdigest() == known:
            return
        for name in record.artifacts:
            self._ask("log_artifact", run_id, str(folder / name))
        if record.artifacts:
            self._ask("set_tag", run_id, _FILES, digest.hexdigest())

    def _fill(self, run_id: str, run: Run, model_id: str | None) -> None:
        """Sends data, metrics and params in as few calls as MLflow allows."""
        if run.data is not None:
            self._ask("log_inputs", run_id, [_input(run.data)])
        values = (*run.values, *run.more, *run.timings)
        self._metrics(run_id, values, model_id, run.data, run.params)

    def _metrics(
        self,
        run_id: str,
        values: Sequence[Value],
        model_id: str | None,
        data: Data | None,
        named: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        from mlflow.entities import Metric, Param

        now = _now()
        about = (None, None) if model_id is None or data is None else (data.name, data.digest)
        metrics = [Metric(v.name, v.value, now, v.step, model_id, *about) for v in values]  # type: ignore[arg-type]
        params = [Param(name, text) for name, text in named.items()]
        calls = max(-(-len(metrics) // _MOST_METRICS), -(-len(params) // _MOST_PARAMS))
        for call in range(calls):
            self._ask(
                "log_batch",
                run_id,
                metrics=metrics[call * _MOST_METRICS : (call + 1) * _MOST_METRICS],
                params=params[call * _MOST_PARAMS : (call + 1) * _MOST_PARAMS],
            )

    def _model(self, record: Record, run_id: str, folder: Path) -> str:
        from pipelines.tracking.models import log_model

        assert record.model is not None
        model_id = log_model(self._client, self._experiment_id, run_id, record.model, folder)
        self._moved()
        return model_id

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Calls the client; a database that others write to is asked again for a minute."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                answer = getattr(self._client, method)(*arguments, **options)
                self._moved()
                return answer
            except Exception as error:
                if "database is locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.2)


def _input(data: Data) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps(data.source)
    dataset = Dataset(name=data.name, digest=data.digest, source_type=data.kind, source=source)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", data.purpose)])


def _now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _parent(run: "MlflowRun") -> str | None:
    parent = run.data.tags.get(_PARENT)
    return None if parent is None else str(parent)


def _tree(root: "MlflowRun", runs: "Sequence[MlflowRun]") -> "list[MlflowRun]":
    """A run and those below it, in this order."""
    found = [root]
    for run in found:  # which grows
        found += [other for other in runs if _parent(other) == run.info.run_id]
    return found


def _age(run: "MlflowRun") -> float:
    """Seconds since a run that was not finished was made, or marked as ended."""
    return (_now() - (run.info.end_time or run.info.start_time)) / 1000
