"""Results of studies with made-up tables, for what reads tables alone."""

from typing import Any

import polars as pl

from recsys import load_study
from recsys.study.result import StudyResult
from recsys.study.tables.registry import TABLES
from recsys.study.tables.table import schema_of

ARMS = ["control", "influx", "placebo", "locals", "retrain", "nudge"]
CALM: dict[str, Any] = {
    "changed": 0.3,
    "floor": 0.2,
    "retrain": 0.1,
    "displaced": 0.01,
    "net": 0.12,
    "locals": 0.1,
    "over_locals": 1.2,
    "over_locals_ci_low": 0.9,
    "over_locals_ci_high": 1.6,
    "utility": -0.01,
    "utility_ci_low": -0.03,
    "utility_ci_high": 0.02,
    "n_users": 100,
    "n_seeds": 8,
}
"""A row of the table `headline` in which little is odd; net has its interval from `world`."""


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a table; columns that are left out are null."""
    schema = schema_of(TABLES[name].columns)
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema)


def world(
    variants: dict[str, dict[str, Any]],
    *,
    utility: dict[str, float] | None = None,
    english: dict[str, float] | None = None,
    seeds: int = 8,
    arms: list[str] = ARMS,
    mitigations: tuple[str, ...] = (),
) -> StudyResult:
    """A study of a world.

    Args:
        variants: by name, what differs from `CALM`; `als + cap` is als under the mitigation cap.
            The key `groups` holds rows of groups by name. The interval of net is net ± .03 unless
            its ends are given.
        utility: level of utility with the influx, by name; the same for all unless given.
        english: share of English posts without the newcomers, by name.
        seeds: number of seeds.
        arms: arms of the study.
        mitigations: kinds that the config names.
    """
    rows, levels = [], []
    for name, values in variants.items():
        recommender, _, mitigation = name.partition(" + ")
        keys = {"recommender": recommender, "mitigation": mitigation or "none"}
        given = {**CALM, **values}
        for group, more in {"all": {}, **given.pop("groups", {})}.items():
            row = {**given, **more}
            if row["net"] is not None and seeds > 1:
                row = {"net_ci_low": row["net"] - 0.03, "net_ci_high": row["net"] + 0.03, **row}
            rows.append({**keys, "group": group, **row})
        level = (utility or {}).get(name, 0.2)
        cohort = {"cohort": "incumbent", "measure": "utility", "mean": level}
        levels.append({**keys, "arm": "influx", **cohort})
        if name in (english or {}):
            of = {**cohort, "measure": "language:en", "mean": english[name]}
            levels.append({**keys, "arm": "control", **of})
    recommenders = list(dict.fromkeys(name.partition(" + ")[0] for name in variants))
    study = load_study(
        {
            "name": "made-up",
            "world": {"incumbents": 100, "influx": {"kind": "step", "newcomers": 10}},
            "recommenders": recommenders,
            **({"mitigations": [[], *([kind] for kind in mitigations)]} if mitigations else {}),
            "arms": arms,
            "evaluation": {"panel": 50, "days": [1]},
            "seeds": seeds,
        }
    )
    tables = {name: table.empty() for name, table in TABLES.items()}
    drift = [{**row, "measure": "slots_changed"} for row in rows if row["group"] == "all"]
    tables |= {
        "headline": _frame("headline", rows),
        "summary": _frame("summary", levels),
        "drift": _frame("drift", drift),
    }
    return StudyResult(study, tables)


def log(
    variants: dict[str, dict[str, Any]],
    *,
    matching: dict[str, Any] | None = None,
    ndcg: dict[str, dict[str, Any]] | None = None,
    theirs: dict[str, float] | None = None,
) -> StudyResult:
    """A study of a log.

    Args:
        variants: by recommender, what differs in the row of the tested measure.
        matching: what differs in the row of the table `matching`.
        ndcg: by recommender, the rows of quality.
        theirs: by recommender, the share of slots that newcomers' posts hold.
    """
    calm = {"influx": 0.3, "placebo": 0.25, "p_value": 0.4, "n_users": 100, "n_seeds": 1}
    rows = [
        {"recommender": name, "mitigation": "none", "measure": measure, **calm, **values}
        for measure, part in {"posts": variants, "ndcg": ndcg or {}}.items()
        for name, values in part.items()
    ]
    known = {
        "newcomers": 50,
        "newcomers_tested": 50,
        "events": 1000,
        "events_tested": 970,
        "share": 0.97,
        "placebo_events": 960.0,
        "pool": 500,
        "crowding": 0.1,
        "matched": True,
    }
    study = load_study(
        {
            "name": "made-up",
            "log": {"events": "none.csv", "newcomers": "days < 30", "placebo_draws": 199},
            "recommenders": list(variants),
            "seeds": 1,
        }
    )
    tables = {name: table.empty() for name, table in TABLES.items()}
    matched = _frame("matching", [{**known, **(matching or {})}])
    tables |= {"drift": _frame("drift", rows), "matching": matched}
    if theirs:
        tables["summary"] = _frame("summary", _levels(theirs))
    return StudyResult(study, tables)


def _levels(theirs: dict[str, float]) -> list[dict[str, Any]]:
    """Rows of the share of slots that newcomers' posts hold, and rows that are about others."""
    rows = []
    for name, share in theirs.items():
        row = {"recommender": name, "mitigation": "none", "cohort": "incumbent", "arm": "full"}
        row |= {"measure": "newcomer_slots", "mean": share, "n_users": 100, "n_seeds": 1}
        other = {"mean": 0.77}
        rows += [
            row,
            {**row, **other, "arm": "influx"},
            {**row, **other, "measure": "newcomer_share"},
            {**row, **other, "mitigation": "cap"},
        ]
    return rows
