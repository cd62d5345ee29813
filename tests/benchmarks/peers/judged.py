"""Fits a recommender, serves everybody, and tells seconds and quality."""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from said import say
from split import K, Split, ndcg

M = TypeVar("M")


def judge(
    by: str,
    path: str,
    split: Split,
    fit: Callable[[], M],
    serve: Callable[[M], NDArray[np.int64]],
) -> None:
    """Tells the CPU seconds of a fit, the users served in a CPU second, and NDCG@20.

    The NDCG of each user is kept in a file beside the split.

    Args:
        by: the recommender, such as `implicit als`.
        path: the file of the split.
        split: what it learns from, and what it is judged by.
        fit: fits it.
        serve: gives the lists of `split.users`, int (n_users, 20).
    """
    began = time.process_time()
    model = fit()
    fitted = time.process_time()
    lists = serve(model)
    seconds = time.process_time() - fitted
    quality = ndcg(split, np.asarray(lists)[:, :K])
    np.save(f"{path}.{by}.npy", quality)
    say(by, split.users.size, seconds, fit_s=fitted - began, ndcg=float(quality.mean()))
