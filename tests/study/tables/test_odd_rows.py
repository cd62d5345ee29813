"""Every table, page and summary is made of odd rows too: of nobody, of one user, all the same."""

import io
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console

from pipelines.report.page import save_page
from pipelines.report.terminal import print_summary
from pipelines.storage.results import save_result
from recsys import load_study, verdict
from recsys.measures.rows import KEYS
from recsys.study.plan import plan
from recsys.study.result import combine
from recsys.study.run import run_cell
from recsys.study.sources import Sources
from recsys.study.tables.registry import TABLES

WORLD = {
    "name": "odd",
    "world": {
        "incumbents": 60,
        "days_before": 2,
        "days_after": 5,
        "influx": {"kind": "rednote_2025", "newcomers": 20, "reversal_day": 1},
    },
    "recommenders": ["trending", "random"],
    "mitigations": [["cap"]],
    "evaluation": {
        "days": [0, 1, 2, 3, 4],
        "k": 5,
        "panel": 20,
        "nudges": 1,
        "groups": ["activity", "main_topic", "curious"],
        "snapshots": True,
    },
    "seeds": 2,
}
LOG = {
    "name": "odd_log",
    "log": {
        "newcomers": "new",
        "placebo_draws": 20,
        "holdout_share": 0.3,
        "panel_min_events": 1,
        "attributes": {"topic": "topic"},
    },
    "recommenders": ["item_knn", "trending"],
    "evaluation": {"k": 5, "panel": 15, "groups": ["activity", "same"]},
}


def cells_of(study):
    sources = Sources(study)
    return study, sources, [run_cell(cell, sources) for cell in plan(study, sources)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of a world and one of a log, each with the results of its cells."""
    place = tmp_path_factory.mktemp("log")
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(100), 6)
    frames = {
        "events": pl.DataFrame({"user_id": user, "item_id": rng.integers(0, 40, user.size)}),
        "users": pl.DataFrame(
            {"user_id": np.arange(100), "new": np.arange(100) < 10, "same": ["x"] * 100}
        ),
        "items": pl.DataFrame({"item_id": np.arange(40), "topic": ["a", "b"] * 20}),
    }
    for name, frame in frames.items():
        frame.write_parquet(place / f"{name}.parquet")
    files = {name: str(place / f"{name}.parquet") for name in frames}
    log = load_study({**LOG, "log": {**LOG["log"], **files}})
    return {"world": cells_of(load_study(WORLD)), "log": cells_of(log)}


HARMS = (
    "nobody",
    "one user",
    "other users in each seed",
    "all the same",
    "zero",
    "no newcomers",
    "unknown in one arm",
    "some",
)


@st.composite
def harms(draw):
    """What happens to the rows of all cells: a function of the frame of the rows of users."""
    how = draw(st.sampled_from(HARMS))
    pick, share = draw(st.integers(0, 10**6)), draw(st.sampled_from([0.0, 0.3, 1.0]))
    every = draw(st.booleans())

    def change(rows):
        measures = [name for name in rows.columns if name not in KEYS]
        chosen = measures if every else [measures[pick % len(measures)]]
        users = rows["user_id"].unique().sort()
        one = users[pick % len(users)]
        arms = rows["arm"].unique().sort()
        in_arm = pl.col("arm").cast(pl.String) == str(arms[pick % len(arms)])
        kinds = {name: rows.schema[name] for name in chosen}
        nothing = {name: pl.lit(None, kind) for name, kind in kinds.items()}
        return {
            "nobody": lambda: rows.with_columns(**nothing),
            "one user": lambda: rows.with_columns(
                **{n: pl.when(pl.col("user_id") == one).then(n) for n in chosen}
            ),
            "other users in each seed": lambda: rows.with_columns(
                **{
                    n: pl.when((pl.col("user_id") + pl.col("seed")) % 2 == 0).then(n)
                    for n in chosen
                }
            ),
            "all the same": lambda: rows.with_columns(
                **{
                    n: pl.when(pl.col(n).is_not_null()).then(pl.lit(0.25, k))
                    for n, k in kinds.items()
                }
            ),
            "zero": lambda: rows.with_columns(
                **{n: pl.when(pl.col(n).is_not_null()).then(pl.lit(0, k)) for n, k in kinds.items()}
            ),
            "no newcomers": lambda: rows.filter(pl.col("cohort") == "incumbent"),
            "unknown in one arm": lambda: rows.with_columns(
                **{n: pl.when(~in_arm).then(n) for n in chosen}
            ),
            "some": lambda: rows.with_columns(
                **{
                    n: pl.when(pl.col("user_id").hash(pick) % 1000 >= 1000 * share).then(n)
                    for n in chosen
                }
            ),
        }[how]()

    return how, change


def check(made, of, change, folder, *, plots=False):
    """All tables are made, with their columns, and written and printed; plots take long."""
    study, sources, cells = made[of]
    changed = [replace(cell, per_user=change(cell.per_user)) for cell in cells]
    result = combine(study, changed, sources)
    assert set(result.tables) == set(TABLES)
    place = save_result(result, folder)
    if plots:
        save_page(result, place / "report.html")
    print_summary(Console(file=io.StringIO(), width=100), result, verdict(result), full=True)
    for name, table in result.tables.items():
        for column, kind in table.schema.items():
            assert not kind.is_float() or not table[column].is_nan().any(), (name, column)
    return result


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("of", ["world", "log"])
@settings(max_examples=2, suppress_health_check=QUIET, phases=[Phase.generate])
@given(harm=harms())
def test_odd_rows_make_all_tables(made, of, harm, tmp_path):
    check(made, of, harm[1], tmp_path)


@pytest.mark.parametrize("every", [True, False])
def test_a_measure_that_the_influx_arm_lacks_has_no_drift(made, every, tmp_path):
    def change(rows):
        lost = [name for name in rows.columns if name not in KEYS] if every else ["utility"]
        known = pl.col("arm").cast(pl.String) != "influx"
        return rows.with_columns(pl.when(known).then(name).alias(name) for name in lost)

    drift = check(made, "world", change, tmp_path).drift
    assert drift.height == 0 if every else "utility" not in set(drift["measure"]) > {"posts"}


@pytest.mark.slow
@pytest.mark.parametrize("of", ["world", "log"])
def test_hundreds_of_odd_rows_make_all_tables(made, of, tmp_path):
    seen = set()

    @settings(max_examples=250, suppress_health_check=QUIET)
    @given(harm=harms())
    def look(harm):
        check(made, of, harm[1], tmp_path, plots=harm[0] not in seen)
        seen.add(harm[0])

    look()
    assert seen == set(HARMS)
