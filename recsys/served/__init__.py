"""Two frames of served feeds, compared."""

from recsys.served.compare import FeedComparison, compare_feeds

__all__ = ["FeedComparison", "compare_feeds"]
