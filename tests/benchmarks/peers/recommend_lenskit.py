"""Fits, serves and judges LensKit's recommenders with their defaults. Argument: a split."""

import sys
import warnings

import numpy as np
import pandas as pd
from judged import judge
from lenskit.als import ImplicitMFConfig, ImplicitMFScorer
from lenskit.batch import recommend
from lenskit.data import from_interactions_df
from lenskit.knn import (
    EASEScorer,
    ItemKNNConfig,
    ItemKNNScorer,
    UserKNNConfig,
    UserKNNScorer,
)
from lenskit.pipeline import topn_pipeline
from split import K, read_split


def main(path: str) -> None:
    split = read_split(path)
    pairs = split.train.tocoo()
    data = from_interactions_df(pd.DataFrame({"user_id": pairs.row, "item_id": pairs.col}))
    scorers = {
        "als": lambda: ImplicitMFScorer(ImplicitMFConfig(embedding_size=64)),
        "ease": EASEScorer,
        "item_knn": lambda: ItemKNNScorer(ItemKNNConfig(feedback="implicit")),
        "user_knn": lambda: UserKNNScorer(UserKNNConfig(feedback="implicit")),
    }
    for name, scorer in scorers.items():

        def fit(scorer=scorer):
            pipeline = topn_pipeline(scorer(), n=K)
            pipeline.train(data)
            return pipeline

        def serve(pipeline):
            lists = np.full((split.users.size, K), -1)
            place = {int(user): row for row, user in enumerate(split.users)}
            for key, items in recommend(pipeline, split.users, n_jobs=1):
                found = items.ids()
                lists[place[int(key.user_id)], : len(found)] = found
            return lists

        judge(f"LensKit {name}", path, split, fit, serve)


warnings.simplefilter("ignore")
main(sys.argv[1])
