"""Users a second whose NDCG ranx computes, its own tables being made. Arguments: users, depth."""

import sys
import time

from lists import two_lists
from ranx import Qrels, Run, evaluate
from said import say


def main(users: int, depth: int) -> None:
    lists, liked = (of.tolist() for of in two_lists(users, depth))
    qrels = Qrels({str(n): {str(i): 1 for i in of[: depth // 2]} for n, of in enumerate(liked)})
    scores = range(depth, 0, -1)
    run = Run(
        {
            str(n): {str(item): float(score) for item, score in zip(of, scores, strict=True)}
            for n, of in enumerate(lists)
        }
    )
    metric = f"ndcg@{depth}"
    evaluate(qrels, run, metric)  # compiles
    began = time.process_time()
    mean = evaluate(qrels, run, metric)
    say("ranx 0.3.21", users, time.process_time() - began, mean=float(mean))


main(*map(int, sys.argv[1:]))
