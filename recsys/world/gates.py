"""Channels: the five gates through which newcomers can reach incumbents' feeds.

Every path passes exactly one gate. With a gate closed, incumbents see what they would see in the
twin: the world of the same seed that nobody joins. With all closed their feeds are the twin's.
"""

from typing import Literal

__all__ = ["GATES", "Gate"]

Gate = Literal["supply", "training", "exposure", "adaptation", "behaviour"]

GATES: dict[Gate, str] = {
    "supply": "newcomers' notes in incumbents' personal and following slots",
    "training": "newcomers' events in what is fitted to serve incumbents",
    "exposure": "newcomers' notes and clicks in trending, fresh slots and buzz",
    "adaptation": "answers to newcomers: posts in their language, subtitles, translation",
    "behaviour": "what incumbents do, learn, like, follow, and whether they stay",
}
