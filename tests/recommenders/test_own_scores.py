"""Scores of one's own on top of a model: what ranks quickly must not pass over them."""

from dataclasses import fields

import numpy as np
import pytest

from recsys.logs.log import InteractionLog
from recsys.mitigations import Offset, mitigated
from recsys.mitigations.base import Dressed
from recsys.recommenders import RECOMMENDERS, Recommender
from recsys.testing import quick_recommender

N_USERS, N_ITEMS, K = 90, 700, 2
"""So many items for each slot that products are computed in float32 first."""


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    item = np.concatenate([np.arange(N_ITEMS), rng.integers(0, N_ITEMS, 2_000)])
    log = InteractionLog.from_frames(
        {"user_id": np.arange(item.size) % N_USERS, "item_id": item},
        items={"item_id": np.arange(N_ITEMS), "topic": ["a", "b"] * (N_ITEMS // 2)},
    )
    return {name: quick_recommender(name).fit(log) for name in RECOMMENDERS}


VALUE = np.random.default_rng(1).permutation(N_ITEMS).astype(np.float64)


def score(self, users, items):
    return np.tile(VALUE[items], (np.size(users), 1))


def scorer(self, items):
    return lambda users: np.tile(VALUE[items], (np.size(users), 1))


def with_score(kind):
    return type("Mine", (kind,), {"score": score})


def with_scorer(kind):
    return type("Mine", (kind,), {"scorer": scorer})


def decorated(kind):
    mine = type("Mine", (kind,), {})
    mine.scorer = scorer
    return mine


def mixed_in(kind):
    return type("Mine", (type("Scores", (), {"score": score}), kind), {})


def below(kind):
    """Another class lies between the scores and the model's class."""
    return type("Mine", (with_scorer(kind),), {})


def copied(model, kind):
    return kind(**{field.name: getattr(model, field.name) for field in fields(model)})


def best(model):
    """The items with the highest values that each user has not seen."""
    seen = model.log.withheld.toarray()[:, model.scorable]
    values = np.where(seen, -np.inf, VALUE[model.scorable])
    return model.scorable[np.argsort(-values, axis=1)[:, :K]]


@pytest.mark.parametrize("change", [with_score, with_scorer, decorated, mixed_in, below])
@pytest.mark.parametrize("name", RECOMMENDERS)
def test_a_class_with_scores_of_its_own_is_ranked_by_them(models, name, change):
    model = models[name]
    users = np.arange(N_USERS)
    mine = copied(model, change(type(model)))
    np.testing.assert_array_equal(mine.rank(users, K).item_ids, best(model))
    assert not np.array_equal(model.rank(users, K).item_ids, best(model))


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_a_model_whose_scorer_was_replaced_is_ranked_by_it(models, name):
    mine = copied(models[name], type(models[name]))
    object.__setattr__(mine, "scorer", scorer.__get__(mine))
    np.testing.assert_array_equal(mine.rank(np.arange(N_USERS), K).item_ids, best(mine))


class Fitted(Recommender):
    """Gives a model that was fitted elsewhere."""

    def fit(self, log, seed=0, previous=None):
        return FITTED[0]


FITTED = [None]


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_what_wraps_a_model_asks_for_its_own_scores(models, name):
    """Of a class that overrides `score` alone, too."""
    FITTED[0] = copied(models[name], with_score(type(models[name])))
    dressed = mitigated(Fitted(), [Offset(strength=0)]).fit(FITTED[0].log)
    for model in (dressed, Dressed(FITTED[0].log, FITTED[0])):
        np.testing.assert_array_equal(model.rank(np.arange(N_USERS), K).item_ids, best(FITTED[0]))


def by_events(self, items):
    """Scores out of the events of the log, which a model may otherwise do without."""
    value = np.bincount(self.log.dense["item"].to_numpy(), minlength=N_ITEMS) * 1000.0 + VALUE
    return lambda users: np.tile(value[items], (np.size(users), 1))


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_only_a_model_without_scores_of_its_own_lets_go_of_its_events(models, name):
    model, users = models[name], np.arange(N_USERS)
    few = model.log.without_events()
    mine = copied(model, type("Mine", (type(model),), {"scorer": by_events}))
    for kept in (model, mine):
        before = kept.rank(users, K, exclude_seen=False).item_ids
        after = kept.without_events(few).rank(users, K, exclude_seen=False).item_ids
        np.testing.assert_array_equal(before, after)
    assert mine.without_events(few) is mine
