"""A study as MLflow runs: a parent run, below it one for each recommender and one for each seed.

Importing mlflow and opening a database take seconds, so `tracked` does both in a thread of its own
while the cells run. The metrics and params of a run are then sent in one batch.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from pipelines.storage.digests import world_digest
from pipelines.storage.provenance import git_tags, version_tags
from pipelines.storage.results import written_tables
from pipelines.tracking import mlflow_store, models, records
from recsys.config import Study, Training, World
from recsys.served.compare import FeedComparison
from recsys.study.result import StudyResult
from recsys.study.verdicts.verdict import verdict
from recsys.training.train import TrainingResult

if TYPE_CHECKING:
    from mlflow import MlflowClient


PAGES = ("report.html", "front.html", "channels.html")
"""Pages of a study, which become artifacts beside its config and tables if they exist."""
_PROGRAMS = {
    "comparison": "recsys compare",
    "evaluation": "recsys evaluate",
    "study": "recsys run",
    "training": "recsys train",
    "tuning": "recsys tune",
    "validation": "recsys validate",
    "proof": "recsys prove",
}
"""The command that makes runs of a role."""
_MOST_METRICS = 1000
_MOST_PARAMS = 100


class TrackingError(Exception):
    """MLflow cannot be reached or written to. The files of the study are complete without it."""


class Recorded(NamedTuple):
    """The place of results in MLflow: the store, and the ids of experiment, run and model."""

    uri: str
    is_local: bool
    experiment_id: str
    run_id: str
    model_id: str | None = None


class Subject(NamedTuple):
    """The subject of a run that is not about a study.

    Attributes:
        name: name of the run, such as `feeds`.
        role: role of the run: a key of `_PROGRAMS`.
        experiment: the experiment of the run.
        digest: hash of the data.
        source: a file that stands for the data.
    """

    name: str
    role: str
    experiment: str
    digest: str
    source: str


class _Store(NamedTuple):
    client: "MlflowClient"
    uri: str
    experiment_id: str
    run_id: str
    tags: dict[str, str]


@contextmanager
def tracked(study: Study | Training, role: str = "study") -> Iterator["Tracker | None"]:
    """Opens the parent run in the background; the run ends FAILED or KILLED if the block does.

    Args:
        study: the study. If its `tracking.enabled` is false, the block gets None and MLflow is not
            imported.
        role: role of the run: a key of `_PROGRAMS`.
    """
    tags = {"world_digest": world_digest(study)[:32], "study": study.name}
    if isinstance(study, Training):
        tags |= {"recommender": study.recommender.name}
    elif study.group is not None:
        tags |= {"group": study.group, "variant": str(study.variant)}
    with _tracked(study.name, role, study.tracking.experiment, tags, study.tracking.enabled) as run:
        yield run


@contextmanager
def tracked_as(subject: Subject, *, enabled: bool = True) -> Iterator["Tracker | None"]:
    """As `tracked`, for a run that is not about a study.

    Args:
        subject: the subject of the run.
        enabled: if false, the block gets None and MLflow is not imported.
    """
    tags = {"world_digest": subject.digest[:32], "study": subject.name}
    with _tracked(subject.name, subject.role, subject.experiment, tags, enabled) as tracker:
        yield tracker


@contextmanager
def _tracked(
    name: str, role: str, experiment: str, tags: dict[str, str], enabled: bool
) -> Iterator["Tracker | None"]:
    if not enabled:
        yield None
        return
    with ThreadPoolExecutor(1, thread_name_prefix="tracking") as pool:
        tracker = Tracker(pool.submit(_open, name, role, experiment, tags, _now()))
        try:
            yield tracker
        except BaseException as error:
            tracker.fail(error)
            raise


class Tracker:
    """Records one study or other subject; `tracked` and `tracked_as` make it."""

    def __init__(self, store: "Future[_Store]") -> None:
        self._store = store

    def record(self, result: StudyResult, folder: Path) -> Recorded:
        """Writes all runs and ends the parent.

        Args:
            result: the finished study.
            folder: the folder of its files, some of which become artifacts.

        Raises:
            TrackingError: if anything goes wrong with MLflow.
        """
        with self._taken() as store:
            _record_parent(store, result, folder)
            for variant in records.variants(result):
                _record_child(store, result, *variant)
        return _recorded(store)

    def record_validation(self, study: Study, verdicts: pl.DataFrame, folder: Path) -> Recorded:
        """Writes the run of a validation or a proof and ends it.

        Args:
            study: the study whose world was validated, or was the world of a proof.
            verdicts: the result of `judge`.
            folder: the folder of its files, which all become artifacts.

        Raises:
            TrackingError: if anything goes wrong with MLflow.
        """
        with self._taken() as store:
            values, params = records.verdict_values(verdicts), records.study_params(study)
            _log(store, store.run_id, values, params)
            for path in sorted(folder.iterdir()):
                store.client.log_artifact(store.run_id, str(path))
        return _recorded(store)

    def record_training(self, result: TrainingResult, folder: Path) -> Recorded:
        """Writes the run of a training and its model, and ends it.

        Args:
            result: the finished training run.
            folder: the folder of its files. The files beside the model become artifacts.

        Raises:
            TrackingError: if anything goes wrong with MLflow.
        """
        with self._taken() as store:
            _log_dataset(store, result.training, store.run_id, "training")
            model_id, stored = None, folder / models.MODEL
            if stored.is_dir():
                place = (store.experiment_id, store.run_id)
                model_id = models.log_model(store.client, *place, result, stored)
            values, params = records.training_values(result), records.study_params(result.training)
            _log(store, store.run_id, values, params, model_id)
            store.client.set_tag(store.run_id, "mlflow.note.content", "\n\n".join(result.notes))
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    store.client.log_artifact(store.run_id, str(path))
        return _recorded(store)._replace(model_id=model_id)

    def record_tuning(self, training: Training, trials: pl.DataFrame, folder: Path) -> Recorded:
        """Writes the run of a search, and below it a run for each trial, and ends them.

        Args:
            training: the training config that was tuned.
            trials: the trials, as in `pipelines.tuning.Search.trials`.
            folder: the folder of its files. trials.csv and best.yaml become artifacts.

        Raises:
            TrackingError: if anything goes wrong with MLflow.
        """
        assert training.tune is not None
        options, name = list(training.tune.space), training.recommender.name
        with self._taken() as store:
            _log_dataset(store, training, store.run_id, "training")
            for trial in trials.iter_rows(named=True):
                figures = {n: v for n, v in trial.items() if n not in ("trial", *options)}
                values = records.trial_values(figures, training.k)
                params = records.options_params({option: trial[option] for option in options})
                title = f"{name} trial {trial['trial']}"
                with _run(store, title, "trial", store.run_id) as run_id:
                    _log(store, run_id, values, params)
            best = trials.sort(training.tune.metric, descending=True, maintain_order=True)
            value = records.Value("best/value", best[training.tune.metric][0])
            params = records.study_params(training)
            chosen = {f"best.{option}": best[option][0] for option in options}
            _log(store, store.run_id, [value], {**params, **records.options_params(chosen)})
            for file in ("trials.csv", "best.yaml"):
                store.client.log_artifact(store.run_id, str(folder / file))
        return _recorded(store)

    def record_feeds(
        self, result: FeedComparison, config: Mapping[str, Any], folder: Path
    ) -> Recorded:
        """Writes the run of a comparison of served feeds and ends it.

        Args:
            result: the result of `recsys.compare_feeds`.
            config: its files and arguments, by name.
            folder: the folder of its files, which all become artifacts.

        Raises:
            TrackingError: if anything goes wrong with MLflow.
        """
        with self._taken() as store:
            _log_input(
                store,
                store.run_id,
                f"{config['name']} feeds",
                store.tags["world_digest"][:16],
                "local",
                {"uri": str(Path(config["b"]).absolute())},
                "evaluation",
            )
            _log(store, store.run_id, records.served_values(result), records.served_params(config))
            store.client.set_tag(store.run_id, "mlflow.note.content", "\n\n".join(result.notes))
            for path in sorted(folder.iterdir()):
                store.client.log_artifact(store.run_id, str(path))
        return _recorded(store)

    def record_comparison(
        self,
        table: pl.DataFrame,
        sentences: Sequence[str],
        studies: tuple[Path, Path],
        folder: Path,
    ) -> Recorded:
        """Writes the run of a comparison of two studies and ends it.

        Args:
            table: the result of `recsys.study.compare.compare_studies`.
            sentences: what is said of it.
            studies: the folders of the studies.
            folder: the folder of its files, which all become artifacts.

        Raises:
            TrackingError: if anything goes wrong with MLflow.
        """
        params = {"first": str(studies[0]), "second": str(studies[1])}
        with self._taken() as store:
            _log(store, store.run_id, records.compared_values(table), params)
            store.client.set_tag(store.run_id, "mlflow.note.content", "\n\n".join(sentences))
            for path in sorted(folder.iterdir()):
                store.client.log_artifact(store.run_id, str(path))
        return _recorded(store)

    @contextmanager
    def _taken(self) -> Iterator[_Store]:
        """The store. Its run ends with the block, and any error becomes a `TrackingError`."""
        try:
            store = self._store.result()
            with _ending(store.client, store.run_id):
                yield store
        except Exception as error:
            raise TrackingError(
                f"MLflow at {mlflow_store.address()} did not take the study: {error}"
            ) from error

    def fail(self, error: BaseException) -> None:
        """Ends the parent run of a study that did not finish, and ignores errors of MLflow."""
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        with suppress(Exception):
            store = self._store.result()
            if store.client.get_run(store.run_id).info.status == "RUNNING":
                reason = f"{type(error).__name__}: {error}"[:5000]
                store.client.set_tag(store.run_id, "error", reason)
                store.client.set_terminated(store.run_id, status)


def _recorded(store: _Store) -> Recorded:
    return Recorded(store.uri, mlflow_store.is_local(), store.experiment_id, store.run_id)


def _open(name: str, role: str, experiment: str, more_tags: dict[str, str], started: int) -> _Store:
    """Imports MLflow, finds or makes the experiment, and starts the parent run."""
    uri = mlflow_store.address()
    client, experiment_id = mlflow_store.connect(experiment)
    tags = {**git_tags(), **version_tags(), **more_tags, "mlflow.source.name": _PROGRAMS[role]}
    run = client.create_run(experiment_id, started, tags={**tags, "role": role}, run_name=name)
    return _Store(client, uri, experiment_id, run.info.run_id, tags)


def _record_parent(store: _Store, result: StudyResult, folder: Path) -> None:
    _log_dataset(store, result.study, store.run_id)
    _log(store, store.run_id, records.study_values(result), records.study_params(result.study))
    for name, text in records.study_tags(result).items():
        store.client.set_tag(store.run_id, name, text)
    said = (*verdict(result).sentences, *result.notes)
    store.client.set_tag(store.run_id, "mlflow.note.content", "\n\n".join(said))
    pages = [name for name in PAGES if (folder / name).exists()]
    for name in ("config.yaml", *artifacts_of(result), *pages):
        store.client.log_artifact(store.run_id, str(folder / name))


def artifacts_of(result: StudyResult) -> list[str]:
    """The files of a study's tables that become artifacts: .csv if there is one, else .parquet.

    Args:
        result: the finished study.
    """
    uploaded = [table for table in written_tables(result) if table.uploaded]
    return [f"{table.name}.{'csv' if 'csv' in table.files else 'parquet'}" for table in uploaded]


def _record_child(store: _Store, result: StudyResult, recommender: str, mitigation: str) -> None:
    spec = next(spec for spec in result.study.recommenders if spec.name == recommender)
    chains = result.study.chains_for(recommender)
    chain = next(chain for chain in chains if chain.name == mitigation)
    name = recommender if mitigation == "none" else f"{recommender} + {mitigation}"
    with _run(store, name, "recommender", store.run_id) as run_id:
        _log_dataset(store, result.study, run_id)
        _log(
            store,
            run_id,
            records.child_values(result, recommender, mitigation),
            records.child_params(spec, chain),
        )
        if isinstance(result.study.source, World):
            chosen = (pl.col("recommender") == recommender) & (pl.col("mitigation") == mitigation)
            _record_seeds(store, result.per_user.filter(chosen), name, run_id)


def _record_seeds(store: _Store, rows: pl.DataFrame, name: str, parent: str) -> None:
    for (seed,), group in rows.group_by("seed", maintain_order=True):
        with _run(store, f"{name} seed {seed}", "seed", parent) as run_id:
            _log(store, run_id, records.seed_values(group), {"seed": str(seed)})


@contextmanager
def _run(store: _Store, name: str, role: str, parent: str) -> Iterator[str]:
    tags = {**store.tags, "role": role, "mlflow.parentRunId": parent}
    run = store.client.create_run(store.experiment_id, _now(), tags=tags, run_name=name)
    with _ending(store.client, run.info.run_id):
        yield run.info.run_id


@contextmanager
def _ending(client: "MlflowClient", run_id: str) -> Iterator[None]:
    """Ends a run with its block: FINISHED, or FAILED if the block raises."""
    try:
        yield
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def _log(
    store: _Store,
    run_id: str,
    values: Sequence[records.Value] = (),
    params: Mapping[str, str] | None = None,
    model_id: str | None = None,
) -> None:
    """Logs metrics and params, in as few calls as MLflow allows; metrics may be of a model too."""
    from mlflow.entities import Metric, Param

    now = _now()
    metrics = [Metric(v.name, v.value, now, v.step, model_id=model_id) for v in values]
    pairs = [Param(name, text) for name, text in (params or {}).items()]
    calls = max(-(-len(metrics) // _MOST_METRICS), -(-len(pairs) // _MOST_PARAMS))
    for call in range(calls):
        store.client.log_batch(
            run_id,
            metrics=metrics[call * _MOST_METRICS : (call + 1) * _MOST_METRICS],
            params=pairs[call * _MOST_PARAMS : (call + 1) * _MOST_PARAMS],
        )


def _log_dataset(
    store: _Store, study: Study | Training, run_id: str, purpose: str = "evaluation"
) -> None:
    """Logs the world or log of a run by our own digest; the data stay where they are."""
    source: dict[str, Any]
    if isinstance(study.source, World):
        word, kind, source = "world", "code", {"tags": {"mlflow.source.name": "recsys.simulate"}}
    else:
        word, kind, source = "log", "local", {"uri": str(Path(study.source.events).absolute())}
    name, digest = f"{study.name} {word}", world_digest(study)[:16]
    _log_input(store, run_id, name, digest, kind, source, purpose)


def _log_input(
    store: _Store, run_id: str, name: str, digest: str, kind: str, source: Any, purpose: str
) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(name=name, digest=digest, source_type=kind, source=json.dumps(source))
    context = InputTag("mlflow.data.context", purpose)
    store.client.log_inputs(run_id, [DatasetInput(dataset, [context])])


def _now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)
