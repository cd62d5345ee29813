"""From rankings to feeds: personal rankings are blended with the platform's own slots.

The house ranks again for each visit. A recommender ranks once, in the morning, for all who will
come that day; posts that they have seen since are left out when feeds are blended. A policy that
ranks as deep as visits go makes lists of a few lengths; if one runs short, its user gets the
longest.
"""
# mypy: disallow-untyped-decorators=False

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.core.noise import moment
from recsys.core.threads import over_blocks, single_threaded_blas
from recsys.logs.log import Seen
from recsys.world.arms import Audience
from recsys.world.day.blocks import block_size
from recsys.world.day.fits import Rankers
from recsys.world.day.values import Served
from recsys.world.day.views import View
from recsys.world.people.user_states import UserStates
from recsys.world.platform import house
from recsys.world.platform.blend import Lists, blend, slot_pattern
from recsys.world.platform.policy import Ranker
from recsys.world.scene import Scene

_SPARE = 48
"""Posts ranked beyond those that a visit shows, because other slots or the cap per creator take
some."""
_FEW = 4
"""Posts that the house ranks beyond those that a visit shows. For the few visits that need more it
ranks again, as deep as `_SPARE` says, to the same feeds."""
_LENGTHS = (16, 32, 64, 104)
"""Lengths of lists of a policy that ranks as deep as visits go, beside the full one."""
_CHUNK = 32_768
"""Number of people who are ranked together; it changes no bit."""


class Request(NamedTuple):
    """Feeds that people of one cohort ask for at the same time."""

    users: NDArray[np.int64]
    """(n,) rows of people, each at most once."""
    depth: NDArray[np.int32]
    """(n,) number of posts that each person is shown, from 1 on."""
    ranks: int
    """Width of the feeds, at least the largest depth."""
    when: int
    """The visit's `recsys.core.noise.moment`, which addresses its draws."""


class Ranked(NamedTuple):
    """Personal rankings of those who come on a day or are in the audience."""

    row: NDArray[np.int64]
    """(n_people,) the row of each person's ranking, -1 where there is none."""
    start: NDArray[np.int64]
    """(n + 1,) where each ranking begins in the arrays below, and the end of the last."""
    posts: NDArray[np.int32]
    """Rows of posts, one ranking after the other, -1 where nothing is left."""
    sources: NDArray[np.uint8]
    """Positions in `recsys.logs.schema.SOURCES`, likewise."""
    deepened: Callable[[NDArray[np.int64]], Lists]
    """Gives the full rankings of some people, sorted rows of one cohort."""

    def of(self, users: NDArray[np.int64]) -> Lists:
        """The rankings of some people."""
        rows = self.row[users]
        return Lists(self.start[rows], self.start[rows + 1], self.posts, self.sources)

    def cut(self, users: NDArray[np.int64], full: int) -> NDArray[np.bool_]:
        """Bool (n,): whose ranking is shorter than `full` posts and might go on."""
        end = self.start[self.row[users] + 1]
        return (end - self.start[self.row[users]] < full) & (self.posts[end - 1] >= 0)


def rank_morning(
    scene: Scene,
    seen: Seen,
    views: tuple[View, ...],
    rankers: Rankers,
    users: NDArray[np.int64],
    shown: NDArray[np.int64] | None = None,
    threads: int = 1,
) -> Ranked:
    """Personal rankings by the morning's fits, or by the house before the first fit.

    Args:
        scene: the platform.
        seen: what each person has seen by the morning.
        views: what each of `Scene.cohorts` is served from.
        rankers: the fits for each of them.
        users: int (n,), sorted rows of people.
        shown: int64 (n,), number of posts that each of them will be shown that day, for rankings
            that are only as long as it takes; None for full rankings.
        threads: number of threads, such as 2.
    """
    full = scene.world.platform.visit_ranks + _SPARE
    row = np.full(scene.people.n, -1, dtype=np.int64)
    row[users] = np.arange(users.size)
    length = np.full(users.size, full, dtype=np.int64)
    if shown is not None:
        steps = np.array([n for n in _LENGTHS if n < full] + [full])
        length = steps[np.minimum(np.searchsorted(steps, _needed(shown)), steps.size - 1)]
    start = np.concatenate([[0], np.cumsum(length)])
    posts = np.full(int(start[-1]), -1, dtype=np.int32)
    sources = np.zeros(posts.size, dtype=np.uint8)

    def rank(
        places: NDArray[np.intp], view: View, ranker: Ranker | None, width: int, block: slice
    ) -> None:
        members = users[places[block]]
        ranked = np.full((members.size, width), -1, dtype=np.int32)
        by = np.zeros(ranked.shape, dtype=np.uint8)
        if ranker is None:
            depth = np.full(members.size, width, dtype=np.int32)
            ranked = _by_house(seen, view, members, depth, width)
        elif k := min(width, int(view.candidates.sum())):
            ranked[:, :k], by[:, :k] = ranker.rank(members, k, view.candidates, seen)
        _spread(start[places[block]], ranked, by, posts, sources)

    with single_threaded_blas():  # once, since each model would set and lift the limit again
        for view, ranker, part in zip(views, rankers, scene.cohorts(users), strict=True):
            places = np.arange(users.size)[part]
            for width in np.unique(length[places]):
                alike = places[length[places] == width]
                work = partial(rank, alike, view, ranker, int(width))
                over_blocks(work, alike.size, threads, _CHUNK)

    # Some will see so much today that it is written over what they had seen by the morning.
    forgetful = np.zeros(scene.people.n, dtype=np.bool_)
    if shown is not None:
        by_night = seen.end[users] - seen.start[users] + shown
        forgetful[users] = by_night > scene.world.platform.seen_memory
    kept = _copied(seen, np.flatnonzero(forgetful), scene.people.n)

    def deepened(some: NDArray[np.int64]) -> Lists:
        ranked = np.empty((some.size, full), dtype=np.int32)
        by = np.empty(ranked.shape, dtype=np.uint8)
        for which, by_then in ((~forgetful[some], seen), (forgetful[some], kept)):
            if which.any():
                again = rank_morning(scene, by_then, views, rankers, some[which])
                ranked[which], by[which] = (
                    again.posts.reshape(-1, full),
                    again.sources.reshape(-1, full),
                )
        return Lists.of_rows(ranked, by)

    return Ranked(row, start, posts, sources, deepened)


