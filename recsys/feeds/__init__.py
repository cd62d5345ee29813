"""From personal rankings to feeds: following, trending and fresh notes take their slots."""

from recsys.feeds.blend import (
    FOLLOWING,
    FRESH,
    PERSONAL,
    TRENDING,
    Shelves,
    blend,
    slot_pattern,
)

__all__ = [
    "FOLLOWING",
    "FRESH",
    "PERSONAL",
    "TRENDING",
    "Shelves",
    "blend",
    "slot_pattern",
]
