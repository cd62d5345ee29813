"""The model that MLflow serves: user ids and k in, feeds out.

MLflow copies this file beside a stored model and runs the copy to load the model ("models from
code"). The file needs nothing but recsys. A stored model holds data and no code: see
`recsys.recommenders.store`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

import recsys
from recsys.logs.ids import Ids, one_number
from recsys.logs.schema import SOURCES

DEFAULT_K = 20
"""Slots of a feed that asks for no number, if there are as many items."""


class FeedModel(PythonModel):
    """Gives feeds of a trained recommender; an unknown user gets the trending list."""

    def load_context(self, context: PythonModelContext) -> None:
        """Reads the stored model and the items that may be served."""
        folder = Path(context.artifacts["model"])
        self._model = recsys.load_model(folder)
        self._candidates = np.load(folder / "candidates.npy", allow_pickle=False)
        self._most = int(self._candidates.sum())
        self._ids = Ids.of(self._model.log.users["user_id"])
        self._item_ids = self._model.log.items["item_id"].to_numpy()
        self._sources = np.array(list(SOURCES.categories), dtype=object)
        # Threads that compute at the same time wait for each other at every step: one at a time.
        self._lock = Lock()

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Feeds, with a row for each slot: user_id · rank (1 = top) · item_id · score · source.

        A row that cannot be answered does not hinder the others: it gets one row of the answer,
        whose column `error` says why; the answer has this column only then. If no row can be
        answered, the first error is raised.

        Args:
            context: given by MLflow; not used.
            model_input: a frame with a row for each feed: user_id and, optionally, k (default 20,
                or the number of items that can be served, if that is smaller).
            params: given by MLflow; not used.
        """
        users = model_input["user_id"].tolist()
        depths = model_input["k"].tolist() if "k" in model_input else [None] * len(users)
        asks: dict[int, tuple[Any, int]] = {}
        errors: dict[int, str] = {}
        for place, (user, k) in enumerate(zip(users, depths, strict=True)):
            try:
                asks[place] = self._ids.one(user), self._depth(k)
            except recsys.UserError as error:
                errors[place] = str(error)
        if not asks:
            first = errors.get(0, "no feed is asked for; give at least one user_id")
            raise MlflowException.invalid_parameter_value(first)
        with self._lock:
            columns = self._feeds(asks)
        rows = columns.pop("place")
        order = np.argsort(rows, kind="stable")
        rows, columns = rows[order], {name: column[order] for name, column in columns.items()}
        frame = pd.DataFrame({"user_id": [asks[row][0] for row in rows], **columns})
        return _with_errors(frame, rows, users, errors) if errors else frame

    def _depth(self, k: Any) -> int:
        depth = one_number(k, "k")
        if depth is None:
            return min(DEFAULT_K, self._most)
        if not 1 <= depth <= self._most:
            raise recsys.LogError(
                f"k is {depth}; give 1 to {self._most}, the number of posts that can be served"
            )
        return depth

    def _feeds(self, asks: Mapping[int, tuple[Any, int]]) -> dict[str, NDArray[Any]]:
        """The slots of all rows, with the place of their row in the input."""
        parts = []
        for k in dict.fromkeys(depth for _, depth in asks.values()):
            places = np.array([place for place, (_, depth) in asks.items() if depth == k])
            ids = list(dict.fromkeys(asks[place][0] for place in places))
            number = {user: row for row, user in enumerate(ids)}
            feeds = self._model.feeds(self._model.log.dense_users(ids), k, self._candidates)
            rows = [number[asks[place][0]] for place in places]
            items = feeds.item_ids[rows]
            row, slot = np.nonzero(items >= 0)
            parts.append(
                {
                    "place": places[row],
                    "rank": slot + 1,
                    "item_id": self._item_ids[items[row, slot]],
                    "score": feeds.scores[rows][row, slot],
                    "source": self._sources[feeds.sources[rows][row, slot]],
                }
            )
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _with_errors(
    feeds: pd.DataFrame, place: NDArray[np.int64], users: Sequence[Any], errors: Mapping[int, str]
) -> pd.DataFrame:
    """The feeds with a row for each row of the input that could not be answered."""
    failed = pd.DataFrame({"user_id": [users[row] for row in errors], "error": errors.values()})
    both = pd.concat([feeds.astype(object), failed.astype(object)], ignore_index=True)
    order = np.argsort(np.concatenate([place, list(errors)]), kind="stable")
    return both.astype(object).where(both.notna(), None).iloc[order].reset_index(drop=True)


set_model(FeedModel())
