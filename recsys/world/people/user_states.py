"""The state of users, and how visits change it: what they saw, clicked and follow, skill, taste.

Each row of the arrays in `UserStates` belongs to one person, so threads that work on the visits of
different people never write to the same place.
"""
# mypy: disallow-untyped-decorators=False

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Behaviour
from recsys.logs.log import Seen
from recsys.world.people.draws import stacked
from recsys.world.people.population import MAX_FOLLOWS, People

_MOST_COUNTED = 2**16 - 1
"""Most clicks and looks at posts of one topic × language that are counted for a user."""


class UserStates(NamedTuple):
    """State of people that changes from visit to visit; one row per person."""

    seen: NDArray[np.int32]
    """(n, memory) ring buffer of the posts shown last."""
    n_seen: NDArray[np.int64]
    """Number of posts shown so far, those that have left the buffer included."""
    clicks: NDArray[np.uint16]
    """(n, buckets) clicks by topic × language, at most 65,535: what the house knows of a user."""
    looks: NDArray[np.uint16]
    """(n, buckets) posts shown, by topic × language, at most 65,535."""
    follows: NDArray[np.int32]
    """(n, MAX_FOLLOWS) ring buffer of followed creators: rows of people, -1 where there is none."""
    n_follows: NDArray[np.int32]
    """Number of creators followed so far, those that have left the buffer included."""
    seen_today: NDArray[np.uint8]
    """(n, topics) posts seen today, by topic."""
    taste: NDArray[np.float32]
    """(n, topics), sums to 1."""
    skill: NDArray[np.float32]
    """(n, 2) reading skill in zh and en."""
    satisfaction: NDArray[np.float32]
    """Running mean of the utility of visits; NaN before the first."""
    visits: NDArray[np.int32]
    """Number of visits so far."""
    gone: NDArray[np.bool_]
    """Whether the person has left for good, out of dissatisfaction."""

    @classmethod
    def fresh(cls, people: People, follows: NDArray[np.int32], memory: int, buckets: int) -> Self:
        """The state of people before their first visit.

        Args:
            people: the people.
            follows: int32 (n, MAX_FOLLOWS), whom they follow.
            memory: number of posts that are remembered as shown, such as 1024.
            buckets: number of pairs of topic and language, such as 48.
        """
        n = people.n
        return cls(
            seen=np.full((n, memory), -1, dtype=np.int32),
            n_seen=np.zeros(n, dtype=np.int64),
            clicks=np.zeros((n, buckets), dtype=np.uint16),
            looks=np.zeros((n, buckets), dtype=np.uint16),
            follows=follows.copy(),
            n_follows=(follows >= 0).sum(axis=1).astype(np.int32),
            seen_today=np.zeros((n, people.taste.shape[1]), dtype=np.uint8),
            taste=people.taste.copy(),
            skill=people.skill.copy(),
            satisfaction=np.full(n, np.nan, dtype=np.float32),
            visits=np.zeros(n, dtype=np.int32),
            gone=np.zeros(n, dtype=np.bool_),
        )

    def shown(self) -> Seen:
        """The posts shown to each person, as far as they are remembered; a view, not a copy."""
        memory = self.seen.shape[1]
        start = np.arange(self.n_seen.size, dtype=np.int64) * memory
        return Seen(start, start + np.minimum(self.n_seen, memory), self.seen.reshape(-1))

    def first(self, n: int) -> "UserStates":
        """A copy of the first n rows."""
        return UserStates._make([array[:n].copy() for array in self])

    def overwrite_first(self, others: "UserStates") -> None:
        """Overwrites the first rows with those of others."""
        for name in self._fields:
            target, source = getattr(self, name), getattr(others, name)
            target[: source.shape[0]] = source

    def with_newcomers(self, newcomers: People) -> "UserStates":
        """A copy with newcomers, who have no visits and no follows, in rows behind the others."""
        if newcomers.n == 0:
            return self.first(self.gone.size)
        follows = np.full((newcomers.n, MAX_FOLLOWS), -1, dtype=np.int32)
        fresh = UserStates.fresh(newcomers, follows, self.seen.shape[1], self.clicks.shape[1])
        return stacked(self, fresh)


