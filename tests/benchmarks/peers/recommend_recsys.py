"""Fits, serves and judges recsys' recommenders with their defaults. Argument: a split."""

import sys

import polars as pl
from judged import judge
from split import K, read_split

from recsys import InteractionLog
from recsys.recommenders import RECOMMENDERS

KINDS = {"als": {"factors": 64}, "bpr": {}, "ease": {}, "item_knn": {}, "two_tower": {}}


def main(path: str) -> None:
    split = read_split(path)
    pairs = split.train.tocoo()
    n_users, n_items = split.train.shape
    log = InteractionLog.from_frames(
        {"user_id": pairs.row, "item_id": pairs.col},
        users=pl.DataFrame({"user_id": range(n_users)}),
        items=pl.DataFrame({"item_id": range(n_items)}),
    )
    users = pl.Series(log.dense_users(split.users.tolist())).to_numpy()
    ids = log.items["item_id"].to_numpy()
    for kind, options in KINDS.items():
        recommender = RECOMMENDERS[kind](**options)
        recommender.fit(log).rank(users[:1], K)  # compiles

        def serve(model, users=users):
            found = model.rank(users, K).item_ids
            return pl.Series(ids).to_numpy()[found] * (found >= 0) - (found < 0)

        judge(f"recsys {kind}", path, split, lambda one=recommender: one.fit(log), serve)


main(sys.argv[1])
