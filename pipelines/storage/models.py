"""A trained model in a folder, with the items that it may choose from."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ModelError
from recsys.recommenders import Model
from recsys.recommenders.store import load_model, save_model

if TYPE_CHECKING:
    pass


MODEL = "model"
"""The folder of a model among the files of its run."""


_CANDIDATES = "candidates.npy"


def write_model(model: Model, candidates: NDArray[np.bool_], folder: Path) -> None:
    """Stores a model and what it may serve.

    Args:
        model: what to store.
        candidates: bool (n_items,).
        folder: where to; made if it is not there.

    Raises:
        ModelError: a model that cannot be stored.
    """
    save_model(model, folder)
    np.save(folder / _CANDIDATES, candidates, allow_pickle=False)


def read_model(folder: Path) -> tuple[Model, NDArray[np.bool_]]:
    """A stored model, and bool (n_items,) what it may serve.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    model = load_model(folder)
    try:
        with (folder / _CANDIDATES).open("rb") as file:
            candidates: NDArray[np.bool_] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"{folder / _CANDIDATES}: cannot be read: {error}") from error
    if candidates.shape != (model.log.n_items,) or candidates.dtype != np.bool_:
        raise ModelError(f"{folder / _CANDIDATES}: does not fit the model's items")
    return model, candidates
