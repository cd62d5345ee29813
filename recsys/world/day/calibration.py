"""The intercept of the click logit: solved before the first visit, corrected in the burn-in."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import Platform
from recsys.core.errors import ConfigError
from recsys.world.day.rounds import moods_of
from recsys.world.day.serving import Request
from recsys.world.day.values import Round
from recsys.world.day.views import View
from recsys.world.people import behaviour
from recsys.world.people.user_states import UserStates
from recsys.world.scene import Scene


class Tally(NamedTuple):
    """Expected clicks and impressions of a day's visits; less noisy than the clicks drawn."""

    clicks: float = 0.0
    """Expected number of clicks."""
    shown: int = 0
    """Number of impressions."""

    def plus(self, platform: Platform, done: Round) -> "Tally":
        """The tally with one more round of visits."""
        looks = np.cumsum([0.0, *behaviour.examination(platform)])
        ranks = behaviour.lengths(done.feeds)
        clicks = float(done.rewards @ looks[ranks])
        return Tally(self.clicks + clicks, self.shown + int(ranks.sum()))


def first_intercept(
    scene: Scene,
    states: UserStates,
    view: View,
    request: Request,
    feeds: NDArray[np.int32],
) -> float:
    """A first intercept from feeds that some people would be served; `corrected` improves it.

    Args:
        scene, states, view: the platform on its first morning.
        request: who would come.
        feeds: int32 (n, ranks), rows of posts that they would be served, -1 where empty.

    Raises:
        ConfigError: people look at too few impressions to reach the platform's click rate.
    """
    platform, plain = scene.world.platform, view.with_intercept(0.0).conditions
    x = behaviour.logits(scene.people, states, view.posts, view.buzz, plain, request.users, feeds)
    x += moods_of(scene, request)[:, None].astype(np.float32)
    try:
        return behaviour.solve_intercept(x, behaviour.examination(platform), platform.click_rate)
    except ValueError as error:
        raise ConfigError(f"world.platform: {error}") from error


def corrected(platform: Platform, intercept: float, tally: Tally, day: int) -> float:
    """The intercept after a day of the burn-in: moved toward the platform's click rate.

    The error of the day's rate, in log-odds, depends on the few posts at the top of that day. So
    the step is the error divided by the number of the day, which averages over days.

    Args:
        platform: gives the click rate that is aimed at.
        intercept: the intercept so far, such as -2.5.
        tally: the day's tally.
        day: number of the day in the burn-in, from 0 on.
    """
    rate, target = (tally.clicks + 0.5) / (tally.shown + 1), platform.click_rate
    error = math.log(target / (1 - target)) - math.log(rate / (1 - rate))
    return intercept + error / max(day, 1)
