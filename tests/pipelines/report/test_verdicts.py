"""Verdicts on the terminal: a figure is never apart from what it is of."""

import io

import pytest
from rich.console import Console

from pipelines.report.verdicts import print_verdicts
from recsys.checks.proof.claims import TITLES, Figure, judge

NAMES = ("feeds, whole users, trending", "feeds, joined users, all recommenders")


def printed(width: int) -> list[str]:
    claim = "random groups of long-time users accused"
    figures = [Figure(claim, name, 0.08, 0.01, 0.14, 200) for name in NAMES]
    out = io.StringIO()
    print_verdicts(Console(file=out, width=width), judge(figures), TITLES, "of", over="groups")
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_each_figure_stands_beside_what_it_is_of(width):
    lines = printed(width)
    for name in NAMES:
        (line,) = (line for line in lines if name in line)
        assert line.split()[-4:] == ["0.080", "[0.010,", "0.140]", "holds"]
    assert any("the mean over 200 groups" in line for line in lines)
