"""User-steps a second of a plain loop: factors, an exact top 10 for everybody, clicks by chance.

Arguments: people, posts.
"""

import sys
import time

import numpy as np
from said import say

SLATE, FACTORS, STEPS = 10, 32, 3


def main(people: int, posts: int) -> None:
    random = np.random.default_rng(0)
    users = random.normal(size=(people, FACTORS)).astype(np.float32)
    items = random.normal(size=(FACTORS, posts)).astype(np.float32)
    clicks = 0
    for step in range(STEPS + 1):
        if step == 1:
            began = time.process_time()
        for start in range(0, people, 512):
            scores = users[start : start + 512] @ items
            best = np.argpartition(-scores, SLATE, axis=1)[:, :SLATE]
            value = np.take_along_axis(scores, best, axis=1)
            order = np.argsort(-value, axis=1)
            value = np.take_along_axis(value, order, axis=1)
            clicks += int((random.random(value.shape) < 1 / (1 + np.exp(4 - value))).sum())
    say("plain NumPy loop", people * STEPS, time.process_time() - began, slate=SLATE, steps=STEPS)


main(*map(int, sys.argv[1:]))
