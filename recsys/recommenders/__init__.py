"""Recommenders: one file each, and one line each in `RECOMMENDERS`."""

from recsys.recommenders.als import ALS
from recsys.recommenders.base import Model, Ranking, Recommender, with_fallback
from recsys.recommenders.ease import EASE
from recsys.recommenders.item_knn import ItemKNN
from recsys.recommenders.random import Random
from recsys.recommenders.trending import Trending

__all__ = [
    "ALS",
    "EASE",
    "RECOMMENDERS",
    "ItemKNN",
    "Model",
    "Random",
    "Ranking",
    "Recommender",
    "Trending",
    "with_fallback",
]

RECOMMENDERS: dict[str, type[Recommender]] = {
    "random": Random,
    "trending": Trending,
    "item_knn": ItemKNN,
    "ease": EASE,
    "als": ALS,
}
