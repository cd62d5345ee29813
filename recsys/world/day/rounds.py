"""A round: the first, second or later visits of people of one cohort, who are served and respond.

All of a round are served before any of them responds, so that the order of people does not count.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.core.noise import moment
from recsys.world.day.blocks import block_size, over_blocks
from recsys.world.day.serving import Request
from recsys.world.day.views import View
from recsys.world.people import behaviour
from recsys.world.people.behaviour import CLICKED, FOLLOWED
from recsys.world.people.readers import Learning, Readers, remember
from recsys.world.scene import Scene


def request_of(scene: Scene, users: NDArray[np.int64], day: int, tick: int, visit: int) -> Request:
    """How far each of these people scrolls on their visit number `visit` of the day."""
    platform, when = scene.world.platform, int(moment(day, tick=tick, visit=visit))
    rho, address = scene.world.behaviour.depth_rho, scene.people.address[users]
    depth = behaviour.scroll_depth(platform, rho, scene.seed, address, when)
    return Request(users, depth, platform.visit_ranks, when)


def moods_of(scene: Scene, request: Request) -> NDArray[np.float64]:
    """Logits that all notes of each visit share, float64 (n,)."""
    address = scene.people.address[request.users]
    return behaviour.moods(scene.world.behaviour.mood, scene.seed, address, request.when)


def respond(
    scene: Scene,
    readers: Readers,
    view: View,
    request: Request,
    feeds: NDArray[np.int32],
    moods: NDArray[np.float64],
    threads: int = 1,
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """What people do with their feeds.

    Args:
        scene: the platform.
        readers: changed: what they see, click and follow is written into them.
        view: what the cohort was served from.
        request: whose feeds.
        feeds: int32 (n, ranks), rows of notes, -1 where empty.
        moods: float64 (n,), logits that all notes of a visit share.
        threads: how many share the work.

    Returns:
        Actions, uint16 (n, ranks), a bit for each kind of event; and what each visit was worth,
        float32 (n,), clicks expected per look.
    """
    users, world = request.users, scene.world
    examine, learning = behaviour.examination(world.platform), Learning.of(world.behaviour)
    actions = np.zeros(feeds.shape, dtype=np.uint16)
    rewards = np.zeros(users.size, dtype=np.float32)

    def act(block: slice) -> None:
        behaviour.respond(
            scene.people,
            readers,
            view.notes,
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
            readers,
            scene.people,
            view.notes,
            view.order.buckets,
            learning,
            users[block],
            feeds[block],
            actions[block],
            rewards[block],
            CLICKED,
            FOLLOWED,
        )

    over_blocks(act, users.size, threads, block_size(scene.notes.n))
    return actions, rewards
