"""The store of MLflow runs: a database in `mlruns/`, unless MLFLOW_TRACKING_URI names another.

MLflow is imported inside the functions, since the import takes seconds.
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
    """The address of the store: absolute, since MLflow caches open databases by their address."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_LOCAL.absolute()}/mlflow.db"


def is_local() -> bool:
    """Whether the store is `mlruns/` in the working directory."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def connect(experiment: str) -> "tuple[MlflowClient, str]":
    """Opens the store and finds or makes an experiment.

    Args:
        experiment: its name, such as `recsys`.

    Returns:
        A client, and the id of the experiment.
    """
    client = open_client()
    if not is_local():
        return client, _experiment(client, experiment)
    with _alone_in(_LOCAL):
        return client, _experiment(client, experiment)


def open_client() -> "MlflowClient":
    """Opens the store, without the messages that MLflow prints."""
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
    """Lets in one process at a time, since two that make the same database would break it.

    It has no effect on Windows.
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
"""Tag by which MLflow shows an experiment as a table of runs, not as that of language models."""


def _experiment(client: "MlflowClient", name: str) -> str:
    from mlflow.exceptions import MlflowException

    place = (_LOCAL / "artifacts").absolute().as_uri() if is_local() else None
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return str(existing.experiment_id)
    try:
        return client.create_experiment(name, place, tags=_KIND)
    except MlflowException:  # another process may have made it meanwhile
        existing = client.get_experiment_by_name(name)
        if existing is None:
            raise
        return str(existing.experiment_id)
