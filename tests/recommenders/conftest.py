"""A small community, and every recommender on it."""

import numpy as np
import polars as pl
import pytest

from recsys.logs.log import InteractionLog
from recsys.recommenders import RECOMMENDERS

SMALL = {
    "als": {"factors": 8},
    "ease": {"regularization": 10.0},
    "bpr": {"factors": 8, "iterations": 20},
    "lmf": {"factors": 8, "iterations": 5, "negatives": 5},
    "ranker": {"factors": 8, "candidates": 20, "iterations": 10},
}
"""Options that make a small fit quick; a recommender that is not named has its defaults."""

KINDS = {
    **{name: (name, SMALL.get(name, {})) for name in RECOMMENDERS},
    "item_knn tfidf": ("item_knn", {"similarity": "tfidf"}),
    "item_knn bm25": ("item_knn", {"similarity": "bm25"}),
}
"""Every recommender, and variants that compute something else."""

N_USERS, N_ITEMS, N_EVENTS = 700, 60, 5000
START = 1_736_640_000  # seconds


@pytest.fixture(params=KINDS)
def recommender(request):
    name, options = KINDS[request.param]
    return RECOMMENDERS[name](**options)


@pytest.fixture(scope="session")
def frames():
    """Events, users and items: string ids; users 0-4 have no events, 5-9 only impressions.

    Items' popularity falls with their number; items 58 and 59 have no events. Of users 3 and 11
    the language is known, of items three attributes.
    """
    rng = np.random.default_rng(5)
    user = rng.integers(10, N_USERS, N_EVENTS)
    item = (58 * rng.random(N_EVENTS) ** 2).astype(int)
    kind = rng.choice(["click", "share", "impression", "hide"], N_EVENTS, p=[0.6, 0.1, 0.25, 0.05])
    shown = np.arange(5, 10)
    events = pl.DataFrame(
        {
            "user_id": [f"user {u}" for u in (*user, *shown)],
            "item_id": [f"item {i}" for i in (*item, *shown)],
            "kind": [*kind, *["impression"] * shown.size],
            "timestamp": START + np.sort(rng.integers(0, 5 * 86_400, N_EVENTS + shown.size)),
        }
    )
    users = pl.DataFrame(
        {
            "user_id": [f"user {u}" for u in range(N_USERS)],
            "language": ["zh" if u in (3, 11) else None for u in range(N_USERS)],
        }
    )
    number = np.arange(N_ITEMS)
    items = pl.DataFrame(
        {
            "item_id": [f"item {i}" for i in number],
            "topic": [f"topic {t}" for t in rng.integers(0, 7, N_ITEMS)],
            "subtitled": number % 3 == 0,
            "length": np.where(number % 7 > 0, number**1.5, np.nan),
        }
    )
    return events, users, items


@pytest.fixture(scope="session")
def log(frames):
    return InteractionLog.from_frames(*frames)


@pytest.fixture(scope="session")
def fitted(log):
    """The fitted model of each recommender, made when asked for."""
    models = {}

    def fit(recommender):
        if recommender not in models:
            models[recommender] = recommender.fit(log, seed=0)
        return models[recommender]

    return fit


@pytest.fixture
def model(recommender, fitted):
    return fitted(recommender)
