"""Every entry of MITIGATIONS keeps the contract, and wrong mitigations break it."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.core.errors import ConfigError, LogError
from recsys.logs.log import InteractionLog
from recsys.mitigations import MITIGATIONS, Mitigated, Mitigation, mitigated
from recsys.mitigations.base import Dressed, Place
from recsys.recommenders import ALS, RECOMMENDERS, ItemKNN, PlatformRanker, Trending
from recsys.testing import (
    ContractError,
    MitigationContract,
    check_mitigation,
    community_with_newcomers,
    example_mitigations,
    quick_recommender,
    takes,
)
from recsys.testing.communities import two_hours_apart
from recsys.testing.promises import same_ranking

EVERYBODY = np.arange(400)
MIXED = np.array([100, 3, 350, -1, 11])
SLOW = ("bpr", "lmf", "ranker")
"""Tried under the first options of each mitigation only."""

RECALLED = "platform_ranker with recall"
TRIED = {
    **{name: quick_recommender(name) for name in RECOMMENDERS},
    RECALLED: PlatformRanker(recall=5),
}
PAIRS = {
    f"{name}+{kind}{number or ''}": (name, kind, mitigation)
    for kind in MITIGATIONS
    for number, mitigation in enumerate(example_mitigations(kind))
    for name, recommender in TRIED.items()
    if (number == 0 or name not in SLOW) and takes(mitigation, recommender)
}


def in_make_test(pairs):
    """Each mitigation under each of its options with one recommender, and every recommender once.

    Those that act on scores are tried with what is recalled, too. The other pairs try the same code
    with other factors: they are marked slow.
    """
    chosen, options, names = [], set(), set()
    for pair, (name, kind, mitigation) in pairs.items():
        of_recalled = name == RECALLED and kind in ("offset", "ensemble")
        if (kind, str(mitigation)) not in options or name not in names or of_recalled:
            chosen.append(pair)
        options.add((kind, str(mitigation)))
        names.add(name)
    return [
        pair if pair in chosen else pytest.param(pair, marks=pytest.mark.slow) for pair in pairs
    ]


INERT = [
    ("downweight", {"weight": 1.0}),
    ("ramp", {"days": 0.001, "of": "slots"}),
    ("offset", {"strength": 0.0}),
    ("ensemble", {"seeds": 1}),
    ("language_gate", {"share": 1.0}),
    ("calibrated", {"strength": 0.0}),
    ("cap", {"share": 1.0}),
    ("cap", {"share": 1.0, "everybody": True}),
    ("fresh_slot", {"graduate": 1}),
]
"""Options by which a mitigation changes nothing."""


class TestMitigations(MitigationContract):
    @pytest.fixture(params=in_make_test(PAIRS), autouse=True)
    def tried(self, request):
        name, kind, self.mitigation = PAIRS[request.param]
        self.inner = TRIED[name]
        self.learns = name != "random"
        self.seed_matters = kind != "frozen"
        newcomers = two_hours_apart([1], [7], ["click"], newcomers=(1, 9))
        weight = self.mitigation.weigh(newcomers)
        self.newcomers_alone = not (weight == 0 or (weight < 1 and name == "als"))


@pytest.mark.parametrize("name", TRIED)
@pytest.mark.parametrize(("kind", "options"), INERT, ids=str)
def test_an_inert_setting_is_the_plain_recommender(name, kind, options):
    contract = MitigationContract()
    contract.inner, contract.inert = TRIED[name], MITIGATIONS[kind](**options)
    if takes(contract.inert, contract.inner):
        contract.test_an_inert_setting_is_the_plain_recommender()


# Threads


DIGEST = """
import sys, numpy as np
from recsys import InteractionLog
from recsys.mitigations import MITIGATIONS, mitigated
from recsys.recommenders import ALS
rng, users = np.random.default_rng(0), np.arange(900)
log = InteractionLog.from_frames(
    {"user_id": rng.integers(0, 900, 9000), "item_id": rng.integers(0, 400, 9000),
     "timestamp": 1_736_640_000 + np.sort(rng.integers(0, 10 * 86_400, 9000)),
     "kind": rng.choice(["click", "impression"], 9000)},
    {"user_id": users, "cohort": np.where(users < 700, "incumbent", "newcomer"),
     "language": np.where(users < 700, "zh", "en")},
    {"item_id": range(400), "topic": [n % 7 for n in range(400)],
     "language": ["zh", "en"] * 200, "creator_id": range(500, 900)})
