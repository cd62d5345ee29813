"""Freshness windows of collaborative recommenders: fresh items first, older ones behind them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest

from recsys.logs.log import InteractionLog, Seen
from recsys.mitigations import MITIGATIONS, mitigated
from recsys.recommenders import RECOMMENDERS
from recsys.recommenders.base import with_fallback
from recsys.recommenders.collaborative import Collaborative, CollaborativeModel
from recsys.recommenders.trending import Trending
from recsys.recommenders.window import ages, by_window, follow, last_like, midnight_after
from recsys.study.arms.policy import RecommenderPolicy
from recsys.testing import example_mitigations, quick_recommender, takes
from recsys.testing.communities import START, community, community_with_newcomers
from recsys.testing.serving import ServingContract

NAMES = ["als", "bpr", "lmf", "ease", "item_knn"]
DAYS = 5.0
END = datetime.fromtimestamp(START, UTC) + timedelta(days=5)
"""Midnight after the last like of both communities, which live for five days."""


def dated(frames, seed=3):
    """A community whose items were published in the last 45 days; of four it is not known."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(0, 45, frames.items.height)
    age[::15] = np.nan
    published = [None if np.isnan(days) else END - timedelta(days=days) for days in age]
    return replace(
        frames, items=frames.items.with_columns(published=pl.Series(published)), _fits=[]
    )


@cache
def dated_community():
    return dated(community())


@cache
def dated_newcomers():
    return dated(community_with_newcomers())


@cache
def fitted(name):
    return quick_recommender(name).fit(dated_community().log, 0)


def window_of(log):
    """Number of the window of each item by hand: 0 to 5 days old, 1 to 10, 2 to 20, 3 to 40, …."""
    published = log.items["published"].to_list()
    now = END.replace(tzinfo=None) if published[1].tzinfo is None else END
    old = [
        np.inf if moment is None else (now - moment) / timedelta(days=DAYS) for moment in published
    ]
    return np.array([99 if np.isinf(age) else sum(age > 2**n for n in range(9)) for age in old])


def test_which_recommenders_have_a_window():
    having = {name for name, kind in RECOMMENDERS.items() if issubclass(kind, Collaborative)}
    assert having == set(NAMES)
    for name in NAMES:
        assert RECOMMENDERS[name]().candidate_days == DAYS
        assert isinstance(fitted(name), CollaborativeModel)
        assert fitted(name).window() == DAYS
    assert quick_recommender("ranker").fit(dated_newcomers().log).window() == DAYS


def test_the_community_has_what_is_needed():
    counts = np.bincount(window_of(dated_community().log))
    assert (counts[[0, 1, 2, 3, 99]] > 2).all()
    assert midnight_after(last_like(dated_community().log)) == END.timestamp() * 1000


@pytest.mark.parametrize("some", [False, True], ids=["all items", "candidates"])
@pytest.mark.parametrize("k", [3, 10, 58])
@pytest.mark.parametrize("name", NAMES)
def test_by_hand(name, k, some):
    """The full ranking without a window, sorted by window."""
    log, model = dated_community().log, fitted(name)
    candidates = np.arange(log.n_items) % 4 > 0 if some else None
    k = min(k, 45) if some else k
    users, windows = np.arange(log.n_users), window_of(log)
    everything = replace(model, candidate_days=None).rank(users, 45 if some else 60, candidates)
    got = model.rank(users, k, candidates)
    moved = 0
    for row, plain in enumerate(everything.item_ids):
        plain = plain[plain >= 0]
        expected = plain[np.argsort(windows[plain], kind="stable")][:k]
        held = got.item_ids[row][got.item_ids[row] >= 0]
        np.testing.assert_array_equal(held, expected)
        moved += not np.array_equal(held, plain[:k])
    assert moved > 500


@pytest.mark.parametrize("name", NAMES)
def test_scores_fall_and_keep_their_distances(name):
    log, model = dated_community().log, fitted(name)
    users, windows = np.arange(log.n_users), window_of(log)
    plain = replace(model, candidate_days=None).rank(users, 60)
    got, lowered = model.rank(users, 60), 0
    for row in range(users.size):
        ids, scores = got.item_ids[row], got.scores[row]
        ids, scores = ids[ids >= 0], scores[ids >= 0]
        assert (np.diff(scores) <= 0).all()
        own = dict(zip(plain.item_ids[row], plain.scores[row].astype(float), strict=True))
        shift = np.array([own[item] for item in ids]) - scores
        for number in np.unique(windows[ids]):
            of_window = shift[windows[ids] == number]
            np.testing.assert_allclose(of_window, of_window[:1].repeat(of_window.size), atol=1e-5)
            assert (of_window >= -1e-6).all()
            lowered += of_window.size > 0 and of_window[0] > 1e-3
    assert lowered > 100


@pytest.mark.parametrize("name", NAMES)
def test_no_slot_is_lost_and_the_fallback_fills_the_same(name):
    model, trending = fitted(name), Trending().fit(dated_community().log)
    users = dated_community().mixed
    whole = replace(model, candidate_days=None)
    for k in (5, 40, 60):
        mine, theirs = (
            with_fallback(each.rank(users, k), trending, users) for each in (model, whole)
        )
        np.testing.assert_array_equal(mine.sources, theirs.sources)
        np.testing.assert_array_equal(mine.item_ids >= 0, theirs.item_ids >= 0)


