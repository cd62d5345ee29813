"""Every entry of RECOMMENDERS keeps the contract, and wrong recommenders break it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.logs.log import InteractionLog
from recsys.recommenders import RECOMMENDERS, ItemKNN, PlatformRanker, Recommender
from recsys.recommenders.base import COLD, HOT, WARM, PopularityModel, binary
from recsys.testing import (
    ContractError,
    RecommenderContract,
    check_recommender,
    quick_recommender,
)
from tests.kit.variants import VARIANTS

KINDS = {
    **{name: quick_recommender(name) for name in RECOMMENDERS},
    "item_knn tfidf": ItemKNN(similarity="tfidf"),
    "item_knn bm25": ItemKNN(similarity="bm25"),
    **{name: made for name, made in VARIANTS.items() if not isinstance(made, PlatformRanker)},
    "platform_ranker with recall": PlatformRanker(recall=5),
}
"""Every recommender, and variants that compute something else."""
ROUND = {"als", "bpr", "lmf", "ease", "two_tower"}
"""Scores of items that only their ids tell apart differ: four draw starts, one rounds."""
PARTLY = {"lmf", "ranker", "item_knn tfidf", "item_knn bm25", "item_knn with recency"}
PARTLY |= {"two_tower with recency", "platform_ranker with recall"}
"""Weights count, out of proportion: lmf heeds them in likes but not in absences, ranker and
platform_ranker in some sources, item neighbours before a logarithm or a saturation, and others in
recency alone."""


class TestRecommenders(RecommenderContract):
    @pytest.fixture(params=KINDS, autouse=True)
    def tried(self, request):
        name = request.param
        self.recommender = KINDS[name]
        self.learns = name != "random"
        self.partly_weighted = name in PARTLY
        drawn = {*ROUND, "random"}
        self.alike_items_tie = name.split()[0] not in drawn and "recall" not in name
        self.can_be_stored = True


def test_the_registry_names_each_once():
    assert len(set(RECOMMENDERS.values())) == len(RECOMMENDERS)
    assert all(issubclass(kind, Recommender) for kind in RECOMMENDERS.values())


BEYOND = """
import numpy as np
from recsys import RECOMMENDERS, InteractionLog
log = InteractionLog.from_frames({"user_id": [1, 1, 2], "item_id": [7, 8, 7]},
    items={"item_id": [7, 8], "topic": ["pets", "food"]})
for name, kind in RECOMMENDERS.items():
    try:
        kind().fit(log).rank(np.array([0, 2, 10**6]), 1)
    except (IndexError, ValueError):
        print(name)
