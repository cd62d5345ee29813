"""The short metrics of every run: at most 40, as the terminal prints them."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from pipelines.report.brief import brief_sections
from pipelines.report.headline import Headline, name_of, number
from pipelines.tracking import records, short
from pipelines.tracking.describe import study_record
from pipelines.tracking.record import SEED, Record, Run, Value
from recsys.study.compare import compare_studies
from recsys.study.result import StudyResult

UNIT = re.compile(
    r"(_pct|_points|_s|_pct_by_day|^n_\w+|^over_\w+|p_value|^ndcg|^recall|^days_\w+)$"
)


def every(run: Run) -> Iterator[Run]:
    yield run
    for child in run.children:
        yield from every(child)


def names(run: Run) -> set[str]:
    return {value.name for value in (*run.values, *run.more, *run.timings)}


@pytest.fixture(scope="module")
def world_records(world_result: StudyResult) -> dict[str, Record]:
    """The records of a study by detail."""
    return {detail: with_detail(world_result, detail) for detail in ("brief", "full")}


@pytest.fixture(scope="module")
def log_records(log_result: StudyResult, log_place: Path) -> dict[str, Record]:
    with contextlib.chdir(log_place):
        return {"brief": with_detail(log_result, "brief")}


def with_detail(result: StudyResult, detail: str) -> Record:
    tracking = result.study.tracking.model_copy(update={"detail": detail})
    study = result.study.model_copy(update={"tracking": tracking})
    return study_record(dataclasses.replace(result, study=study), Path("nowhere"))


@pytest.mark.parametrize("kind", ["world_records", "log_records"])
def test_a_run_has_40_metrics_at_most(kind: str, request: pytest.FixtureRequest) -> None:
    runs = list(every(request.getfixturevalue(kind)["brief"].run))
    assert [run.role for run in runs] == ["study", "recommender", "recommender"]
    for run in runs:
        assert 5 < len(names(run)) <= short.MOST
        assert all(UNIT.search(name) for name in names(run)), names(run)
        assert names(run) == names(runs[0]), "one name means the same on each run"


def test_all_detail_adds_series_and_seeds(world_records: dict[str, Record]) -> None:
    brief, full = world_records["brief"], world_records["full"]
    runs = list(every(full.run))
    assert sum(run.role == SEED for run in runs) == 4
    for run, less in zip(full.run.children, brief.run.children, strict=True):
        assert names(run) > names(less)
        assert len(names(run)) > 200
        assert run.values == less.values
    assert full.identity == brief.identity, "a run that is recorded with more is the same run"


@pytest.mark.parametrize("variant", [("als", "none"), ("trending", "none")])
def test_a_world_has_the_figures_of_the_terminal(
    variant: tuple[str, str], world_result: StudyResult
) -> None:
    """The table of the terminal is compared cell by cell."""
    values = {v.name: v.value for v in short.recommender_values(world_result, *variant)}
    (section,) = brief_sections(Headline(world_result))
    cells = next(row for row in section.rows if row[0] == name_of(variant))
    printed = dict(zip(section.columns, cells, strict=True))
    ours = {"displaced": "newcomer_pct"}
    assert {"net", "displaced", "floor", "utility"} <= printed.keys()
    for column, cell in printed.items():
        if column == "recommender":
            continue
        name = ours.get(column, f"{column}_pct")
        shown = [float(text.replace(",", "")) for text in re.findall(r"-?[\d.,]+\d|\d", cell)]
        ends = [name] + [name.replace("_pct", f"_{end}_pct") for end in ("ci_low", "ci_high")]
        assert len(shown) == (3 if "[" in cell else 1), cell
        for figure, metric in zip(shown, ends, strict=False):
            # The terminal has one decimal and metrics two: a half may round to either side.
            assert values[metric] == pytest.approx(figure, abs=0.0551)


def test_a_log_has_its_count_and_its_mix(log_result: StudyResult) -> None:
    counted = {"by": "all", "value": "before the newcomers", "shown": 9, "newcomers": 1, "users": 3}
    since = {**counted, "value": "since the newcomers' first day"}
    rows = [{**counted, "share": 0.01}, {**since, "share": 0.2}]
    result = log_result.with_tables(counted=pl.DataFrame(rows, schema=log_result.counted.schema))
    variant = records.variants(result)[0]
    mix = {"recommender": variant[0], "mitigation": variant[1], "attribute": "language"}
    rows = [{**mix, "value": "pt", "with": 0.2, "without": 0.05, "p_adjusted": 0.02}]
    result = result.with_tables(mix=pl.DataFrame(rows, schema=result.mix.schema))
    values = {v.name: v.value for v in short.recommender_values(result, *variant)}
    assert (values["newcomers_before_pct"], values["newcomers_shown_pct"]) == (1.0, 20.0)
    assert values["mix_language_pt_with_pct"] == 20.0
    assert values["mix_language_pt_without_pct"] == 5.0
    assert values["mix_language_pt_p_value"] == 0.02


def test_metrics_that_a_run_has_not_are_counted(log_result: StudyResult) -> None:
    """A mix of 30 values has 90 metrics more than a run can have; its tag says how many."""
    recommender, mitigation = records.variants(log_result)[0]
    row = {"recommender": recommender, "mitigation": mitigation, "attribute": "language"}
    rows = [
        {**row, "value": f"l{n}", "with": 0.2, "without": 0.1, "p_adjusted": 0.01 * n}
        for n in range(30)
    ]
    base = log_result.with_tables(mix=log_result.mix.clear())
    few = {value.name for value in short.recommender_values(base, recommender, mitigation)}
    assert len(few) < short.MOST
    assert short.left_out(base, recommender, mitigation) == {}
    result = base.with_tables(mix=pl.DataFrame(rows, schema=log_result.mix.schema))
    kept = {value.name for value in short.recommender_values(result, recommender, mitigation)}
    assert len(kept) == short.MOST
    (text,) = short.left_out(result, recommender, mitigation).values()
    assert text.startswith(f"{len(few) + 90 - short.MOST} (a run has 40;")


def test_a_log_has_the_figures_of_the_terminal(log_result: StudyResult) -> None:
    for variant in records.variants(log_result):
        values = {v.name: v.value for v in short.recommender_values(log_result, *variant)}
        row = Headline(log_result).drift(variant, "slots_changed")
        for metric, column in (("changed_pct", "influx"), ("placebo_pct", "placebo")):
            shown = float(number(row[column]))
            assert values[metric] == pytest.approx(shown, abs=0.0551)
        quality = Headline(log_result).level(variant, "full", "ndcg")
        assert values["ndcg"] == quality


def test_days_are_steps(course_result: StudyResult) -> None:
    values = short.recommender_values(course_result, "als", "none")
    steps = [v.step for v in values if v.name == "newcomer_pct_by_day"]
    assert steps == [1, 3, 7, 14, 27]


def test_the_study_has_the_figures_of_what_drifts_least(world_result: StudyResult) -> None:
    variants = records.variants(world_result)
    values, least = short.study_values(world_result, variants)
    net = {
        variant: next(
            v.value for v in short.recommender_values(world_result, *variant) if v.name == "net_pct"
        )
        for variant in variants
    }
    assert net[least] == min(net.values())
    assert values == short.recommender_values(world_result, *least)


def test_recommender_and_mitigation_stand_apart(world_records: dict[str, Record]) -> None:
    for run in world_records["brief"].run.children:
        assert run.params["recommender"] == run.name
        assert run.params["mitigation"] == "none"


def test_recommenders_have_colours_of_their_own(world_records: dict[str, Record]) -> None:
    colours = [run.tags["mlflow.runColor"] for run in world_records["brief"].run.children]
    assert len(set(colours)) == len(colours)


def test_too_many_metrics_lose_the_last() -> None:
    many = tuple(Value(f"m{n}", 1.0, step) for n in range(60) for step in range(3))
    kept = short.bounded(many)
    assert len(kept) == 3 * short.MOST
    assert kept[-1].name == f"m{short.MOST - 1}"


def test_many_recommenders_compared_are_bounded(world_result: StudyResult) -> None:
    of_study = (world_result.study, world_result.per_user)
    table = compare_studies(of_study, of_study)
    values = short.compared_values(table)
    assert {"net_difference_points/als", "utility_difference_points/trending"} <= {
        value.name for value in values
    }
    wide = pl.concat(
        [table.with_columns(recommender=pl.lit(f"recommender {n}")) for n in range(20)]
    )
    assert len({value.name for value in short.compared_values(wide)}) == short.MOST
