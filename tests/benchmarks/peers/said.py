"""How a worker tells its figures: a JSON object on a line of its own."""

import json
from typing import Any


def say(by: str, count: float, seconds: float, **more: Any) -> None:
    """Prints a figure.

    Args:
        by: who did the work, such as `implicit als`.
        count: how many were done, such as user-steps.
        seconds: CPU seconds that they took.
        more: what else there is to say, such as `ndcg=.4`.
    """
    print(json.dumps({"by": by, "count": count, "seconds": seconds, **more}), flush=True)
