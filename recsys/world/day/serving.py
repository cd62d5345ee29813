"""From rankings to feeds: personal rankings are blended with the platform's own slots.

The house ranks again for each visit. A recommender ranks once, in the morning, for all who will
come that day; posts that they have seen since are left out when feeds are blended.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.core.noise import moment
from recsys.logs.log import Seen
from recsys.world.arms import Audience
from recsys.world.day.blocks import block_size, over_blocks
from recsys.world.day.fits import Rankers
from recsys.world.day.values import Served
from recsys.world.day.views import View
from recsys.world.people.user_states import UserStates
from recsys.world.platform import house
from recsys.world.platform.blend import blend, slot_pattern
from recsys.world.scene import Scene

_SPARE = 48
"""Posts ranked beyond those that a visit shows, because other slots or the cap per creator take
some."""


class Request(NamedTuple):
    """Feeds that people of one cohort ask for at the same time."""

    users: NDArray[np.int64]
    """(n,) rows of people, each at most once."""
    depth: NDArray[np.int32]
    """(n,) number of posts that each person is shown."""
    ranks: int
    """Width of the feeds, at least the largest depth."""
    when: int
    """The visit's `recsys.core.noise.moment`, which addresses its draws."""


class Ranked(NamedTuple):
    """Personal rankings of those who come on a day or are in the audience."""

    row: NDArray[np.int64]
    """(n_people,) the row of each person's ranking, -1 where there is none."""
    posts: NDArray[np.int32]
    """(n, width) rows of posts, -1 where nothing is left."""
    sources: NDArray[np.uint8]
    """(n, width) positions in `recsys.logs.schema.SOURCES`."""


def rank_morning(
    scene: Scene,
    states: UserStates,
    views: tuple[View, ...],
    rankers: Rankers,
    users: NDArray[np.int64],
) -> Ranked:
    """Personal rankings by the morning's fits, or by the house before the first fit.

    Args:
        scene, states: the platform.
        views: what each of `Scene.cohorts` is served from.
        rankers: the fits for each of them.
        users: int (n,), sorted rows of people.
    """
    width, seen = scene.world.platform.visit_ranks + _SPARE, states.shown()
    row = np.full(scene.people.n, -1, dtype=np.int64)
    row[users] = np.arange(users.size)
    posts = np.full((users.size, width), -1, dtype=np.int32)
    sources = np.zeros(posts.shape, dtype=np.uint8)
    for view, ranker, part in zip(views, rankers, scene.cohorts(users), strict=True):
        members = users[part]
        if members.size == 0:
            continue
        if ranker is None:
            depth = np.full(members.size, width, dtype=np.int32)
            posts[part] = _by_house(seen, view, members, depth, width)
        else:
            k = min(width, int(view.candidates.sum()))
            posts[part, :k], sources[part, :k] = ranker.rank(members, k, view.candidates, seen)
    return Ranked(row, posts, sources)


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
    feeds = np.empty((users.size, ranks), dtype=np.int32)
    sources = np.zeros(feeds.shape, dtype=np.uint8)

    def fill(block: slice) -> None:
        if ranked is None:
            deeper = depth[block] + np.int32(_SPARE)
            personal = _by_house(seen, view, users[block], deeper, ranks + _SPARE)
            personal_sources = np.zeros(personal.shape, dtype=np.uint8)
        else:
            rows = ranked.row[users[block]]
            personal, personal_sources = ranked.posts[rows], ranked.sources[rows]
        blend(
            personal,
            personal_sources,
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
            users[block],
            depth[block],
            feeds[block],
            sources[block],
        )

    over_blocks(fill, users.size, threads, block_size(scene.posts.n))
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
