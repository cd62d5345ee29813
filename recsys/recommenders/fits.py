"""Checks that the parts of a model fit together, for `Model.check`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.recommenders.forest import MOST_LEAVES


def check_array(
    name: str, array: Any, shape: tuple[int | None, ...], dtype: Any, *, finite: bool = True
) -> None:
    """Raises ValueError unless something is an array of a shape and type, with finite numbers.

    Args:
        name: what the message calls it, such as "user_factors".
        array: what a file held.
        shape: the lengths; None for any.
        dtype: such as `np.float32`.
        finite: whether each number must be finite.

    >>> check_array("heat", np.zeros(3), (4,), np.float64)
    Traceback (most recent call last):
    ...
    ValueError: heat is float64 (3,), not float64 (4,)
    """
    fits = (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and len(array.shape) == len(shape)
        and all(n is None or n == length for n, length in zip(shape, array.shape, strict=True))
    )
    if not fits:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array)
        raise ValueError(f"{name} is {found}, not {np.dtype(dtype)} {shape}")
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} holds a number that is not finite")


def check_matrix(name: str, matrix: Any, shape: tuple[int | None, int | None]) -> None:
    """Raises ValueError unless something is a CSR matrix of a shape; None stands for any length."""
    fits = isinstance(matrix, csr_matrix) and all(
        n is None or n == length for n, length in zip(shape, matrix.shape, strict=True)
    )
    if not fits:
        found = matrix.shape if isinstance(matrix, csr_matrix) else type(matrix)
        raise ValueError(f"{name} is {found}, not a sparse matrix {shape}")


def check_number(name: str, value: Any, kind: type[int] | type[float], low: float) -> None:
    """Raises ValueError unless something is a finite number of a type, from `low` on.

    >>> check_number("candidates", -1, int, 0)
    Traceback (most recent call last):
    ...
    ValueError: candidates is -1, not an int from 0 on
    """
    if type(value) is not kind or not low <= value < float("inf"):
        raise ValueError(f"{name} is {value!r}, not an {kind.__name__} from {low:g} on")


def check_trees(classifier: Any, features: int) -> None:
    """Raises ValueError unless boosted trees can be walked: each node points to later nodes alone.

    Args:
        classifier: a fitted `HistGradientBoostingClassifier` of two classes.
        features: the number of columns that it is given.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if type(classifier) is not HistGradientBoostingClassifier:
        raise ValueError(f"the classifier is a {type(classifier).__name__}")
    if classifier.n_features_in_ != features or classifier.n_trees_per_iteration_ != 1:
        raise ValueError("the classifier does not fit its features")
    if classifier._preprocessor is not None or getattr(classifier, "_in_fit", False):
        raise ValueError("the classifier treats its features otherwise than it was fitted")
    check_array("baseline", classifier._baseline_prediction, (1, 1), np.float64)
    for trees in classifier._predictors:
        for tree in trees:
            _check_tree(tree.nodes, features)


def _check_tree(nodes: NDArray[Any], features: int) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    if nodes.dtype != PREDICTOR_RECORD_DTYPE or nodes.ndim != 1 or nodes.size == 0:
        raise ValueError("a tree has no nodes of the known type")
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    for side in ("left", "right"):
        child = nodes[side][inner]
        if (child <= inner).any() or (child >= nodes.size).any():
            raise ValueError("a node of a tree points to no later node")
    children = np.sort(np.concatenate([nodes["left"][inner], nodes["right"][inner]]))
    if not np.array_equal(children, np.arange(1, nodes.size)):
        raise ValueError("a node of a tree is not below exactly one other")
    if nodes.size - inner.size > MOST_LEAVES:
        raise ValueError(f"a tree has more than {MOST_LEAVES} leaves")
    column = nodes["feature_idx"][inner]
    if ((column < 0) | (column >= features)).any() or nodes["is_categorical"].any():
        raise ValueError("a node of a tree asks for a feature that there is not")
    if not np.isfinite(nodes["value"]).all():
        raise ValueError("a tree holds a value that is not finite")