@pytest.mark.parametrize("name", NAMES)
def test_where_ages_are_not_known_there_is_no_window(name):
    frames, users = dated_community(), np.arange(dated_community().log.n_users)
    no_times = frames.events.drop("timestamp")
    for events, items in (
        (frames.events, frames.items.drop("published")),
        (frames.events, frames.items.with_columns(published=pl.lit(True))),
        (no_times, frames.items),
    ):
        log = InteractionLog.from_frames(events, frames.users, items)
        model = quick_recommender(name).fit(log, 0)
        plain = replace(model, candidate_days=None)
        np.testing.assert_array_equal(
            model.rank(users, 20).item_ids, plain.rank(users, 20).item_ids
        )


def test_in_a_closed_loop_what_was_seen_since_is_left_out():
    log = dated_community().log
    fit = RecommenderPolicy(quick_recommender("als")).fit(log, 0, None)
    users, everything = np.array([20, 30, 40]), np.ones(log.n_items, dtype=bool)
    none = Seen(*np.zeros((2, log.n_users), np.int64), np.zeros(0, np.int32))
    first, _ = fit.rank(users, 8, everything, none)
    windows = window_of(log)
    assert (windows[first] == np.sort(windows[first], axis=1)).all()
    start = np.zeros(log.n_users, np.int64)
    end = np.full(log.n_users, 3)
    got, _ = fit.rank(users[:1], 5, everything, Seen(start, end, first[0, :3]))
    np.testing.assert_array_equal(got[0], first[0, 3:])


def test_users_who_are_removed_take_no_window_along():
    """ease removes few users exactly; the model that is left has the same window."""
    log, ease = dated_community().log, quick_recommender("ease")
    gone = np.array([20, 21])
    without = ease.fit_without(fitted("ease"), log.without_users(gone), gone)
    assert without.window() == DAYS


@pytest.mark.parametrize("kind", MITIGATIONS)
def test_under_a_mitigation_fresh_items_come_first_too(kind):
    """Of what it leaves to its recommender: slots that a mitigation fills itself do not count."""
    log, before = dated_newcomers().log, dated_newcomers().before
    windows, users = window_of(log), np.arange(10, 300)
    for mitigation in example_mitigations(kind):
        if not takes(mitigation, quick_recommender("als")):
            continue
        recommender = mitigated(quick_recommender("als"), [mitigation])
        model = recommender.fit(log, 0, recommender.fit(before, 0))
        assert model.window() == DAYS
        whole = mitigated(
            quick_recommender("als").model_copy(update={"candidate_days": None}), [mitigation]
        )
        plain = whole.fit(log, 0, whole.fit(before, 0)).rank(users, 8).item_ids
        got = model.rank(users, 8).item_ids
        fresher = windows[got].clip(max=5).mean(), windows[plain].clip(max=5).mean()
        assert fresher[0] < fresher[1] - 0.5


# The parts


def test_edges_of_windows_belong_to_the_fresher():
    age = np.array([-1.0, 0.0, 5.0, np.nextafter(5, 6), 10.0, 10.1, 80.0, np.nan])
    parts = by_window(np.arange(8, dtype=np.int32)[::-1], age, 5.0)
    assert [part.tolist() for part in parts] == [[2, 1, 0], [4, 3], [5], [6], [7]]
    assert [part.tolist() for part in by_window(np.arange(7, 8), age, 5.0)] == [[7]]


def test_ages_are_in_days_for_dates_and_any_zone():
    when = datetime(2025, 1, 10, 12, tzinfo=UTC)
    events = {"user_id": [1], "item_id": [7], "timestamp": ["2025-01-12T18:00:00"]}
    for published, expected in (
        (pl.Series([when, None]).dt.convert_time_zone("Asia/Shanghai"), 2.25),
        (pl.Series([when.replace(tzinfo=None), None]), 2.25),
        (pl.Series([when.date(), None]), 2.75),
    ):
        log = InteractionLog.from_frames(
            events, items=pl.DataFrame({"item_id": [7, 8], "published": published})
        )
        np.testing.assert_array_equal(ages(log, last_like(log)), [expected, np.nan])


def test_what_follows_starts_where_the_rest_ends():
    ids = np.array([[1, -1, -1], [-1, -1, -1], [1, 2, -1]], np.int32)
    scores = np.array([[3, np.nan, np.nan], [np.nan] * 3, [0.5, 0.25, np.nan]], np.float32)
    more = np.array([[5, 6, 7], [5, 6, -1], [5, -1, -1]], np.int32)
    their = np.array([[2, 1, 0], [9, 8, np.nan], [7, np.nan, np.nan]], np.float32)
    follow(ids, scores, np.arange(3), more, their)
    assert ids.tolist() == [[1, 5, 6], [5, 6, -1], [1, 2, 5]]
    np.testing.assert_array_equal(scores, [[3, 2, 1], [9, 8, np.nan], [0.5, 0.25, 0.25]])


# The promises of `recsys.testing` about serving, with windows


class TestServing(ServingContract):
    @pytest.fixture(params=NAMES, autouse=True)
    def tried(self, request):
        self.name = request.param

    def serving(self):
        return quick_recommender(self.name)

    def community(self):
        return dated_community()


def test_scores_fall_even_where_a_difference_is_rounded():
    """1 less 1 + 1e-20 is 0 in float64, more than the last score."""
    ids, scores = np.array([[3, -1, -1]], np.int32), np.float32([[-1e-20, np.nan, np.nan]])
    follow(ids, scores, np.array([0]), np.array([[8, 9, 7]], np.int32), np.float32([[1, 1, 0]]))
    assert ids.tolist() == [[3, 8, 9]]
    assert (scores == scores[0, 0]).all()
