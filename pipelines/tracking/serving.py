"""The model that MLflow serves: user ids and k in, feeds out.

MLflow copies this file beside a stored model and runs it to load that ("models from code"); it
needs nothing but recsys. What it reads is data: see `recsys.recommenders.store`.
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
    """Feeds of a trained recommender; somebody unknown gets the trending list."""

    def load_context(self, context: PythonModelContext) -> None:
        """Reads the stored model, and what may be served."""
        folder = Path(context.artifacts["model"])
        self._model = recsys.load_model(folder)
        self._candidates = np.load(folder / "candidates.npy", allow_pickle=False)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """A row a slot: user_id · rank (1 = top) · item_id · score · source.

        Args:
            context: MLflow's; not used.
            model_input: a frame with user_id and, if not 20, k; a row a feed, in this order.
            params: MLflow's; not used.
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
            raise MlflowException.invalid_parameter_value("nobody is asked for; give user_id")
        return pl.concat(feeds).sort("ask", "rank").drop("ask").to_pandas()

    def _feeds(self, asks: pl.DataFrame, k: int) -> pl.DataFrame:
        """Feeds of one depth."""
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
