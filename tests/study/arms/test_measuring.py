"""The loop that measures, on feeds written by hand: who is compared with whom, and what is kept."""

import weakref
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from recsys.measures.attention_rows import Pool
from recsys.measures.pair import FeedPair
from recsys.measures.registry import MEASURES
from recsys.recommenders import Ranking
from recsys.study.arms.measuring import ArmFeeds, Group, Served, measure
from recsys.study.arms.result import life_of
from recsys.study.arms.snapshots import INCUMBENT, NEWCOMER, Snapshots

DAYS = (1, 2)
EXAMINE = np.array([1.0, 0.5])
FEEDS = {
    "control": {1: [[0, 1], [2, 3]], 2: [[0, 1], [2, 3]]},
    "influx": {1: [[0, 1], [2, 4]], 2: [[4, 1], [4, 2]]},
}
NEWCOMERS = {1: [], 2: [[0, 4]]}
ITEMS = pl.DataFrame({"item_id": [50, 51, 52, 53, 54], "about": list("abcde")})


def ranking(rows):
    ids = np.array(rows, dtype=np.int32).reshape(len(rows), 2)
    return Ranking(ids, np.zeros(ids.shape, np.float32), np.zeros(ids.shape, np.uint8))


@dataclass(eq=False)
class Day:
    arm: str
    day: int
    asked: list

    def feeds(self):
        groups = [Group(INCUMBENT, np.arange(2), ranking(FEEDS[self.arm][self.day]))]
        if self.arm == "influx" and NEWCOMERS[self.day]:
            groups.append(Group(NEWCOMER, np.array([2]), ranking(NEWCOMERS[self.day])))
        return Served(groups, fit_s=1.0)

    def without_newcomers(self, feeds):
        return feeds.item_ids

    def pair(self, group, reference, previous, without):
        self.asked.append((self.arm, self.day, group.cohort, previous is not None))
        return FeedPair(
            reference=reference.item_ids,
            feeds=group.feeds.item_ids,
            attributes={},
            from_newcomers=np.arange(5) == 4,
            examine=EXAMINE,
            previous=None if previous is None else previous.item_ids,
            without=without,
        )

    def pool(self, group):
        return Pool(np.ones(5, bool), None, np.full(5, 0.2), np.full(group.users.size, 0.2))


@dataclass(eq=False)
class Source:
    with_control: bool = True
    asked: list = field(default_factory=list)
    days = DAYS

    @property
    def measures(self):
        return {name: MEASURES[name] for name in ("slots_changed", "newcomer_slots", "turnover")}

    def arms(self):
        for arm in FEEDS:
            keys = {"recommender": "x", "mitigation": "none", "arm": arm, "seed": 3, "draw": 0}
            yield ArmFeeds(
                keys,
                lambda day, arm=arm: Day(arm, day, self.asked),
                pl.Series([10, 11, 12]),
                ITEMS,
                {"topic": "about"},
                compared=arm != "control",
                reported=arm != "control" or self.with_control,
            )

    def life(self):
        return life_of({}, ("x", "none"), 3)


def values(found, measure, arm, cohort=INCUMBENT):
    rows = found.per_user.filter(arm=arm, cohort=cohort)
    return {
        (day, user): value for day, user, value in rows.select("day", "user_id", measure).rows()
    }


def test_the_first_arm_is_the_reference():
    found = measure(Source())
    changed = {(None, 10): 0.25, (None, 11): 0.5, (1, 10): 0, (1, 11): 0.5, (2, 10): 0.5}
    assert values(found, "slots_changed", "influx") == changed | {(2, 11): 0.5}
    assert set(values(found, "slots_changed", "control").values()) == {None}


def test_a_reference_that_is_not_reported_gives_no_row():
    whole, part = measure(Source()), measure(Source(with_control=False))
    assert part.per_user.equals(whole.per_user.filter(arm="influx"))
    assert part.exposure.equals(whole.exposure.filter(arm="influx"))
    assert part.timings.equals(whole.timings.filter(arm="influx"))


def test_newcomers_are_measured_when_they_are_there_and_compared_with_nobody():
    source = Source()
    found = measure(source)
    shown = values(found, "newcomer_slots", "influx", NEWCOMER)
    assert shown.keys() == {(None, 12), (2, 12)}
    assert shown[None, 12] == shown[2, 12] > 0
    assert set(values(found, "slots_changed", "influx", NEWCOMER).values()) == {None}
    assert ("influx", 2, NEWCOMER, False) in source.asked


def test_yesterday_is_the_day_that_was_measured_before():
    source = Source()
    measure(source)
    panel = [asked for asked in source.asked if asked[2] == INCUMBENT]
    assert [(day, known) for _, day, _, known in panel] == [(1, False), (2, True)] * 2


def test_feeds_are_kept_where_they_are_asked_for():
    assert measure(Source()).feeds.is_empty()
    found = measure(Source(), Snapshots(everything=True))
    feeds = found.feeds.filter(pl.col("arm") == "influx")
    assert feeds.filter(day=1)["item_id"].to_list() == [50, 51, 52, 54]
    assert feeds.filter(day=2, user_id=12)["item_id"].to_list() == [50, 54]
    posts = found.posts.filter(arm="influx")
    assert posts["item_id"].to_list() == [50, 51, 52, 54]
    assert posts["topic"].to_list() == ["a", "b", "c", "e"]
    assert posts["creator"].to_list() == [None, None, None, "newcomer"]


def test_by_default_the_panels_feeds_are_kept():
    feeds = measure(Source(), Snapshots()).feeds
    assert set(feeds["cohort"].cast(pl.String)) == {"incumbent"}
    assert set(feeds["arm"].cast(pl.String)) == {"control", "influx"}


def test_an_arm_is_let_go_before_the_next_is_asked_for():
    """The world behind an arm may be large."""
    held = []

    class Watched(Source):
        def arms(self):
            for arm in super().arms():
                held.append(weakref.ref(arm))
                yield arm
                del arm
                assert held[-1]() is None

    measure(Watched())
    assert len(held) == 2
