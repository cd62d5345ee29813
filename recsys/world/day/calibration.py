"""The intercept of the click logit: solved before the first visit, mended through the burn-in."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.config.world import Platform
from recsys.core.errors import ConfigError
from recsys.world.day.rounds import moods_of
from recsys.world.day.serving import Request
from recsys.world.day.views import View
from recsys.world.frames import Round
from recsys.world.people import behaviour
from recsys.world.people.readers import Readers
from recsys.world.scene import Scene


class Tally(NamedTuple):
    """What a day's visits came to, in expectation: less noisy than the clicks that were drawn."""

    clicks: float = 0.0
    """Expected number."""
    shown: int = 0
    """Impressions."""

    def plus(self, platform: Platform, done: Round) -> "Tally":
        """With one more round of visits."""
        looks = np.cumsum([0.0, *behaviour.examination(platform)])
        ranks = (done.feeds >= 0).sum(axis=1)
        clicks = float(done.rewards @ looks[ranks])
        return Tally(self.clicks + clicks, self.shown + int(ranks.sum()))


def first_intercept(
    scene: Scene,
    readers: Readers,
    view: View,
    request: Request,
    feeds: NDArray[np.int32],
) -> float:
    """A first intercept, from some visits; `mended` is what becomes of it.

    Args:
        scene, readers, view: the platform on its first morning.
        request: who would come.
        feeds: int32 (n, ranks), what they would be served.

    Raises:
        ConfigError: where nobody looks at enough to click as often as the platform's readers do.
    """
    platform, plain = scene.world.platform, view.with_intercept(0.0).conditions
    x = behaviour.logits(scene.people, readers, view.notes, view.buzz, plain, request.users, feeds)
    x += moods_of(scene, request)[:, None].astype(np.float32)
    try:
        return behaviour.solve_intercept(x, behaviour.examination(platform), platform.click_rate)
    except ValueError as error:
        raise ConfigError(f"world.platform: {error}") from error


def mended(platform: Platform, intercept: float, tally: Tally, day: int) -> float:
    """The intercept, moved by what a burn-in day's click rate, in log-odds, was off.

    A day's rate hangs on the few notes at the top that day, so later steps are averaged.

    Args:
        platform: with its click rate.
        intercept: so far.
        tally: of the day.
        day: of the burn-in, from 0.
    """
    rate, target = (tally.clicks + 0.5) / (tally.shown + 1), platform.click_rate
    off = math.log(target / (1 - target)) - math.log(rate / (1 - rate))
    return intercept + off / max(day, 1)
