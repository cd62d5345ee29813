"""Interaction logs: columns, times, cleaning, reading, newcomers, hold-out."""

from recsys.logs.log import InteractionLog

__all__ = ["InteractionLog"]
