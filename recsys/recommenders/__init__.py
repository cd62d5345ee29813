"""Recommenders: one file each, and one line each in `RECOMMENDERS`."""

from recsys.recommenders.als import ALS
from recsys.recommenders.base import Model, Recommender, with_fallback
from recsys.recommenders.bpr import BPR
from recsys.recommenders.content import Content
from recsys.recommenders.ease import EASE
from recsys.recommenders.item_knn import ItemKNN
from recsys.recommenders.lmf import LMF
from recsys.recommenders.most_popular import MostPopular
from recsys.recommenders.platform_ranker import PlatformRanker
from recsys.recommenders.random import Random
from recsys.recommenders.ranker import Ranker
from recsys.recommenders.ranking import Ranking
from recsys.recommenders.trending import Trending
from recsys.recommenders.two_tower import TwoTower

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "LMF",
    "RECOMMENDERS",
    "Content",
    "ItemKNN",
    "Model",
    "MostPopular",
    "PlatformRanker",
    "Random",
    "Ranker",
    "Ranking",
    "Recommender",
    "Trending",
    "TwoTower",
    "with_fallback",
]

RECOMMENDERS: dict[str, type[Recommender]] = {
    "random": Random,
    "most_popular": MostPopular,
    "trending": Trending,
    "item_knn": ItemKNN,
    "ease": EASE,
    "als": ALS,
    "bpr": BPR,
    "lmf": LMF,
    "content": Content,
    "two_tower": TwoTower,
    "ranker": Ranker,
    "platform_ranker": PlatformRanker,
}
