"""A round: the first visits, or second visits, and so on, of one cohort in a tick.

All people of a round are served before any of them responds, so their order does not matter.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.core.noise import moment
from recsys.core.threads import over_blocks
from recsys.world.day.blocks import block_size
from recsys.world.day.serving import Request
from recsys.world.day.views import View
from recsys.world.people import behaviour
from recsys.world.people.behaviour import CLICKED, FOLLOWED
from recsys.world.people.user_states import Learning, UserStates, remember
from recsys.world.scene import Scene


def request_of(scene: Scene, users: NDArray[np.int64], day: int, tick: int, visit: int) -> Request:
    """The feeds that some people ask for: how far each scrolls is drawn.

    Args:
        scene: the platform.
        users: int (n,), rows of people of one cohort.
        day, tick: the time, such as 1 and 0.
        visit: number of the visit on that day, from 0 on.
    """
    platform, when = scene.world.platform, int(moment(day, tick=tick, visit=visit))
    rho, address = scene.world.behaviour.depth_rho, scene.people.address[users]
    depth = behaviour.scroll_depth(platform, rho, scene.seed, address, when)
    return Request(users, depth, platform.visit_ranks, when)


def moods_of(scene: Scene, request: Request) -> NDArray[np.float64]:
    """Float64 (n,): a logit for each visit that all its posts share, the user's mood."""
    address = scene.people.address[request.users]
    return behaviour.moods(scene.world.behaviour.mood, scene.seed, address, request.when)


def respond(
    scene: Scene,
    states: UserStates,
    view: View,
    request: Request,
    feeds: NDArray[np.int32],
    moods: NDArray[np.float64],
    threads: int = 1,
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Draws what people do with their feeds, and updates their state.

    Args:
        scene: the platform.
        states: changed: what they see, click and follow is recorded in them.
        view: what the cohort was served from.
        request: whose feeds they are.
        feeds: int32 (n, ranks), rows of posts, -1 from the end of the visit on.
        moods: float64 (n,), as `moods_of` returns them.
        threads: number of threads, such as 2.

    Returns:
        Actions, uint16 (n, ranks), a bit for each kind of event; and the utility of each visit,
        float32 (n,), expected clicks per look.
    """
    users, world = request.users, scene.world
    examine, learning = behaviour.examination(world.platform), Learning.of(world.behaviour)
    actions = np.zeros(feeds.shape, dtype=np.uint16)
    rewards = np.zeros(users.size, dtype=np.float32)

    def act(block: slice) -> None:
        behaviour.respond(
            scene.people,
            states,
            view.posts,
            view.buzz,
            view.conditions,
            examine,
            moods[block],
            np.uint64(scene.seed),
            request.when,
            users[block],
            feeds[block],
            actions[block],
            rewards[block],
        )
        remember(
            states,
            scene.people,
            view.posts,
            view.order.buckets,
            learning,
            users[block],
            feeds[block],
            actions[block],
            rewards[block],
            CLICKED,
            FOLLOWED,
        )

    over_blocks(act, users.size, threads, block_size(scene.posts.n))
    return actions, rewards
