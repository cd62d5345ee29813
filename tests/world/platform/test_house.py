"""The house policy and the blend, against slow references."""

import itertools

import numpy as np
import pytest

from recsys.config.world import Slots, Stage
from recsys.core.noise import Stream, moment, uniforms
from recsys.logs.log import Seen
from recsys.recommenders.ranking import FALLBACK
from recsys.world.people.posts import first_day
from recsys.world.platform import house
from recsys.world.platform.blend import (
    FOLLOWING,
    FRESH,
    PERSONAL,
    TRENDING,
    Lists,
    _explore,
    blend,
    slot_pattern,
)
from recsys.world.run import Run


@pytest.fixture(scope="module")
def morning(arms):
    """Day 2 of the influx arm, and what its users had seen by then."""
    influx = arms["influx"]
    morning = influx.morning(2)
    return (
        influx,
        (morning.shelves[0], morning.follows, morning.affinities[0]),
        Seen.from_matrix(influx.log_before(2).seen),
    )


def taken_by(user, simulation, seen):
    own = np.flatnonzero(simulation.posts.creator == user)
    return set(seen.items[seen.start[user] : seen.end[user]].tolist()) | set(own.tolist())


def test_personal_ranking_is_affinity_times_weight(morning):
    simulation, (shelves, _, _), seen = morning
    people, posts = simulation.people, simulation.posts
    rng = np.random.default_rng(2)
    affinity = rng.random((people.n, 48)).astype(np.float32)
    users = np.array([3, 17, 250, people.n - 1])
    ranking = np.empty((4, 30), dtype=np.int32)
    depth = np.array([30, 10, 30, 30], dtype=np.int32)
    house.rank(affinity, seen, shelves, posts.key, users, depth, ranking)
    buckets = house.post_buckets(posts)
    live = np.flatnonzero(simulation.candidates(2))
    weight = np.zeros(posts.n)
    weight[shelves.bucket_posts] = shelves.bucket_weight
    for row, user in enumerate(users):
        score = affinity[user][buckets[live]] * weight[live]
        free = ~np.isin(live, list(taken_by(user, simulation, seen)))
        best = live[free][np.argsort(-score[free], kind="stable")][: depth[row]]
        np.testing.assert_array_equal(ranking[row, : depth[row]], best)
        assert (ranking[row, depth[row] :] == -1).all()


def test_shelves_hold_the_live_posts(morning):
    simulation, (shelves, _, _), _ = morning
    live = np.flatnonzero(simulation.candidates(2))
    assert sorted(shelves.bucket_posts.tolist()) == live.tolist()
    assert sorted(shelves.creator_posts.tolist()) == live.tolist()
    fresh = live[2 - simulation.posts.published[live] < 2]
    assert sorted(shelves.ring_posts.tolist()) == fresh.tolist()
    assert (np.diff(shelves.ring) >= 0).all()
    for start, end in itertools.pairwise(shelves.bucket_start):
        assert (np.diff(shelves.bucket_weight[start:end]) <= 0).all()


@pytest.mark.parametrize("slots", [Slots(), Slots(personal=1, following=0, trending=0, fresh=0)])
def test_pattern_keeps_the_shares(slots):
    pattern = slot_pattern(slots, 100)
    for source, name in ((PERSONAL, "personal"), (FOLLOWING, "following"), (FRESH, "fresh")):
        share = getattr(slots, name)
        for ranks in (10, 25, 100):
            assert abs((pattern[:ranks] == source).sum() - share * ranks) <= 1


def slow_blend(
    simulation, morning, seen, personal, user, pattern, seed, when, depth, per_creator, look_alike
):
    """One feed, slot by slot, with Python sets."""
    shelves, follows, affinity = morning
    taken, feed = taken_by(user, simulation, seen), []
    creator_of = simulation.posts.creator

    def servable(posts):
        for post in posts:
            of_creator = sum(creator_of[n] == creator_of[post] for n, _ in feed)
            if post >= 0 and post not in taken and of_creator < per_creator:
                yield post

    def first(posts):
        return next(servable(posts), -1)

    for rank in range(depth):
        post, source = -1, pattern[rank]
        if source == FOLLOWING:
            followed = [c for c in follows[user] if c >= 0]
            heads = []
            for creator in followed:
                part = slice(shelves.creator_start[creator], shelves.creator_start[creator + 1])
                head = first(shelves.creator_posts[part])
                if head >= 0:
                    heads.append(head)
            post = max(heads, key=lambda n: shelves.freshness[n], default=-1)
        elif source == TRENDING:
            post = first(shelves.trending)
        elif source == FRESH:
            address = simulation.people.address[user]
            point = uniforms(seed, Stream.FRESH, address, rank, when)[0]
            start = np.searchsorted(shelves.ring, point)
            next_ones = list(servable(np.roll(shelves.ring_posts, -start)))[:look_alike]
            post = max(next_ones, key=lambda n: affinity[user][shelves.buckets[n]], default=-1)
        if post < 0:
            post, source = first(personal), PERSONAL
        if post < 0:
            break
        taken.add(post)
        feed.append((int(post), int(source)))
    return feed


