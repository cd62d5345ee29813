"""User-steps a second of T-RECS' content filtering, which is refitted each step.

Arguments: people, posts.
"""

import sys
import time

from said import say
from trecs.models import ContentFiltering

SLATE, STEPS = 10, 2


def main(people: int, posts: int) -> None:
    model = ContentFiltering(people, posts, num_attributes=20, num_items_per_iter=SLATE, seed=0)
    model.run(1, disable_tqdm=True)
    began = time.process_time()
    model.run(STEPS, disable_tqdm=True)
    seconds = time.process_time() - began
    say("T-RECS 0.2.1, content", people * STEPS, seconds, slate=SLATE, steps=STEPS)


main(*map(int, sys.argv[1:]))