"""


def test_users_who_do_not_exist():
    """In a process of its own: a read beyond an array can end it."""
    done = subprocess.run(
        [sys.executable, "-c", BEYOND],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(recsys.__file__).parents[1],
    )
    assert done.stdout.split() == list(RECOMMENDERS), f"exit {done.returncode}: {done.stderr}"


# Wrong recommenders: each breaks the promise that it is about


class Wrong(Recommender):
    """Serves what is liked most, but for one planted mistake."""

    deterministic: ClassVar[bool] = True
    mistake: str = ""
    """What it does wrong."""

    def fit(self, log, seed=0, previous=None):
        heat = np.asarray(binary(log).sum(axis=0)).ravel()
        popular = np.zeros(log.n_items)
        popular[log.interactions.items] = heat
        if self.mistake == "changes the log":
            log.interactions.weights.data[:] = 1
        elif self.mistake == "counts users":
            popular = popular * log.n_users
        elif self.mistake == "counts items":
            popular = popular + log.n_items
        elif self.mistake == "goes by dense ids":
            popular = popular - np.arange(log.n_items) / 100
        elif self.mistake == "foresees":
            topics = log.items["topic"].fill_null("unknown")
            popular = (
                popular
                + pl.DataFrame({"topic": topics})
                .select(pl.len().over("topic"))
                .to_series()
                .to_numpy()
            )
        elif self.mistake == "draws by the seed":
            popular = popular + seed
        elif self.mistake == "draws by the fit":
            popular = popular + np.random.default_rng().random(log.n_items)
        elif self.mistake == "goes on":
            popular = popular + (0 if previous is None else 1)
        elif self.mistake == "counts impressions":
            shown = log.dense.filter(pl.col("kind") == "impression")["item"].to_numpy()
            popular = popular + np.bincount(shown, minlength=log.n_items)
        elif self.mistake == "heeds weights":
            popular[log.interactions.items] = np.asarray(log.interactions.weights.sum(axis=0))[0]
        return WrongModel(log, popular, self.mistake)


@dataclass(frozen=True)
class WrongModel(PopularityModel):
    mistake: str

    @property
    def serves(self):
        return (HOT,) if self.mistake == "says that it serves the hot alone" else (HOT, WARM, COLD)

    def can_serve(self, users):
        return np.asarray(users) >= -1

    def score(self, users, items):
        scores = super().score(users, items)
        if self.mistake == "looks at who else is asked for":
            scores = scores + np.asarray(users).mean()
        elif self.mistake == "scores nothing":
            scores[:] = -np.inf
        elif self.mistake == "scores nan":
            scores[:, ::2] = np.nan
        return scores

    def rank(self, users, k=20, candidates=None, exclude_seen=True):
        if self.mistake == "forgets the candidates":
            candidates = None
        if self.mistake == "serves what was seen":
            exclude_seen = False
        got = super().rank(users, k, candidates, exclude_seen)
        if self.mistake == "turns the ranking round":
            got.item_ids[:] = got.item_ids[:, ::-1]
            got.scores[:] = got.scores[:, ::-1]
        elif self.mistake == "serves one item twice":
            got.item_ids[:, -1] = got.item_ids[:, 0]
        elif self.mistake == "marks the fallback as personal":
            got.sources[:] = 1
        return got


MISTAKES = {
    "changes the log": "fit_leaves_the_log_as_it_was",
    "counts users": "inert_users_move_nobody",
    "counts items": "inert_items_move_nobody",
    "foresees": "what_comes_later_moves_nobody",
    "goes by dense ids": "relabelling_relabels_and_changes_nothing_else",
    "draws by the seed": "another_seed_gives_another_result_unless_deterministic",
    "draws by the fit": "the_same_seed_gives_the_same_bits",
    "goes on": "a_previous_model_of_another_log_is_welcome",
    "counts impressions": "impressions_matter_if_and_only_if_declared",
    "heeds weights": "weights_matter_if_and_only_if_declared",
    "says that it serves the hot alone": "can_serve_status_and_rank_agree",
    "looks at who else is asked for": "a_user_is_served_alike_in_any_company",
    "scores nothing": "shapes_types_and_gaps",
    "scores nan": "degenerate_logs",
    "forgets the candidates": "candidates",
    "serves what was seen": "seen_is_left_out_unless_asked_for",
    "turns the ranking round": "best_first",
    "serves one item twice": "no_item_twice",
    "marks the fallback as personal": "everything_is_marked_personal",
}


def trying(recommender):
    contract = RecommenderContract()
    contract.recommender = recommender
    return contract


@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_recommenders_break_the_contract(mistake):
    name = f"test_{MISTAKES[mistake]}"
    getattr(trying(Wrong()), name)()
    with pytest.raises(ContractError):
        getattr(trying(Wrong(mistake=mistake)), name)()


def test_a_check_names_every_broken_promise():
    check_recommender(Wrong())
    with pytest.raises(ContractError) as broken:
        check_recommender(Wrong(mistake="looks at who else is asked for"))
    head, *lines = str(broken.value).splitlines()
    assert head.startswith("Wrong breaks ")
    said = dict(line.strip().split(": ", 1) for line in lines)
    assert "test_a_user_is_served_alike_in_any_company" in said
    assert (
        "depends on which other users are served"
        in said["test_a_user_is_served_alike_in_any_company"]
    )
    assert "test_fit_leaves_the_log_as_it_was" not in said


# A planted right answer

PLANTED = {
    "item_knn": {},
    "item_knn tfidf": {"similarity": "tfidf"},
    "item_knn bm25": {"similarity": "bm25"},
    "ease": {},
    "als": {"factors": 2},
    "bpr": {"factors": 4, "iterations": 300},
    "lmf": {"factors": 2},
    "content": {},
    "ranker": {"factors": 2},
    "platform_ranker": {"topic": "group"},
    "two_tower": {"factors": 8, "iterations": 30},
}


@pytest.mark.parametrize("kind", PLANTED)
def test_two_taste_groups_are_told_apart(kind):
    """A checkerboard: users like the items of their parity, and each has yet to see three."""
    users, items = np.indices((40, 24))
    liked = ((users + items) % 2 == 0) & ((items // 2 - users // 2) % 12 >= 3)
    user, item = np.nonzero(liked)
    log = InteractionLog.from_frames(
        {"user_id": user, "item_id": item},
        items={"item_id": range(24), "group": [("even", "odd")[n % 2] for n in range(24)]},
    )
    model = RECOMMENDERS[kind.split()[0]](**PLANTED[kind]).fit(log, seed=3)
    got = model.rank(np.arange(40), 24)
    for row in range(40):
        unseen = {i for i in range(24) if (row + i) % 2 == 0 and not liked[row, i]}
        assert len(unseen) == 3
        assert set(got.item_ids[row, :3].tolist()) == unseen


def test_every_personal_recommender_was_given_the_planted_groups():
    impersonal = {"random", "most_popular", "trending"}
    assert {kind.split()[0] for kind in PLANTED} == {*RECOMMENDERS} - impersonal
