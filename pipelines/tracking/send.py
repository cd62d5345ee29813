"""Sends a record to MLflow: once, and so that nothing looks finished or at work that is not.

A run is KILLED from the moment it is made until all of it has arrived: whatever stops the program,
MLflow never shows a run at work that nobody works on. Runs of a record that a program left
unfinished are deleted when `recsys track` sends the record again.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.storage.models import MODEL
from pipelines.tracking.local import PATIENCE
from pipelines.tracking.record import Data, Record, Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MOST_METRICS = 1000
_MOST_PARAMS = 100
_IDENTITY = "recsys.record"
"""Tag with the identity of the record."""


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

    def find(self, record: Record) -> tuple[str | None, list[str]]:
        """The run that holds a record already, or None; and runs of it that were not finished."""
        query = f"tags.`{_IDENTITY}` = '{record.identity}'"
        runs = self._ask("search_runs", [self._experiment_id], query, max_results=10_000)
        whole = [
            run.info.run_id
            for run in runs
            if run.info.status == "FINISHED" and "mlflow.parentRunId" not in run.data.tags
        ]
        unfinished = [str(r.info.run_id) for r in runs if r.info.status != "FINISHED"]
        if whole:
            return str(whole[0]), unfinished
        return None, [str(run.info.run_id) for run in runs]

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
            for name in record.artifacts:
                self._ask("log_artifact", run_id, str(folder / name))
        return run_id, model_id

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
            tags["mlflow.parentRunId"] = parent
        made = self._ask("create_run", self._experiment_id, started, tags=tags, run_name=run.name)
        run_id = str(made.info.run_id)
        self._ask("set_terminated", run_id, "KILLED")
        try:
            yield run_id
        except Exception:
            self._ask("set_terminated", run_id, "FAILED")
            raise
        self._ask("set_terminated", run_id, status)

    def _fill(self, run_id: str, run: Run, model_id: str | None) -> None:
        """Sends data, metrics and params in as few calls as MLflow allows."""
        from mlflow.entities import Metric, Param

        if run.data is not None:
            self._ask("log_inputs", run_id, [_input(run.data)])
        now = _now()
        metrics = [Metric(v.name, v.value, now, v.step, model_id=model_id) for v in run.values]  # type: ignore[arg-type]
        params = [Param(name, text) for name, text in run.params.items()]
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
