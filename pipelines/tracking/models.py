"""Trained recommenders as MLflow models: logged with a run, and found again by the run."""

import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.storage.models import MODEL, read_model
from pipelines.tracking import mlflow_store
from pipelines.tracking.addresses import address, masked, shown
from pipelines.tracking.background import begun, waited
from recsys.core.errors import ModelError
from recsys.recommenders import Model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

_SERVING = Path(__file__).with_name("serving.py")
_NEEDED = ("implicit", "mlflow", "numba", "numpy", "pandas", "polars", "pydantic", "scipy")
_EXAMPLE_K = 5
_LONGEST = 15.0
"""Seconds that a store gets to say where a model is."""


def log_model(
    client: "MlflowClient", experiment_id: str, run_id: str, told: Mapping[str, Any], folder: Path
) -> str:
    """Logs a stored model as an MLflow model of a run.

    Args:
        client: a client of the store.
        experiment_id: the experiment of the run.
        run_id: the run.
        told: name, kind and options of the recommender.
        folder: the folder that `write_model` wrote.

    Returns:
        The id of the logged model; `models:/<id>` is its address.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models.model import Model as Description
    from mlflow.pyfunc import save_model as save_as_mlflow_model

    model, _ = read_model(folder)
    logged = client.create_logged_model(
        experiment_id,
        name=told["name"],
        source_run_id=run_id,
        model_type=told["kind"],
        params={name: str(value) for name, value in told["options"].items()},
    )
    try:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / MODEL
            save_as_mlflow_model(
                path=str(path),
                python_model=str(_SERVING),
                artifacts={"model": str(folder.absolute())},
                signature=_signature(model),
                input_example=_example(model),
                pip_requirements=[f"{name}=={version(name)}" for name in _NEEDED],
                mlflow_model=Description(
                    artifact_path=logged.artifact_location,
                    model_uuid=logged.model_id,
                    run_id=run_id,
                    model_id=logged.model_id,
                ),
            )
            client.log_model_artifacts(logged.model_id, str(path))
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


def find_model(name: str, copies: Path) -> Path:
    """The stored model of a run.

    Args:
        name: the id of an MLflow run, or a folder that `recsys train` wrote.
        copies: a folder for a copy of a model that is not on this disk.

    Raises:
        ModelError: if there is no such run or folder, or it has no model.
    """
    for folder in (Path(name), Path(name) / MODEL):
        if (folder / "model.json").is_file():
            return folder
    try:
        place = _downloaded(waited(begun(lambda: _location(name)), _LONGEST), copies)
    except ModelError:
        raise
    except Exception as error:
        reason = masked(str(error).partition("\n")[0]) or type(error).__name__
        raise ModelError(
            f"{name}: neither the id of a run at {shown()} nor the folder of a training run "
            f"({reason})"
        ) from error
    records = sorted(place.rglob("model.json"))
    if not records:
        raise ModelError(f"run {name}: its model is not one of recsys: model.json is missing")
    return records[0].parent


def _location(name: str) -> str:
    """The place of the newest model of a run."""
    client = mlflow_store.open_client()
    run = client.get_run(name)
    ids = [model.model_id for model in run.outputs.model_outputs] if run.outputs else []
    if not ids:
        raise ModelError(f"run {name} at {shown()} has no model; name a run of recsys train")
    return str(client.get_logged_model(ids[-1]).artifact_location)


def _downloaded(location: str, copies: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    return Path(
        download_artifacts(artifact_uri=location, dst_path=str(copies), tracking_uri=address())
    )


def _signature(model: Model) -> "ModelSignature":
    """From user_id and k to user_id, rank, item_id, score, source.

    The inputs are of any type: MLflow would turn 3.5 into the user 3 where whole numbers are
    declared. The model itself refuses what is no id.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    user, item = (_type(model.log.users["user_id"]), _type(model.log.items["item_id"]))
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "user_id"), ColSpec(AnyType(), "k", required=False)]),
        outputs=Schema(
            [
                ColSpec(user, "user_id"),
                ColSpec("long", "rank"),
                ColSpec(item, "item_id"),
                ColSpec("float", "score"),
                ColSpec("string", "source"),
                ColSpec("string", "error", required=False),
            ]
        ),
    )


def _type(ids: pl.Series) -> Any:
    """The type of MLflow that holds all ids; it has none for integers above 2**63."""
    from mlflow.types.schema import AnyType

    if ids.dtype == pl.UInt64:
        return AnyType()
    return "long" if ids.dtype.is_integer() else "string"


def _example(model: Model) -> Any:
    import pandas as pd

    ids = model.log.users["user_id"].head(2).to_list()
    return pd.DataFrame({"user_id": ids, "k": [_EXAMPLE_K] * len(ids)})
