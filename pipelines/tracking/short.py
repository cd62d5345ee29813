"""The metrics that a run has by default: at most 40, under short names, in the terminal's units.

Names that end in `_pct` are in percent, those in `_points` in percentage points, those in `_s` in
seconds; all others are plain numbers. Names that end in `_by_day` have a value for each evaluation
day (`step`). A name means the same on every run that has it.
"""

from collections.abc import Iterator

import polars as pl

from pipelines.tracking.names import metric_name
from pipelines.tracking.record import Value, finite
from recsys.measures.metrics.registry import METRICS
from recsys.served.compare import FeedComparison
from recsys.study.result import StudyResult
from recsys.study.tables.counted import BEFORE
from recsys.training.evaluate import TrainingResult

MOST = 40
"""Metrics on a run, at most."""

_HUNDRED, _DECIMALS = 100.0, 2
_NET = {
    "changed": "changed_pct",
    "floor": "floor_pct",
    "displaced": "newcomer_pct",
    "net": "net_pct",
    "net_ci_low": "net_ci_low_pct",
    "net_ci_high": "net_ci_high_pct",
    "utility": "utility_pct",
    "utility_ci_low": "utility_ci_low_pct",
    "utility_ci_high": "utility_ci_high_pct",
    "reshuffled": "reshuffled_pct",
    "plain": "plain_pct",
    "retrain": "retrain_pct",
    "nudge_3": "nudge_3_pct",
    "nudge_10": "nudge_10_pct",
    "placebo": "placebo_pct",
    "locals": "locals_pct",
    "english": "english_points",
}
"""Columns of the table `headline` that are shares, and the names of their metrics."""
_COUNTS = ("over_placebo", "over_locals", "n_users", "n_seeds")
"""Columns of it whose metrics have their names and units."""
_BY_DAY = ("changed", "floor", "displaced", "net", "net_ci_low", "net_ci_high", "utility")
_REMOVAL = {"influx": "changed_pct", "placebo": "placebo_pct", "retrain": "retrain_pct"}
"""Columns of the table `drift` of a log, where `influx` is training without the newcomers."""
_TESTED = {"influx": "moved_pct", "placebo": "moved_placebo_pct"}
"""The same of the measure that the verdict rests on."""
_MIX = {
    "before": "before_pct",
    "with": "with_pct",
    "without": "without_pct",
    "p_adjusted": "p_value",
}
_QUALITY = ("ndcg", "recall")
_SERVED = {"drift": "", "floor": "_floor", "excess": "_excess"}
_COMPARED = ("net", "utility", "displaced")


def bounded(values: tuple[Value, ...], most: int = MOST) -> tuple[Value, ...]:
    """The values of the first metrics by name, as many as a run has at most.

    >>> [v.name for v in bounded((Value("a", 1.0), Value("b", 2.0), Value("a", 3.0, 1)), 1)]
    ['a', 'a']
    """
    kept = set(list(dict.fromkeys(value.name for value in values))[:most])
    return tuple(value for value in values if value.name in kept)


def recommender_values(result: StudyResult, recommender: str, mitigation: str) -> tuple[Value, ...]:
    """The metrics of a recommender under a mitigation.

    Args:
        result: a finished study.
        recommender: its name in the study.
        mitigation: the name of the mitigation; `none` without one.
    """
    return bounded(_all_values(result, recommender, mitigation))


def left_out(result: StudyResult, recommender: str, mitigation: str) -> dict[str, str]:
    """A tag that says how many metrics a run of a recommender has not; none if it has all.

    Args:
        result, recommender, mitigation: as in `recommender_values`.
    """
    more = len({value.name for value in _all_values(result, recommender, mitigation)}) - MOST
    if more <= 0:
        return {}
    return {"metrics_left_out": f"{more} (a run has {MOST}; the tables among the files have all)"}


