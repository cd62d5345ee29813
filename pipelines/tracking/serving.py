"""The model that MLflow serves: user ids and k in, feeds out.

MLflow copies this file beside a stored model and runs the copy to load the model ("models from
code"). The file needs nothing but recsys. A stored model holds data and no code: see
`recsys.recommenders.store`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

import recsys

DEFAULT_K = 20


class FeedModel(PythonModel):
    """Gives feeds of a trained recommender; an unknown user gets the trending list."""

    def load_context(self, context: PythonModelContext) -> None:
        """Reads the stored model and the items that may be served."""
        folder = Path(context.artifacts["model"])
        self._model = recsys.load_model(folder)
        self._candidates = np.load(folder / "candidates.npy", allow_pickle=False)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Feeds, with a row for each slot: user_id · rank (1 = top) · item_id · score · source.

        Args:
            context: given by MLflow; not used.
            model_input: a frame with a row for each feed: user_id and, optionally, k (default 20).
            params: given by MLflow; not used.
        """
        asks = pl.DataFrame({"user_id": pl.Series(model_input["user_id"].to_list())})
        depth = model_input.get("k", pd.Series([None] * len(model_input)))
        depths = [DEFAULT_K if pd.isna(k) else int(k) for k in depth]
        asks = asks.with_columns(k=pl.Series(depths, dtype=pl.Int64)).with_row_index("ask")
        most = int(self._candidates.sum())
        wrong = asks.filter(~pl.col("k").is_between(1, most))["k"]
        if len(wrong):
            raise MlflowException.invalid_parameter_value(
                f"k is {wrong[0]}; give 1 to {most}, the number of posts that can be served"
            )
        feeds = [self._feeds(group, k) for (k,), group in asks.group_by("k")]
        if not feeds:
            raise MlflowException.invalid_parameter_value(
                "no feed is asked for; give at least one user_id"
            )
        return pl.concat(feeds).sort("ask", "rank").drop("ask").to_pandas()

    def _feeds(self, asks: pl.DataFrame, k: int) -> pl.DataFrame:
        """Feeds with k slots each."""
        try:
            users = asks["user_id"].unique(maintain_order=True)
            served = self._model.recommend(users, k, self._candidates)
        except recsys.UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        return (
            asks.select("ask", "user_id")
            .join(served, on="user_id", how="inner")
            .with_columns(pl.col("rank").cast(pl.Int64), pl.col("source").cast(pl.String))
        )


set_model(FeedModel())
