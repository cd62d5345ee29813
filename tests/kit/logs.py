"""A moment, and two events, of which tests make logs."""

from datetime import datetime

NOON = datetime(2025, 1, 12, 12)
EPOCH = 1_736_683_200  # NOON, seconds


def pair(**columns):
    """Two events, with some columns."""
    return {"user_id": [1, 2], "item_id": [7, 8], **columns}
