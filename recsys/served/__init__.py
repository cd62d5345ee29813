"""Compares two frames of feeds that were served: `recsys.compare_feeds`."""

from recsys.served.compare import FeedComparison, compare_feeds

__all__ = ["FeedComparison", "compare_feeds"]