before = log.only(np.arange(9000) < 4000)
for name, kind in MITIGATIONS.items():
    recommender = mitigated(ALS(), [kind(**({"declared_column": None} if "gate" in name else {}))])
    got = recommender.fit(log, 1, recommender.fit(before, 1)).rank(np.arange(300), 20)
    sys.stdout.buffer.write(got.item_ids.tobytes() + got.scores.tobytes())
"""


@pytest.mark.slow  # of the recommenders inside: tests/recommenders/test_laws.py
def test_the_number_of_threads_changes_nothing():
    digests = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DIGEST],
            env={**os.environ, **dict.fromkeys(names, threads)},
            capture_output=True,
            check=True,
            cwd=Path(recsys.__file__).parents[1],
        )
        assert len(done.stdout) == len(MITIGATIONS) * 300 * 20 * 8
        digests.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(digests) == 1


# The registry, and chains


def test_each_is_named_once_and_explained():
    assert len(set(MITIGATIONS.values())) == len(MITIGATIONS)
    for kind in MITIGATIONS.values():
        assert "Use it" in " ".join(kind.__doc__.split())


@pytest.mark.parametrize("kind", MITIGATIONS)
def test_each_acts_on_als_and_says_so_where_it_does_not(kind):
    for mitigation in example_mitigations(kind):
        assert takes(mitigation, quick_recommender("als"))
        for recommender in map(quick_recommender, RECOMMENDERS):
            if not takes(mitigation, recommender):
                with pytest.raises(ConfigError, match=type(recommender).__name__):
                    mitigated(recommender, [mitigation])


def test_what_refuses_whom():
    refused = {
        (name, kind)
        for kind in MITIGATIONS
        for name in RECOMMENDERS
        if not takes(example_mitigations(kind)[0], quick_recommender(name))
    }
    taken = {
        "anchor": {"als"},
        "frozen": {"als"},
        "warm_start": {"als", "bpr", "lmf", "ranker", "two_tower"},
        "downweight": {"als", "trending", "most_popular"},
        "ramp": {"als", "trending", "most_popular"},
        "ensemble": {"als", "bpr", "lmf", "ranker", "two_tower", "random"},
    }
    assert refused == {
        (name, kind) for kind, names in taken.items() for name in RECOMMENDERS if name not in names
    }


def test_the_order_of_places_is_kept():
    every = [example_mitigations(kind)[0] for kind in MITIGATIONS]
    for first in every:
        for then in every:
            chain = [first, then]
            again = first.place == then.place and first.place < Place.SCORES
            if then.place < first.place or again:
                with pytest.raises(ConfigError, match=r"put \w+ before|leave one of them out"):
                    mitigated(ALS(), chain)
            else:
                assert isinstance(mitigated(ALS(), chain).inner, Mitigated)


def test_a_long_chain(log, before):
    kinds = (
        "warm_start",
        "downweight",
        "anchor",
        "offset",
        "ensemble",
        "language_gate",
        "calibrated",
        "cap",
        "fresh_slot",
    )
    chain = [example_mitigations(kind)[0] for kind in kinds]
    recommender = mitigated(ALS(factors=4), chain)
    assert recommender.needs_previous
    assert recommender.needs_impressions
    first = recommender.fit(before, 0)
    second = recommender.fit(log, 0, first)
    got = second.rank(EVERYBODY, 20)
    same_ranking(recommender.fit(log, 0, first).rank(EVERYBODY, 20), got, "two fits differ")
    assert (got.item_ids[:, 0] >= 0).mean() > 0.9


@pytest.mark.parametrize(
    ("kind", "lacks", "message"),
    [
        ("cap", "creator_id", "cap: needs to know which posts"),
        ("language_gate", "language", "language_gate: items have no column 'language'"),
        ("calibrated", "topic", "items: no column 'topic'"),
    ],
)
def test_a_log_that_lacks_what_is_needed(kind, lacks, message):
    frames = community_with_newcomers()
    log = InteractionLog.from_frames(frames.events, frames.users, frames.items.drop(lacks))
    with pytest.raises(LogError, match=message):
        mitigated(ItemKNN(), [MITIGATIONS[kind]()]).fit(log).rank(MIXED, 5)


def test_no_impressions_no_fresh_slot():
    frames = community_with_newcomers()
    clicked = frames.events.filter(pl.col("kind") != "impression")
    log = InteractionLog.from_frames(clicked, frames.users, frames.items)
    with pytest.raises(LogError, match="the log holds no impressions"):
        mitigated(ItemKNN(), [MITIGATIONS["fresh_slot"]()]).fit(log)


# Wrong mitigations: each breaks the promise that it is about


class Leaky(Mitigation):
    """Lowers posts of newcomers, but for one planted mistake."""

    mistake: str = ""
    """What it does wrong."""

    @property
    def place(self):
        return Place.SCORES

    def dress(self, model, seed, previous):
        if self.mistake == "changes the log":
            model.log.interactions.weights.data[:] = 1
        if self.mistake == "goes by the model before":
            return LeakyModel(model.log, model, self.mistake, float(previous is None))
        return LeakyModel(model.log, model, self.mistake, float(seed))


@dataclass(frozen=True)
class LeakyModel(Dressed):
    mistake: str
    number: float

    def scorer(self, items):
        inner = self.inner.scorer(items)
        lower = self.log.from_newcomers[items] * 0.5
        if self.mistake == "counts newcomers, idle ones too":
            lower = lower * self.log.newcomers.sum()
        elif self.mistake == "counts posts, unread ones too":
            lower = lower * self.log.n_items
        elif self.mistake == "foresees":
            of_topic = self.log.items.select(pl.len().over("topic")).to_series()
            lower = lower + of_topic.to_numpy()[items]
        elif self.mistake == "goes by dense ids":
            lower = lower + items / 1000
        elif self.mistake == "draws by the seed and does not say so":
            lower = lower + self.number
        elif self.mistake == "scores what cannot be served":
            return lambda users: np.nan_to_num(inner(users), neginf=0.0) - lower
        if self.mistake == "looks at who else is asked for":
            return lambda users: inner(users) - lower - np.asarray(users).mean()
        return lambda users: inner(users) - lower

    def rank(self, users, k=20, candidates=None, exclude_seen=True):
        if self.mistake == "serves what was seen":
            exclude_seen = False
        if self.mistake == "forgets the candidates":
            candidates = None
        got = super().rank(users, k, candidates, exclude_seen)
        if self.mistake == "drops slots in the middle":
            got.item_ids[:, 1:3] = -1
        elif self.mistake == "serves one post twice":
            got.item_ids[:, -1] = got.item_ids[:, 0]
        return got


MISTAKES = {
    "changes the log": "fit_leaves_the_log_as_it_was",
    "counts newcomers, idle ones too": "inert_users_and_items_move_nobody",
    "counts posts, unread ones too": "inert_users_and_items_move_nobody",
    "foresees": "what_comes_later_moves_nobody",
    "goes by dense ids": "relabelling_relabels_and_changes_nothing_else",
    "draws by the seed and does not say so": (
        "another_seed_gives_another_result_unless_deterministic"
    ),
    "looks at who else is asked for": "a_user_is_served_alike_in_any_company",
    "serves what was seen": "seen_is_left_out_unless_asked_for",
    "forgets the candidates": "candidates",
    "drops slots in the middle": "shapes_types_and_gaps",
    "serves one post twice": "no_item_twice",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_mitigations_break_the_contract(mistake):
    contract = MitigationContract()
    promise, contract.inner = f"test_{MISTAKES[mistake]}", Trending()
    contract.mitigation = Leaky()
    getattr(contract, promise)()
    contract.mitigation = Leaky(mistake=mistake)
    with pytest.raises(ContractError):
        getattr(contract, promise)()


def test_an_inert_setting_that_changes_something_breaks_the_contract():
    contract = MitigationContract()
    contract.inner, contract.inert = Trending(), Leaky()
    with pytest.raises(ContractError, match="should change nothing"):
        contract.test_an_inert_setting_is_the_plain_recommender()


def test_a_check_names_every_broken_promise():
    check_mitigation(Leaky())
    with pytest.raises(ContractError, match="Leaky around Trending breaks ") as broken:
        check_mitigation(Leaky(mistake="counts newcomers, idle ones too"), [Trending()])
    assert "test_inert_users_and_items_move_nobody" in str(broken.value)
    assert "move feeds" in str(broken.value)


def test_a_mitigation_that_acts_on_nothing_is_no_success():
    class Refusing(Leaky):
        def check(self, recommender):
            raise ConfigError("not on this one")

    with pytest.raises(ContractError, match="acts on none of trending, item_knn and als"):
        check_mitigation(Refusing())
