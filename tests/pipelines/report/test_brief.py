"""What the terminal says by default: the verdict, then at most 24 lines of 80 columns."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import recsys
from pipelines.report.brief import MOST_ROWS, opening_line
from pipelines.report.console import print_section
from pipelines.report.section import Section
from pipelines.report.terminal import print_comparison, print_run, print_summary, print_whereabouts
from pipelines.tracking.tracker import Recorded
from pipelines.tracking.views import views_of
from recsys.study.result import StudyResult
from tests.kit.made_up import log, world

WIDE = {
    "net": 0.812,
    "net_ci_low": -0.123,
    "net_ci_high": 0.999,
    "utility": -0.123,
    "utility_ci_low": -0.456,
    "utility_ci_high": 0.111,
    "locals": 0.55,
    "displaced": 0.3,
}
RUN = Recorded("sqlite:////mlruns/mlflow.db", True, "1", "0123456789abcdef" * 2)
TABLE = views_of("world", "as-long-as-names-can-be-in-80-columns", RUN.run_id)[0].query


def _console(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False, emoji=False, markup=False)


def _text(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def _printed(result: StudyResult, *, full: bool = False, width: int = 80) -> str:
    console = _console(width)
    print_summary(console, result, recsys.verdict(result), full=full)
    print_whereabouts(console, Path("data/studies/made-up-0123456789ab"))
    print_run(console, [RUN._replace(view=TABLE)])
    return _text(console)


MANY = {
    f"als + {kind}": WIDE
    for kind in ("cap", "calibrated", "language_gate", "fresh_slot", "ensemble")
}
KINDS = tuple(name.partition(" + ")[2] for name in MANY)


@pytest.mark.parametrize(
    "result",
    [
        world({"als": WIDE}),
        world(dict.fromkeys(("als", "platform_ranker", "ease", "bpr"), WIDE)),
        world({"als": {}, **MANY, **{f"bpr + {kind}": WIDE for kind in KINDS}}, mitigations=KINDS),
        log({"als": {}, "platform_ranker": {"p_value": 0.01}}),
    ],
    ids=["one", "four", "mitigations", "log"],
)
def test_it_fits_24_lines_of_80_columns(result: StudyResult) -> None:
    lines = _printed(result).splitlines()
    assert lines[0] == opening_line(result)
    after = lines[lines.index("") + 1 :]
    assert len(after) <= 24
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines[: lines.index("")])


def test_the_verdict_comes_first_and_is_whole() -> None:
    result = world({"als": {}, "bpr": {}})
    for full in (False, True):
        text = _printed(result, full=full)
        assert recsys.verdict(result).text in " ".join(text.split())
        assert text.splitlines()[1].startswith("Yes: ")


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("full", [True, False])
def test_no_interval_is_broken(full: bool, width: int) -> None:
    name = "a_recommender_with_a_name_that_is_long"
    lines = _printed(world({"als": WIDE, "ease": WIDE}), full=full, width=width).splitlines()
    assert any("[" in line for line in lines)
    for line in lines:
        assert line.count("[") == line.count("]"), line
    section = Section(
        "", ("name", *"abcdef"), tuple((name, *["-1.2 [-3.4, -5.6]"] * 6) for _ in "ab")
    )
    console = _console(width)
    print_section(console, section)
    table = _text(console)
    assert table.count("-1.2 [-3.4, -5.6]") == 12
    assert max(map(len, table.splitlines())) <= width


def test_best_comes_first_and_the_rest_is_counted() -> None:
    names = [f"als + {kind}" for kind in KINDS]
    many = {
        name: {"net": 0.5 - 0.01 * place}
        for place, name in enumerate(["als", *names, "bpr", *(f"bpr + {kind}" for kind in KINDS)])
    }
    text = _printed(world(many, mitigations=KINDS))
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("recommender"))
    assert lines[start + 1].startswith("bpr + ensemble")
    end = next(place for place, line in enumerate(lines) if "more rows: --full)" in line)
    shown = sum(line.startswith(("als", "bpr")) for line in lines[start + 1 : end])
    assert end - start - 1 <= MOST_ROWS
    assert f"({len(many) - shown} more rows: --full)" == lines[end]
    assert "more rows" not in _printed(world(many, mitigations=KINDS), full=True)


def test_the_address_of_the_runs_is_on_one_line() -> None:
    address = f"http://127.0.0.1:5000/#/experiments/1/runs?{TABLE}"
    assert address in _printed(world({"als": {}})).splitlines()


def test_what_was_not_measured_has_no_column() -> None:
    without = {"utility": None, "utility_ci_low": None, "utility_ci_high": None}
    text = _printed(world({"als": without}))
    assert not re.search(r"^recommender.*utility", text, re.MULTILINE)
    full = {"net": None, "floor": 0.9}
    assert "–          cannot be told" in _printed(world({"als": full}))


def test_variants_have_a_row_each() -> None:
    results = [
        result.with_tables()
        for result in (world({"als": {}}), world({"als": {"net": 0.01}, "bpr": {"net": 0.3}}))
    ]
    named = []
    for name, result in zip(("calm", "busy"), results, strict=True):
        study = result.study.model_copy(update={"name": f"both-{name}", "group": "both"})
        named.append(type(result)(study, result.tables))
    console = _console()
    print_comparison(console, named, [recsys.verdict(result) for result in named], full=False)
    lines = _text(console).splitlines()
    assert lines[0] == "both: 2 variants"
    assert lines[3].split()[:3] == ["calm", "yes", "als"]
    assert lines[4].split()[:3] == ["busy", "yes", "als"]
    assert max(map(len, lines)) <= 80
