"""A community with newcomers, and every mitigation around several recommenders."""

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import ConfigError
from recsys.logs.log import InteractionLog
from recsys.mitigations import MITIGATIONS, mitigated
from recsys.recommenders import RECOMMENDERS
from tests.recommenders.conftest import SMALL

OPTIONS = {
    "cap": [{"share": 0.1}, {"share": 0.1, "everybody": True}],
    "downweight": [{"weight": 0.25}, {"weight": 0.0}],
    "ramp": [{"days": 10.0}, {"days": 10.0, "of": "slots"}],
    "anchor": [{"mu": 100.0}, {"mu": 100.0, "mu_users": 10.0}],
    "ensemble": [{"seeds": 2}, {"seeds": 2, "of": "ranks"}],
    "fresh_slot": [{"slot": 3, "graduate": 60}],
    "warm_start": [{}, {"enabled": False}],
}
SLOW = ("bpr", "lmf", "ranker")
"""Tried under the first options of each mitigation only."""

N_USERS, N_ITEMS, N_EVENTS, FIRST_NEWCOMER = 400, 60, 5000, 320
START = 1_736_640_000  # seconds


def options_of(kind):
    return OPTIONS.get(kind, [{}])


def wrapped(name, kind, options):
    """A recommender under one mitigation; None where that is refused."""
    try:
        return mitigated(RECOMMENDERS[name](**SMALL.get(name, {})), [MITIGATIONS[kind](**options)])
    except ConfigError:
        return None


PAIRS = [
    (name, kind, options)
    for kind in MITIGATIONS
    for number, options in enumerate(options_of(kind))
    for name in RECOMMENDERS
    if (number == 0 or name not in SLOW) and wrapped(name, kind, options) is not None
]


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]}+{pair[1]}{list(pair[2].values())}")
def recommender(request):
    return wrapped(*request.param)


@pytest.fixture(scope="session")
def frames():
    """Users 0-4 have no events; newcomers come on the third of five days and make items 40-59."""
    rng = np.random.default_rng(5)
    when = np.sort(rng.integers(0, 5 * 86_400, N_EVENTS))
    user = rng.integers(5, FIRST_NEWCOMER, N_EVENTS)
    late = (when >= 2 * 86_400) & (rng.random(N_EVENTS) < 0.4)
    user[late] = rng.integers(FIRST_NEWCOMER, N_USERS, late.sum())
    item = (40 * rng.random(N_EVENTS) ** 2).astype(int)
    theirs = (when >= 2 * 86_400) & (rng.random(N_EVENTS) < 0.5)
    item[theirs] = rng.integers(40, 60, theirs.sum())
    events = pl.DataFrame(
        {
            "user_id": user,
            "item_id": item,
            "kind": rng.choice(["click", "share", "impression"], N_EVENTS, p=[0.6, 0.1, 0.3]),
            "timestamp": START + when,
        }
    )
    newcomer = np.arange(N_USERS) >= FIRST_NEWCOMER
    users = pl.DataFrame(
        {
            "user_id": np.arange(N_USERS),
            "cohort": np.where(newcomer, "newcomer", "incumbent"),
            "language": np.where(newcomer, "en", "zh"),
            "skill_in_other_language": rng.random(N_USERS),
        }
    )
    made_by = np.where(np.arange(N_ITEMS) >= 40, FIRST_NEWCOMER + np.arange(N_ITEMS), 10)
    items = pl.DataFrame(
        {
            "item_id": np.arange(N_ITEMS),
            "creator_id": made_by,
            "language": np.where(np.arange(N_ITEMS) >= 40, "en", "zh"),
            "topic": rng.choice(["cars", "food", "pets"], N_ITEMS),
        }
    )
    return events, users, items


@pytest.fixture(scope="session")
def log(frames):
    return InteractionLog.from_frames(*frames)


@pytest.fixture(scope="session")
def before(log):
    """The log before anybody comes."""
    day = 86_400 * 1000
    times = log.dense["timestamp"].to_physical().to_numpy()
    return log.only(times < START * 1000 + 2 * day)


@pytest.fixture(scope="session")
def fitted(log, before):
    """The fits of each recommender before anybody comes and after, made when asked for."""
    models = {}

    def fit(recommender):
        if recommender not in models:
            previous = recommender.fit(before, seed=0)
            models[recommender] = previous, recommender.fit(log, 0, previous)
        return models[recommender]

    return fit


@pytest.fixture
def previous(recommender, fitted):
    return fitted(recommender)[0]


@pytest.fixture
def model(recommender, fitted):
    return fitted(recommender)[1]
