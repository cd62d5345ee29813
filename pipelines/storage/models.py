"""A trained model in a folder, with the items that it may serve."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ModelError, first_line
from recsys.core.sums import check_sums, write_sums
from recsys.recommenders import Model
from recsys.recommenders.store import load_model, save_model
from recsys.recommenders.stored import read_array

MODEL = "model"
"""The folder of a model among the files of its run."""

_CANDIDATES = "candidates.npy"


def write_model(model: Model, candidates: NDArray[np.bool_], folder: Path) -> None:
    """Stores a model and the items that it may serve.

    Args:
        model: the model.
        candidates: bool (n_items,); True for items that may be served.
        folder: the folder to write, which is made if it does not exist.

    Raises:
        ModelError: if the model cannot be stored.
    """
    save_model(model, folder)
    np.save(folder / _CANDIDATES, candidates, allow_pickle=False)
    write_sums(folder)


def read_model(folder: Path) -> tuple[Model, NDArray[np.bool_]]:
    """Reads a stored model.

    Args:
        folder: the folder that `write_model` wrote.

    Returns:
        The model, and bool (n_items,) with True for items that may be served.

    Raises:
        ModelError: if there is no model, or it is damaged.
    """
    model = load_model(folder)
    try:
        check_sums(folder, (_CANDIDATES,))
        candidates = read_array(folder / _CANDIDATES)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(
            f"{folder / _CANDIDATES}: cannot be read: {first_line(error)}; train the model again"
        ) from error
    if candidates.shape != (model.log.n_items,) or candidates.dtype != np.bool_:
        raise ModelError(f"{folder / _CANDIDATES}: does not fit the model's items")
    return model, candidates
