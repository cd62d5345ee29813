"""What is claimed of this tool: figures with targets and tolerances, judged as validations are."""

from typing import NamedTuple

import polars as pl

from recsys.validation.checks import VERDICTS, Quantity, row_of

__all__ = ["CLAIMS", "PARTS", "Found", "judge"]

_INF = float("inf")

PARTS = {
    1: "Coverage: intervals of who hold the truth, and a second placebo is seldom news",
    2: "Recovery: what was planted is found, and more of it is more",
    3: "Offline against truth: leaving newcomers out of the log, against a world without them",
    4: "Published facts",
}
"""What the claims are about, by number."""

CLAIMS: dict[str, Quantity] = {
    claim.name: claim
    for claim in (
        Quantity(1, "95 % intervals of who that hold it", "0.95", 0.93, 0.97, "theory"),
        Quantity(1, "second placebo called significant", "0.05", 0.0, 0.06, "theory"),
    )
}
"""By name."""


class Found(NamedTuple):
    """One figure that belongs to a claim.

    Attributes:
        claim: its name.
        of: what tells it from other figures of the claim.
        mean, low, high: of its 95 % interval; NaN where there is none.
        n_seeds: seeds that it is taken over.
    """

    claim: str
    of: str
    mean: float
    low: float
    high: float
    n_seeds: int


def judge(found: list[Found]) -> pl.DataFrame:
    """Verdicts, as `recsys.validation.judge` gives them, in the order of `CLAIMS`.

    >>> found = Found("second placebo called significant", "als, notes", 0.051, 0.04, 0.06, 3000)
    >>> judge([found])["verdict"].to_list()
    ['holds']
    """
    order = {name: place for place, name in enumerate(CLAIMS)}
    rows = [
        row_of(CLAIMS[one.claim], one.of, (one.mean, one.low, one.high), one.n_seeds)
        for one in sorted(found, key=lambda one: order[one.claim])
    ]
    return pl.DataFrame(rows, schema=VERDICTS)