def _all_values(result: StudyResult, recommender: str, mitigation: str) -> tuple[Value, ...]:
    chosen = (pl.col("recommender") == recommender) & (pl.col("mitigation") == mitigation)
    if result.headline.is_empty():
        return finite(_of_log(result, chosen))
    return finite((*_of_world(result, chosen), *_recovery(result, chosen)))


def study_values(
    result: StudyResult, variants: list[tuple[str, str]]
) -> tuple[tuple[Value, ...], tuple[str, str]]:
    """The metrics of a study: those of the recommender that drifts least.

    Args:
        result: a finished study.
        variants: its recommenders and mitigations.

    Returns:
        The metrics, and that recommender with its mitigation.
    """
    every = {variant: recommender_values(result, *variant) for variant in variants}
    sort = "changed_pct" if result.headline.is_empty() else "net_pct"
    figures = {
        variant: next((v.value for v in values if v.name == sort and v.value is not None), None)
        for variant, values in every.items()
    }
    least = min(variants, key=lambda v: (figures[v] is None, figures[v] or 0.0))
    return every[least], least


def training_values(result: TrainingResult) -> tuple[Value, ...]:
    """The metrics of a training run: those of everybody, and the NDCG of each group of users.

    A rolling evaluation has NDCG and recall by day too, and their intervals.
    """
    values = []
    for row in result.summary.iter_rows(named=True):
        if row["by"] == "all":
            values.append(Value(row["metric"], row["value"]))
        elif row["metric"] == "ndcg":
            values.append(Value(metric_name(f"ndcg_{row['group']}"), row["value"]))
            values.append(Value(metric_name(f"n_users_{row['group']}"), row["n_users"]))
    everybody = result.summary.filter(pl.col("by") == "all")["n_users"].max()
    values.append(Value("n_users", _float(everybody)))
    return bounded(finite((*values, *_rolling(result))))


def _rolling(result: TrainingResult) -> Iterator[Value]:
    """The NDCG and recall of a rolling evaluation by day, their intervals, and the differences."""
    if result.days is None:
        return
    for name in _QUALITY:
        for row in result.days.series.filter(posts="all", metric=name).iter_rows(named=True):
            for column, metric in (("value", name), ("trending", f"{name}_trending")):
                yield Value(f"{metric}_by_day", row[column], row["day"])
        for row in result.days.means.filter(metric=name).iter_rows(named=True):
            for column, value in row.items():
                if column not in ("metric", "value", "n_days"):
                    yield Value(f"{name}_{column.replace('difference', 'over_trending')}", value)


def trial_values(figures: dict[str, float]) -> tuple[Value, ...]:
    """The metrics of a trial of a search, whose names are those of a training run already.

    Args:
        figures: its figures by metric.
    """
    return bounded(finite(Value(name, figures[name]) for name in METRICS if name in figures))


def verdict_values(verdicts: pl.DataFrame) -> tuple[Value, ...]:
    """How many figures of a validation or a proof hold, fail, or are unclear."""
    words = ("holds", "fails", "unclear")
    return tuple(Value(word, (verdicts["verdict"] == word).sum()) for word in words)


def served_values(result: FeedComparison) -> tuple[Value, ...]:
    """The metrics of served feeds: for each measure, drift, floor and excess over all days.

    They are those of the cohort `all` if there are several; of each of these there is
    `drift/<cohort>/slots_changed/drift`, a share. `slots_changed` is `changed_pct`, with
    `floor_pct`, and has values by day.
    """
    cohort = result.drift["cohort"][-1]
    mine = result.drift.filter(cohort=cohort)
    rows = list(mine.filter(pl.col("day").is_null()).iter_rows(named=True))
    rows.sort(key=lambda row: row["measure"] != "slots_changed")
    names = {"slots_changed": ("changed_pct", "floor_pct", "excess_pct")}
    values: list[Value] = []
    for row in rows:
        taken = names.get(
            row["measure"],
            tuple(metric_name(f"{row['measure']}{end}_pct") for end in _SERVED.values()),
        )
        values += [
            Value(name, _percent(row[part])) for name, part in zip(taken, _SERVED, strict=True)
        ]
        if row["measure"] == "slots_changed":
            values.append(Value("n_users", row["n_users"]))
            values += _served_by_day(mine)
    others = result.drift.filter(pl.col("day").is_null(), pl.col("cohort") != cohort)
    for row in others.filter(measure="slots_changed").iter_rows(named=True):
        name = metric_name("drift", row["cohort"], "slots_changed", "drift")
        values.append(Value(name, row["drift"]))
    return bounded(finite(values))


