"""Posts that are found by pruning are those that are found by looking at all, and the laws hold."""

import numpy as np
import pytest

from recsys.config import Posts
from recsys.config.world import Platform, Population
from recsys.recommenders import ALS, Ranker, least_squares, shortlist
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world import run as run_module
from recsys.world.arms import Arm
from recsys.world.day import blocks, serving
from tests.kit.closed_loop import IDLE, NONE, a_world, alone, differences

ALL_POSTS, PRUNED = (ALS(factors=4, iterations=3, retrieval=way) for way in ("all", "pruned"))
MANY = {"posts": Posts(per_creator_day=3.0)}


@pytest.fixture
def counted(monkeypatch):
    """Short lists and small tiles, so that both matter here; counts what is done."""
    counts = {"tiles": 0, "deepened": 0}
    shorten, ranked = shortlist._shorten, serving.rank_morning

    def looked_through(*arguments):
        counts["tiles"] += arguments[0].shape[0]
        return shorten(*arguments)

    def again(scene, seen, views, rankers, users, *more):
        if not more:
            counts["deepened"] += users.size
        return ranked(scene, seen, views, rankers, users, *more)

    for module, name in ((serving, "_CHUNK"), (blocks, "_SMALLEST"), (least_squares, "_ROWS")):
        monkeypatch.setattr(module, name, 23)  # so that there are several blocks for threads
    monkeypatch.setattr(shortlist, "_FEW", 0)  # so that there are shortlists at all
    monkeypatch.setattr(shortlist, "_COLUMNS", 16)
    monkeypatch.setattr(shortlist, "_shorten", looked_through)
    monkeypatch.setattr(serving, "_LENGTHS", (6, 12))
    monkeypatch.setattr(serving, "_needed", lambda shown: shown // 2)
    monkeypatch.setattr(serving, "rank_morning", again)
    return counts


@pytest.mark.parametrize("platform", [{}, {"per_creator": 1, "seen_memory": 64}])
@pytest.mark.parametrize("arm", ["control", "influx"])
def test_pruning_changes_no_bit(arm, platform, counted):
    """Of people who come often and forget, too: a list made anew is that of the morning."""
    often = Population(visits_per_day=1.5) if platform else Population()
    world = a_world(**MANY, platform=Platform(**platform), population=often)
    expected, got = (alone(als, arm, world) for als in (ALL_POSTS, PRUNED))
    assert differences(expected, got) == set()
    assert counted["deepened"] > 0
    assert counted["tiles"] > 0
    assert differences(got, alone(PRUNED, arm, world, threads=3)) == set()


@pytest.mark.parametrize("arm", ["control", "influx"])
def test_lists_of_ranker_as_long_as_visits_need_change_no_bit(arm, counted, monkeypatch):
    ranker = Ranker(factors=4, candidates=20, iterations=10)
    world = a_world(**MANY, platform=Platform(per_creator=1, seen_memory=64))
    got = alone(ranker, arm, world)
    assert counted["deepened"] > 0
    monkeypatch.setattr(RecommenderPolicy, "by_need", False)
    assert differences(alone(ranker, arm, world), got) == set()


@pytest.mark.parametrize("few", [0, -4])
@pytest.mark.parametrize("arm", ["control", "influx"])
def test_lists_of_the_house_that_run_short_are_made_again(arm, few, monkeypatch):
    """With few posts in a list, and one of each creator in a feed, most visits need it anew."""
    world = a_world(**MANY, platform=Platform(per_creator=1, seen_memory=64))
    lists, by_house = [], serving._by_house

    def counted(seen, view, users, depth, width):
        lists.append(users.size)
        return by_house(seen, view, users, depth, width)

    monkeypatch.setattr(serving, "_by_house", counted)
    monkeypatch.setattr(serving, "_FEW", serving._SPARE)
    expected, at_once = alone("house", arm, world), sum(lists)
    lists.clear()
    monkeypatch.setattr(serving, "_FEW", few)
    got = alone("house", arm, world)
    assert sum(lists) > 1.1 * at_once
    assert differences(expected, got) == set()


@pytest.mark.parametrize("idle", IDLE)
def test_idle_newcomers_change_nothing(idle, counted):
    idlers = alone(PRUNED, "influx", a_world(influx=IDLE[idle]))
    assert differences(alone(PRUNED, "control"), idlers) == set()


@pytest.mark.parametrize("newcomers", ["influx", "placebo"])
def test_with_all_gates_closed_active_newcomers_change_nothing(newcomers, counted):
    behind_gates = alone(PRUNED, Arm(newcomers, gates=NONE))
    assert differences(alone(PRUNED, "control"), behind_gates) == set()


def test_a_search_that_everybodys_posts_limit_leaks_and_is_found(monkeypatch):
    """As an index would that is made from the newcomers' fit and searched by all."""
    fit = run_module.fit

    class Limited:
        def __init__(self, ranker, index):
            self.ranker, self.index = ranker, index
            self.model = ranker.model

        def rank(self, users, k, candidates, seen):
            found = candidates & self.index
            posts = np.full((users.size, k), -1, dtype=np.int32)
            sources = np.zeros(posts.shape, dtype=np.uint8)
            k = min(k, int(found.sum()))
            posts[:, :k], sources[:, :k] = self.ranker.rank(users, k, found, seen)
            return posts, sources

    def leaky(*arguments):
        (own, full), liked = fit(*arguments)
        lengths = np.linalg.norm(full.model.item_factors, axis=1)
        index = np.zeros(full.model.log.n_items, dtype=np.bool_)
        index[full.model.log.interactions.items[np.argsort(-lengths)[:60]]] = True
        return (Limited(own, index), full), liked

    monkeypatch.setattr(run_module, "fit", leaky)
    expected = alone(PRUNED, "control")
    assert "feeds" in differences(expected, alone(PRUNED, Arm("influx", gates=NONE)))