@pytest.mark.parametrize(("per_creator", "look_alike"), [(1, 1), (2, 8), (200, 3)])
def test_blend_equals_a_slow_reference(morning, per_creator, look_alike):
    simulation, day, seen = morning
    rng = np.random.default_rng(0)
    users = np.arange(0, simulation.people.n, 9)
    live = np.flatnonzero(simulation.candidates(2))
    personal = np.stack([rng.permutation(live)[:25] for _ in users]).astype(np.int32)
    for row, user in enumerate(users):
        free = [n for n in personal[row] if n not in taken_by(user, simulation, seen)]
        personal[row] = [*free, *[-1] * (25 - len(free))]
    by = rng.choice([PERSONAL, FALLBACK], personal.shape).astype(np.uint8)
    pattern = slot_pattern(Slots(personal=0.4, following=0.2, trending=0.2, fresh=0.2), 20)
    feeds = np.empty((users.size, 20), dtype=np.int32)
    sources = np.zeros(feeds.shape, dtype=np.uint8)
    depth = np.full(users.size, 20, dtype=np.int32)
    when = int(moment(2))
    blend(
        Lists.of_rows(personal, by),
        day[1],
        day[2],
        seen,
        day[0],
        simulation.posts.creator,
        per_creator,
        look_alike,
        simulation.people.address,
        pattern,
        np.uint64(3),
        when,
        users,
        depth,
        feeds,
        sources,
    )
    for row, user in enumerate(users):
        expected = slow_blend(
            simulation,
            day,
            seen,
            personal[row],
            user,
            pattern,
            3,
            when,
            20,
            per_creator,
            look_alike,
        )
        whose = dict(zip(personal[row].tolist(), by[row].tolist(), strict=True))
        named = [(n, whose[n] if source == PERSONAL else source) for n, source in expected]
        got = list(zip(feeds[row].tolist(), sources[row].tolist(), strict=True))
        assert got[: len(expected)] == named
        assert (feeds[row, len(expected) :] == -1).all()


@pytest.mark.parametrize("last", range(5))
def test_the_ring_has_no_end(morning, last):
    """An exploration that begins among the last posts goes on with the first."""
    _, (shelves, *_), _ = morning
    n = shelves.ring.size
    fifth = shelves.ring_posts[(n - last + 4) % n]
    buckets = np.zeros_like(shelves.buckets)
    buckets[fifth] = 1
    found = _explore(
        shelves._replace(buckets=buckets),
        np.zeros(buckets.size, dtype=np.uint8),
        np.zeros(buckets.size, dtype=np.int32),
        np.zeros(0, dtype=np.int32),
        0,
        np.uint8(1),
        shelves.ring[n - last] if last else 1.0,
        np.array([0.0, 1.0], dtype=np.float32),
        5,
    )
    assert found == fifth


@pytest.mark.parametrize("look_alike", [1, 8])
def test_one_more_fresh_post_moves_few_explorations(morning, look_alike):
    simulation, (shelves, follows, affinity), seen = morning
    users = np.arange(simulation.people.n)
    pattern = np.full(1, FRESH, dtype=np.int32)
    personal = np.full((users.size, 1), -1, dtype=np.int32)

    def explored(these):
        feeds = np.empty((users.size, 1), dtype=np.int32)
        blend(
            Lists.of_rows(personal, np.zeros(personal.shape, np.uint8)),
            follows,
            affinity,
            seen,
            these,
            simulation.posts.creator,
            200,
            look_alike,
            simulation.people.address,
            pattern,
            np.uint64(0),
            int(moment(2)),
            users,
            np.ones(users.size, np.int32),
            feeds,
            np.zeros(feeds.shape, np.uint8),
        )
        return feeds[:, 0]

    without = shelves._replace(ring=shelves.ring[1:], ring_posts=shelves.ring_posts[1:])
    changed = explored(shelves) != explored(without)
    taken = explored(shelves)[changed] == shelves.ring_posts[0]
    assert taken.all() if look_alike == 1 else taken.any()
    assert changed.mean() < 10 * look_alike / shelves.ring.size


def test_a_post_that_fails_a_stage_takes_no_fresh_slot(world):
    """With a stage that nobody passes, fresh slots hold posts with few looks alone."""

    def looks_at_fresh(stages):
        platform = world.platform.model_copy(update={"stages": stages})
        run = Run.start(world.model_copy(update={"platform": platform}), 0)
        assert len(list(run.run_days(first_day(world), 0))) == -first_day(world)
        view, _ = run._views(0, 0)
        return run.counts.looks.sum(axis=0)[view.shelves.ring_posts]

    assert looks_at_fresh(()).max() > 10
    assert looks_at_fresh((Stage(looks=10, click_rate=1.0),)).max() < 10
    unreachable = looks_at_fresh((Stage(looks=10_000, click_rate=1.0),))
    np.testing.assert_array_equal(unreachable, looks_at_fresh(()))