def compared_values(table: pl.DataFrame) -> tuple[Value, ...]:
    """The metrics of two studies compared: differences, second - first, by recommender.

    Args:
        table: the result of `recsys.study.compare.compare_studies`.
    """
    values = []
    for measure in _COMPARED:
        for row in table.filter(pl.col("measure") == measure).iter_rows(named=True):
            chain = "" if row["mitigation"] == "none" else f" + {row['mitigation']}"
            for end, column in (("", "difference"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high")):
                name = f"{measure}_difference{end}_points"
                name = metric_name(name, f"{row['recommender']}{chain}")
                values.append(Value(name, _percent(row[column])))
    return bounded(finite(values))


def _of_world(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    rows = result.headline.filter(chosen, pl.col("group") == "all")
    for row in rows.filter(pl.col("day").is_null()).iter_rows(named=True):
        for column, name in _NET.items():
            yield Value(name, _percent(row[column]))
        for column in _COUNTS:
            yield Value(column, row[column])
    for row in rows.filter(pl.col("day").is_not_null()).iter_rows(named=True):
        for column in _BY_DAY:
            yield Value(f"{_NET[column]}_by_day", _percent(row[column]), row["day"])


def _recovery(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    if result.recovery.is_empty():
        return
    for row in result.recovery.filter(chosen).iter_rows(named=True):
        yield Value(f"days_until_{row['event']}_{row['measure']}", row["days"])


def _of_log(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    whole = result.drift.filter(chosen, pl.col("day").is_null())
    rows = {row["measure"]: row for row in whole.iter_rows(named=True)}
    changed = rows.get("slots_changed", {})
    for column, name in _REMOVAL.items():
        yield Value(name, _percent(changed.get(column)))
    tested = rows.get("posts", {})
    for column, name in _TESTED.items():
        yield Value(name, _percent(tested.get(column)))
    yield Value("p_value", tested.get("p_value"))
    yield Value("adjusted_p_value", tested.get("p_adjusted"))
    for row in result.counted.filter(by="all").iter_rows(named=True):
        which = "before" if row["value"] == BEFORE else "shown"
        yield Value(f"newcomers_{which}_pct", _percent(row["share"]))
    levels = result.summary.filter(
        chosen, pl.col("day").is_null(), pl.col("arm") == "full", pl.col("cohort") == "incumbent"
    )
    means = dict(levels.select("measure", "mean").iter_rows())
    for name in _QUALITY:
        yield Value(name, means.get(name))
    for column in ("n_users", "n_seeds"):
        yield Value(column, changed.get(column))
    for row in result.mix.filter(chosen).sort("p_adjusted", nulls_last=True).iter_rows(named=True):
        place = "_".join(filter(None, ("mix", row["attribute"], row["value"])))
        for column, end in _MIX.items():
            value = row[column] if column == "p_adjusted" else _percent(row[column])
            yield Value(metric_name(f"{place}_{end}"), value)


def _served_by_day(rows: pl.DataFrame) -> Iterator[Value]:
    days = rows["day"].drop_nulls().unique().sort().to_list()
    by_day = rows.filter(pl.col("day").is_not_null(), measure="slots_changed")
    for row in by_day.iter_rows(named=True):
        step = days.index(row["day"]) + 1
        yield Value("changed_pct_by_day", _percent(row["drift"]), step)


def _percent(share: float | None) -> float | None:
    """A share in percent, with two decimals; the tables among the files have all."""
    return None if share is None else round(_HUNDRED * share, _DECIMALS)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
