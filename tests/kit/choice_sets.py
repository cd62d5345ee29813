"""Worlds in which feeds are chosen from candidate sets, so that what newcomers change is known.

`python -m tests.kit.choice_sets 200` prints how near a trial, the choice model and a count come to
the truth in so many worlds.
"""

import sys
from dataclasses import dataclass

import numpy as np

from recsys.estimates import Sets, Told, between_people, change, refilled
from recsys.statistics.arrays import Floats

_REDRAWS = 30
"""How often feeds are drawn again to know what is expected."""


@dataclass(frozen=True)
class ChoiceWorld:
    """Users, and candidates that differ in language and quality.

    Who likes English is shown more of it, newcomers' posts among it, and clicks less on the whole.

    Attributes:
        seed: draws everything.
        users: number of users, each with one look.
        candidates: number of candidates of a look, of which `newcomers` are by newcomers.
        slots: number that is shown.
        newcomers: share of candidates that are by newcomers.
        curved: what the square of the quality of English posts adds to a score. The features do not
            hold it, so that the model is wrong where it is not 0.
    """

    seed: int
    users: int = 1000
    candidates: int = 20
    slots: int = 1
    newcomers: float = 0.15
    curved: float = 0.0

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        shape = (self.users, self.candidates)
        new = rng.random(shape) < self.newcomers
        english = rng.random(shape) < np.where(new, 0.9, 0.25)
        likes = rng.normal(size=(self.users, 1))
        quality = rng.normal(size=shape)
        score = likes * english + 0.7 * quality + 0.5 * new + self.curved * quality**2 * english
        drawn = {"new": new, "english": english, "likes": likes, "quality": quality}
        for name, value in {**drawn, "score": score, "rng": rng}.items():
            object.__setattr__(self, name, value)

    def feeds(self, *, without: bool) -> np.ndarray:
        """Int (users, slots): which candidates are shown, by a draw of tastes."""
        noise = self.rng.gumbel(size=self.score.shape)
        utility = np.where(without & self.new, -np.inf, self.score + noise)
        return np.argsort(-utility, axis=1)[:, : self.slots]

    def of(self, feeds, what: str) -> Floats:
        """Float (users, slots): whether a post is in English, or how probably it is clicked."""
        at = np.arange(self.users)[:, None], feeds
        if what == "english":
            return self.english[at].astype(float)
        depth = np.log(np.arange(1, self.slots + 1))
        liked = self.likes * self.english[at] + 0.5 * self.quality[at]
        return 1 / (1 + np.exp(1 + 1.5 * self.likes - liked + 0.5 * depth))

    def truth(self, what: str) -> float:
        """What newcomers' posts change of the mean over slots, as it is expected."""
        pairs = [[self.feeds(without=off) for off in (False, True)] for _ in range(_REDRAWS)]
        return float(np.mean([self.of(a, what).mean() - self.of(b, what).mean() for a, b in pairs]))

    def log(self, feeds) -> tuple[Sets, dict[str, Floats]]:
        """The candidate sets of feeds, and what is averaged."""
        rank, clicks = np.zeros(self.score.shape, dtype=np.int64), np.full(self.score.shape, np.nan)
        at = np.arange(self.users)[:, None], feeds
        rank[at] = np.arange(1, self.slots + 1)
        clicks[at] = self.rng.random(feeds.shape) < self.of(feeds, "clicks")
        likes = np.broadcast_to(self.likes, rank.shape)
        known = (likes * self.english, self.quality, self.english, likes, likes * self.new)
        user = np.repeat(np.arange(self.users), self.candidates)
        features = np.stack(known, axis=-1).reshape(user.size, len(known))
        sets = Sets(user, user, rank.ravel(), self.new.ravel(), features)
        return sets, {"english": self.english.ravel().astype(float), "clicks": clicks.ravel()}

    def trial(self, feeds, sets: Sets, values: Floats, what: str) -> Told:
        """Half of the users, by lot, are kept from newcomers' posts."""
        held = self.rng.random(self.users) < 0.5
        instead = self.feeds(without=True)
        mean = values[sets.rank > 0].reshape(feeds.shape).mean(axis=1)
        clicked = self.rng.random(feeds.shape) < self.of(instead, what)
        return between_people(np.where(held, clicked.mean(axis=1), mean), held)[0]


def told(world: ChoiceWorld) -> dict[str, dict[str, Told]]:
    """What each estimator tells of each value; the truth and the plug-in have no error."""
    feeds = world.feeds(without=False)
    sets, of = world.log(feeds)
    shown, found = sets.rank > 0, {}
    for (name, values), model in zip(of.items(), refilled(sets, list(of.values())), strict=True):
        found[name] = {
            "truth": Told(world.truth(name)),
            "trial": world.trial(feeds, sets, values, name),
            "choice model": model.told,
            "plug-in": Told(model.plug_in),
            "count": change(sets.user[shown], sets.by_newcomers[shown], values[shown]),
        }
    return found


def quality(worlds: int, **settings) -> list[tuple[str, str, Floats]]:
    """For each value and estimator: truth, told, bias, its error, deviation, se and coverage."""
    all_told = [told(ChoiceWorld(seed, **settings)) for seed in range(worlds)]
    rows = []
    for name in all_told[0]:
        truth = np.array([one[name]["truth"].value for one in all_told])
        for estimator in ("trial", "choice model", "plug-in", "count"):
            mine = [one[name][estimator] for one in all_told]
            value, se, low, high = np.array([(e.value, e.se, e.low, e.high) for e in mine]).T
            error = value - truth
            spread = error.std(ddof=1)
            held = (low <= truth) & (truth <= high)
            figures = (truth.mean(), value.mean(), error.mean(), spread / worlds**0.5, spread)
            rows.append((name, estimator, np.array([*figures, se.mean(), held.mean()])))
    return rows


def _say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for settings in ({}, {"curved": 0.5}, {"slots": 10, "candidates": 60}):
        _say(settings, "truth, told, bias, error of the bias, deviation, se, coverage")
        for name, estimator, figures in quality(int(sys.argv[1]), **settings):
            _say(f"  {name:8} {estimator:13}", *(f"{figure:8.4f}" for figure in figures))
