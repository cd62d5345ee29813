"""Fits, serves and judges implicit's and RecTools' recommenders with their defaults."""

import sys
import warnings

import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender
from judged import judge
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel
from split import K, Split, read_split


def implicits(path: str, split: Split) -> None:
    models = {
        "als": AlternatingLeastSquares(factors=64, random_state=0, num_threads=1),
        "bpr": BayesianPersonalizedRanking(factors=64, random_state=0, num_threads=1),
        "item_knn": BM25Recommender(num_threads=1),
    }
    for name, model in models.items():

        def fit(model=model):
            model.fit(split.train, show_progress=False)
            return model

        def serve(model):
            return model.recommend(split.users, split.train[split.users], N=K)[0]

        judge(f"implicit {name}", path, split, fit, serve)


def rectools_ease(path: str, split: Split) -> None:
    pairs = split.train.tocoo()
    frame = pd.DataFrame({Columns.User: pairs.row, Columns.Item: pairs.col})
    frame[Columns.Weight], frame[Columns.Datetime] = 1.0, "2025-01-13"
    data = Dataset.construct(frame)

    def serve(model):
        found = model.recommend(split.users, data, k=K, filter_viewed=True)
        lists = np.full((split.train.shape[0], K), -1)
        lists[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
        return lists[split.users]

    judge("RecTools ease", path, split, lambda: EASEModel().fit(data), serve)


warnings.simplefilter("ignore")
made = read_split(sys.argv[1])
implicits(sys.argv[1], made)
rectools_ease(sys.argv[1], made)
