"""How much memory a world takes, so that one that cannot fit is refused before it starts."""

from collections.abc import Mapping

MOST_PEOPLE = 5_000_000
"""Most incumbents, and most newcomers, of a world."""
MOST_GB = 64.0
"""Largest world, by the estimate of `gigabytes`."""

_PER_PERSON, _PER_POST, _PER_SLOT = 200, 100, 80
"""Bytes of a person, of a post, and of a creator's day of which the number of posts is drawn,
beside what depends on the config."""
_PER_DAY = 16
"""Most posts of a creator on one day."""


def gigabytes(sizes: Mapping[str, float]) -> float:
    """A rough estimate of the memory that one arm of a world takes.

    Args:
        sizes: people, creators (of the incumbents), newcomers, days (on which posts are made),
            posts_a_day (of a creator), posts_a_head (of a newcomer), seen_memory, factors, topics.

    >>> world = {"people": 2080, "creators": 200, "newcomers": 80, "days": 75, "posts_a_day": 1,
    ...     "posts_a_head": 1, "seen_memory": 1024, "factors": 16, "topics": 24}
    >>> round(gigabytes(world), 3)
    0.012
    """
    numbers = 4 * (sizes["seen_memory"] + sizes["factors"] + 2 * sizes["topics"])
    people = sizes["people"] * (_PER_PERSON + numbers)
    slots = (sizes["creators"] + sizes["newcomers"]) * sizes["days"]
    posts = sizes["creators"] * sizes["days"] * min(sizes["posts_a_day"], _PER_DAY)
    posts += sizes["newcomers"] * sizes["posts_a_head"]
    return (people + slots * _PER_SLOT + posts * (_PER_POST + 4 * sizes["factors"])) / 2**30
