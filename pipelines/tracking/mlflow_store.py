"""Opens the store of MLflow runs, of which `addresses` says where it is.

MLflow is imported inside the functions, since the import takes seconds.
"""

import logging
import os
import re
from typing import TYPE_CHECKING

from pipelines.imports import alone
from pipelines.storage.files import explained, sweep, whole
from pipelines.tracking import local
from pipelines.tracking.addresses import DATABASE, LOCAL, address, is_local, is_server
from pipelines.tracking.views import shared_views

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["address", "connect", "is_local", "open_client", "unusable"]

_SCHEMES = r"https?|databricks|sqlite|postgresql|mysql|mssql"
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag by which MLflow shows an experiment as a table of runs, not as that of language models."""
_TAGS = {**_KIND, **{view.tag: view.saved() for view in shared_views()}}
"""Tags of an experiment of ours: its kind, and the views that are not of one study alone."""
_QUIET = ("mlflow", "alembic", "urllib3", "sqlalchemy")
"""Loggers of what goes wrong in MLflow, which the program says itself, in a sentence."""


class StoreError(Exception):
    """The store cannot be used; the message says what to do."""


def connect(experiment: str) -> "tuple[MlflowClient, str]":
    """Opens the store for writing, and finds or makes an experiment.

    Args:
        experiment: its name, such as `recsys`.

    Returns:
        A client, and the id of the experiment.

    Raises:
        StoreError: if the store cannot take runs.
    """
    if (trouble := unusable()) is not None:
        raise StoreError(trouble)
    with alone():
        import pandas  # noqa: F401

        quieten()
        from mlflow import MlflowClient
    if not is_local():
        client = MlflowClient(address())
        return client, _experiment(client, experiment)
    with explained(LOCAL), local.alone():
        _prepare(experiment)
        client = MlflowClient(address())
        return client, _experiment(client, experiment)


def open_client() -> "MlflowClient":
    """Opens the store for reading, without the messages that MLflow prints.

    Raises:
        StoreError: if there is no store, or it cannot be read.
    """
    if (trouble := unusable()) is not None:
        raise StoreError(trouble)
    if is_local():
        if not DATABASE.exists():
            raise StoreError(f"there is no {DATABASE} here")
        found = local.look(None)
        if found.trouble or found.damaged:
            raise StoreError(found.trouble or f"{DATABASE} is damaged ({found.damaged})")
        if found.moved_from is not None and local.look("").trouble is None:
            with local.alone():
                local.mended(found)
    quieten()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        return MlflowClient(address())
    except MlflowException as error:
        raise StoreError(error.message) from error


def unusable() -> str | None:
    """What is wrong with MLFLOW_TRACKING_URI itself; None if it may be an address."""
    if is_local() or re.match(rf"({_SCHEMES})(\+\w+)?:|databricks$", address()):
        return None
    return (
        "MLFLOW_TRACKING_URI is neither a server (http://HOST:5000) nor a database "
        "(sqlite:///FILE, postgresql://…); give one of these, or unset it to use mlruns/"
    )


def _prepare(experiment: str) -> None:
    """Mends the local database, and makes it if it is missing."""
    found = local.look(experiment)
    local.mended(found)
    if (trouble := local.look(experiment).trouble) is not None:
        raise StoreError(trouble)
    sweep(LOCAL)
    if DATABASE.exists():
        local.wait_until_unlocked()
        local.end_lost_runs()
        return
    from mlflow.store.db import utils

    with whole(DATABASE) as part:
        name = address().replace(DATABASE.name, part.name)
        engine = utils.create_sqlalchemy_engine(name)  # type: ignore[no-untyped-call]
        try:
            utils._initialize_tables(engine)  # type: ignore[no-untyped-call]
        finally:
            engine.dispose()


def quieten() -> None:
    """Imports MLflow so that what it says does not reach the user, and no request takes long."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if is_server():
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    import mlflow  # sets levels of its own

    assert mlflow
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _experiment(client: "MlflowClient", name: str) -> str:
    from mlflow.exceptions import MlflowException

    place = (LOCAL / "artifacts").absolute().as_uri() if is_local() else None
    existing = client.get_experiment_by_name(name)
    if existing is None:
        try:
            return str(client.create_experiment(name, place, tags=_TAGS))
        except MlflowException:  # another program may have made it meanwhile
            existing = client.get_experiment_by_name(name)
            if existing is None:
                raise
    if existing.lifecycle_stage == "deleted":
        raise StoreError(local.deleted(name, str(existing.experiment_id)))
    for key, value in _TAGS.items():
        if existing.tags.get(key) != value:
            client.set_experiment_tag(existing.experiment_id, key, value)
    return str(existing.experiment_id)