def _copied(seen: Seen, users: NDArray[np.int64], n_people: int) -> Seen:
    """What some people have seen so far, whatever they see later; nothing of all others."""
    start, end = (np.zeros(n_people, dtype=np.int64) for _ in range(2))
    number = seen.end[users] - seen.start[users]
    end[users] = np.cumsum(number)
    start[users] = end[users] - number
    items = np.empty(int(number.sum()), dtype=np.int32)
    _gather(seen.start[users], seen.items, start[users], end[users], items)
    return Seen(start, end, items)


def serve(
    scene: Scene,
    states: UserStates,
    view: View,
    request: Request,
    ranked: Ranked | None,
    threads: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Makes feeds: personal rankings, blended with the platform's own slots.

    Args:
        scene, states: the platform.
        view: what the cohort is served from.
        request: the feeds that are asked for.
        ranked: the morning's rankings; None to let the house rank now.
        threads: number of threads, such as 2.

    Returns:
        int32 (n, ranks) rows of posts, -1 past the depth or where nothing is left, and uint8
        (n, ranks) their sources.
    """
    (users, depth, ranks, when), platform, seen = request, scene.world.platform, states.shown()
    pattern = slot_pattern(platform.slots, ranks)
    full_length = platform.visit_ranks + _SPARE
    feeds = np.empty((users.size, ranks), dtype=np.int32)
    sources = np.zeros(feeds.shape, dtype=np.uint8)

    def fill(block: slice) -> None:
        mix(lists(block, full=False), block)
        short = feeds[block][np.arange(depth[block].size), depth[block] - 1] < 0
        if ranked is not None and short.any():
            short &= ranked.cut(users[block], full_length)
        if short.any():
            rows = np.arange(users.size)[block][short]
            mix(lists(rows, full=True), rows)

    def lists(rows: slice | NDArray[np.intp], *, full: bool) -> Lists:
        if ranked is not None:
            return ranked.deepened(users[rows]) if full else ranked.of(users[rows])
        spare = _SPARE if full else _FEW
        deeper = depth[rows] + np.int32(spare)
        personal = _by_house(seen, view, users[rows], deeper, ranks + spare)
        return Lists.of_rows(personal, np.zeros(personal.shape, dtype=np.uint8))

    def mix(personal: Lists, rows: slice | NDArray[np.intp]) -> None:
        filled, by = feeds[rows], sources[rows]  # copies if `rows` are no slice
        blend(
            personal,
            states.follows,
            view.affinity,
            seen,
            view.shelves,
            scene.posts.creator,
            platform.per_creator,
            platform.look_alike,
            scene.people.address,
            pattern,
            np.uint64(scene.seed),
            when,
            users[rows],
            depth[rows],
            filled,
            by,
        )
        if not isinstance(rows, slice):
            feeds[rows], sources[rows] = filled, by

    over_blocks(fill, users.size, threads, block_size(max(scene.posts.n, scene.people.n)))
    return feeds, sources


def serve_audience(
    scene: Scene,
    states: UserStates,
    views: tuple[View, ...],
    audience: Audience,
    day: int,
    ranked: Ranked | None,
) -> Served:
    """The feeds that the audience would get first thing in the morning, come or not."""
    users, k = audience.users, audience.k
    feeds = np.empty((users.size, k), dtype=np.int32)
    sources = np.zeros(feeds.shape, dtype=np.uint8)
    for view, part in zip(views, scene.cohorts(users), strict=True):
        depth = np.full(users[part].size, k, dtype=np.int32)
        request = Request(users[part], depth, k, int(moment(day)))
        feeds[part], sources[part] = serve(scene, states, view, request, ranked)
    return Served(users, feeds, sources)


def _by_house(
    seen: Seen,
    view: View,
    users: NDArray[np.int64],
    depth: NDArray[np.int32],
    width: int,
) -> NDArray[np.int32]:
    """Personal rankings by the house policy, int32 (n, width); -1 past each depth."""
    ranking = np.empty((users.size, width), dtype=np.int32)
    house.rank(view.affinity, seen, view.shelves, view.posts.key, users, depth, ranking)
    return ranking


def _needed(shown: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long a list had better be. Other sources fill some slots, and take posts of the list.

    Where it is too short, it is made anew; so this number changes no feed.
    """
    return shown + 4


@njit(nogil=True, cache=True)
def _gather(first, items, start, end, out):  # type: ignore[no-untyped-def]
    """Copies the items from `first` on to `out`, from `start` to `end`, of each person."""
    for i in range(first.size):
        out[start[i] : end[i]] = items[first[i] : first[i] + end[i] - start[i]]


@njit(nogil=True, cache=True)
def _spread(start, ranked, by, posts, sources):  # type: ignore[no-untyped-def]
    """Writes rankings, rows of two arrays, to where each begins in `posts` and `sources`."""
    for row in range(ranked.shape[0]):
        for place in range(ranked.shape[1]):
            posts[start[row] + place] = ranked[row, place]
            sources[start[row] + place] = by[row, place]