class State(NamedTuple):
    """Counts of people and their satisfaction at the end of a day; incumbents, then newcomers."""

    members: NDArray[np.int64]
    """(2,) number of people who have arrived and not departed, whether or not they still come."""
    there: NDArray[np.int64]
    """(2,) number of these who had not left dissatisfied before that day."""
    left: NDArray[np.int64]
    """(2,) number of people who have left dissatisfied so far, that night included."""
    satisfaction: NDArray[np.float64]
    """(2,) mean satisfaction of those there who have visited; NaN if nobody has."""

    @classmethod
    def of(
        cls, people: People, states: UserStates, incumbents: int, day: int, gone: NDArray[np.bool_]
    ) -> Self:
        """The state at the end of a day.

        Args:
            people: all people.
            states: their state, after it is decided who leaves that night.
            incumbents: number of incumbents.
            day: the day, such as 3.
            gone: bool (n_people,), who had left dissatisfied before that day.
        """
        member = (people.arrival <= day) & (day < people.departure)
        there = member & ~gone
        rated = there & ~np.isnan(states.satisfaction)
        cohorts = slice(0, incumbents), slice(incumbents, None)

        def count(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
            return np.array([mask[rows].sum() for rows in cohorts])

        total = [states.satisfaction[r][rated[r]].sum(dtype=np.float64) for r in cohorts]
        n = count(rated)
        mean = np.where(n > 0, np.array(total) / np.maximum(n, 1), np.nan)
        return cls(count(member), count(there), count(states.gone), mean)


class Learning(NamedTuple):
    """Coefficients by which visits change users, as the kernel takes them; see `Behaviour`."""

    language: float
    taste: float
    memory: float
    unfamiliarity: float
    familiar_visits: float

    @classmethod
    def of(cls, behaviour: Behaviour) -> Self:
        """From the config."""
        return cls(
            behaviour.language_learning,
            behaviour.taste_drift,
            behaviour.satisfaction_memory,
            behaviour.unfamiliarity,
            behaviour.familiar_visits,
        )


@njit(nogil=True, cache=True)
def remember(  # type: ignore[no-untyped-def]
    states, people, posts, buckets, learning, users, feeds, actions, rewards, clicked, followed
):
    """Writes a round of visits into the users' state.

    Args:
        states: UserStates; changed.
        people: People.
        posts: PostTable.
        buckets: int32 (n_posts,), topic × language of each post.
        learning: Learning.
        users: int (n,), rows of people, each at most once.
        feeds: int32 (n, ranks), rows of posts, -1 from the end of the visit on.
        actions: uint16 (n, ranks), a bit for each kind of event.
        rewards: float32 (n,), the utility of each visit.
        clicked, followed: the bits of these kinds.
    """
    memory = states.seen.shape[1]
    topic_of, language_of, creator_of = posts.topic, posts.language, posts.creator
    for visit in range(feeds.shape[0]):
        user, feed, done = users[visit], feeds[visit], actions[visit]
        seen, clicks, follows = states.seen[user], states.clicks[user], states.follows[user]
        looks = states.looks[user]
        skill, taste = states.skill[user], states.taste[user]
        n_seen, n_follows = states.n_seen[user], states.n_follows[user]
        for rank in range(feed.size):
            post = feed[rank]
            if post < 0:
                break
            seen[n_seen % memory] = post
            n_seen += 1
            bucket = buckets[post]
            if looks[bucket] < _MOST_COUNTED:
                looks[bucket] += 1
            if done[rank] & clicked:
                if clicks[bucket] < _MOST_COUNTED:
                    clicks[bucket] += 1
                _learn(skill, taste, learning, topic_of[post], language_of[post])
            if done[rank] & followed:
                creator = creator_of[post]
                if not (follows == creator).any():
                    follows[n_follows % follows.size] = creator
                    n_follows += 1
        states.n_seen[user], states.n_follows[user] = n_seen, n_follows
        reward = rewards[visit]
        if people.foreign[user]:
            fading = np.exp(-states.visits[user] / learning.familiar_visits)
            reward -= learning.unfamiliarity * fading
        before = states.satisfaction[user]
        if np.isnan(before):
            before = reward
        states.satisfaction[user] = learning.memory * before + (1 - learning.memory) * reward
        states.visits[user] += 1


@njit(nogil=True, cache=True)
def _learn(skills, tastes, learning, topic, language):  # type: ignore[no-untyped-def]
    """A clicked post teaches its language and pulls taste toward its topic, in place."""
    skill = skills[language]
    skills[language] = skill + learning.language * (1 - skill)
    if learning.taste > 0:
        total = np.float32(0.0)
        for other in range(tastes.size):
            taste = tastes[other]
            target = 1.0 if other == topic else 0.0
            taste += learning.taste * (1 - taste) * (target - taste)
            tastes[other] = taste
            total += taste
        tastes /= total


def leave(
    states: UserStates,
    behaviour: Behaviour,
    average: float,
    here: NDArray[np.bool_],
    u: NDArray[np.float64],
) -> None:
    """Decides who leaves for good tonight: the hazard falls with satisfaction.

    Args:
        states: their `gone` is changed.
        behaviour: its `leaving` and `leaving_slope` are base and slope of the hazard's logit.
        average: satisfaction at which the hazard is the base, such as .1. Users who have not
            visited yet count as having it.
        here: bool (n_people,), who has arrived and not departed.
        u: float64 (n_people,), one uniform per person.
    """
    satisfaction = np.where(np.isnan(states.satisfaction), average, states.satisfaction)
    logit = behaviour.leaving - behaviour.leaving_slope * (satisfaction - average)
    states.gone[:] |= here & (np.log(u) - np.log1p(-u) < logit)
