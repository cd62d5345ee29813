"""Where MLflow keeps runs: a database in `mlruns/`, unless MLFLOW_TRACKING_URI names another store.

MLflow is imported inside the functions, since that takes seconds.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient


_LOCAL = Path("mlruns")


def address() -> str:
    """Where runs go: absolute, since MLflow keeps the databases it has opened by address."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_LOCAL.absolute()}/mlflow.db"


def is_local() -> bool:
    """Whether runs go to `mlruns/` here, and not where MLFLOW_TRACKING_URI says."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def connect(experiment: str) -> "tuple[MlflowClient, str]":
    """Opens the store, quietly, and finds or makes an experiment.

    Returns:
        A client and the experiment's id.
    """
    client = open_client()
    if not is_local():
        return client, _experiment(client, experiment)
    with _alone_in(_LOCAL):
        return client, _experiment(client, experiment)


def open_client() -> "MlflowClient":
    """Opens the store, quietly."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    if not is_local():
        return MlflowClient(address())
    with _alone_in(_LOCAL):
        return MlflowClient(address())


@contextmanager
def _alone_in(place: Path) -> Iterator[None]:
    """One process at a time: two that make the same database spoil each other's migrations.

    Without effect on Windows.
    """
    place.mkdir(exist_ok=True)
    try:
        from fcntl import LOCK_EX, flock
    except ImportError:
        yield
        return
    with (place / ".lock").open("w") as file:
        flock(file, LOCK_EX)
        yield


_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the experiment on its table of runs, not on the pages for language models."""


def _experiment(client: "MlflowClient", name: str) -> str:
    from mlflow.exceptions import MlflowException

    place = (_LOCAL / "artifacts").absolute().as_uri() if is_local() else None
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    try:
        return client.create_experiment(name, place, tags=_KIND)
    except MlflowException:  # another process was faster
        known = client.get_experiment_by_name(name)
        if known is None:
            raise
        return str(known.experiment_id)
