"""The params and metrics of a run by name, as MLflow gets them.

Metrics of a recommender:

    headline/net                                a few metrics to compare in a table
    net/trending_slots/{net, floor, displaced, …}   groups of users, and slots by source
    drift/incumbent/posts/{influx, placebo, retrain, total, volume, composition, …}
    quality/newcomer/utility                    a level in the influx arm
    front/net/{mean, ci_low, ci_high, less_none}   of a study with mitigations
    recovery/language_format/{half, inside}     days from the reversal, if it was reached
    channels/language_format/supply/{shapley, shapley_ci_low, …, first_in, last_in}
    wins/utility/{control, placebo, retrain}/{wins, losses, ties, balance, balance_ci_low, …}
    groups/activity/low_up_to_2/language_format/{total, composition, …}   primary measures only
    exposure/{control, influx}/incumbent/{gini_posts, coverage, …}
    life/influx/newcomer/click_rate             of the platform that the recommender serves
    removal/largest_difference                  exact removal against retraining (a log, ease)

Drift, quality and life have a value for each day (`step`), the others one over all days. Values
that are not finite numbers are left out. In an open loop the house policy serves the platform, so
the parent run has the metrics of life. The parent run of a log has the arrivals of new users
(`arrivals/first_seen`, with the period as step), the evidence for a wave of newcomers
(`arrivals/p_value`) and the view by exposure (`exposed/topic/difference`, `exposed/topic/check/…`).
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import polars as pl

from recsys.config import Chain, RecommenderSpec, Study, Training, World
from recsys.measures.rows import KEYS
from recsys.served.compare import FeedComparison
from recsys.study.compare import COMPARED
from recsys.study.result import StudyResult
from recsys.study.tables.drift import PRIMARY, primaries_of_log
from recsys.study.tables.life import over_seeds
from recsys.training.train import TrainingResult
from recsys.world.life import LIFE

_PARTS = ("total", "volume", "composition")
_PARTS_AND_EDGES = tuple(f"{part}{edge}" for part in _PARTS for edge in ("", "_ci_low", "_ci_high"))
_DRIFT = ("influx", "placebo", "retrain", *_PARTS_AND_EDGES, "p_value")
_NET = (
    "net",
    "net_ci_low",
    "net_ci_high",
    "displaced",
    "reshuffled",
    "plain",
    "changed",
    "floor",
    "nudge_3",
    "nudge_10",
    "retrain",
    "locals",
    "placebo",
    "over_locals",
    "over_placebo",
    "english",
    "utility",
)
"""Columns of the table `headline` that are metrics."""
_METRICS = {"english": "english_points", "utility": "utility_change"}
"""Metrics whose name is not that of the column."""
_HEADLINE_DRIFT = {
    "slots_changed": ("slots_changed", "influx"),
    "slots_changed_total": ("slots_changed", "total"),
    "slots_changed_volume": ("slots_changed", "volume"),
    "slots_changed_composition": ("slots_changed", "composition"),
    "slots_changed_p": ("slots_changed", "p_value"),
    "posts_p": ("posts", "p_value"),
    "posts_total": ("posts", "total"),
    "posts_composition": ("posts", "composition"),
    "language_format_total": ("language_format", "total"),
    "language_format_composition": ("language_format", "composition"),
    "english_slots_composition": ("language:en", "composition"),
    "newcomer_slots": ("newcomer_slots", "influx"),
    "utility_total": ("utility", "total"),
    "utility_composition": ("utility", "composition"),
    "ndcg_composition": ("ndcg", "composition"),
    "recall_composition": ("recall", "composition"),
}
_HEADLINE_LEVEL = {
    "english_slots": ("incumbent", "language:en"),
    "utility": ("incumbent", "utility"),
    "newcomers_utility": ("newcomer", "utility"),
    "ndcg": ("incumbent", "ndcg"),
    "recall": ("incumbent", "recall"),
}
"""Cohort and measure of each metric that is a mean in the influx arm."""
_SERVED = (
    "a",
    "b",
    *(
        f"{part}{edge}"
        for part in ("drift", "floor", "excess")
        for edge in ("", "_ci_low", "_ci_high")
    ),
)
_LONGEST_VALUE = 500
_LONGEST_NAME = 250


class Value(NamedTuple):
    """The name, value and evaluation day of a metric."""

    name: str
    value: float | None
    step: int = 0


def variants(result: StudyResult) -> list[tuple[str, str]]:
    """The recommenders and mitigations of a study, in the order of the config."""
    rows = result.drift.select("recommender", "mitigation").unique(maintain_order=True)
    return list(rows.iter_rows())


def study_params(study: Study | Training) -> dict[str, str]:
    """The config as params such as `world.influx.newcomers: 750`, without long values."""
    return _as_params(study.model_dump(mode="json", exclude_none=True))


def study_tags(result: StudyResult) -> dict[str, str]:
    """Results that are not numbers: for a log, the day on which newcomers began to arrive."""
    return {} if result.arrived is None else {"arrived": result.arrived.isoformat()}


def study_values(result: StudyResult) -> list[Value]:
    """Metrics of the parent run: life on the platform of the house policy; arrivals in a log."""
    life = _life(result.life) if result.study.loop == "open" else ()
    return _finite((*life, *_arrivals(result), *_exposed(result.exposed)))


def training_values(result: TrainingResult) -> list[Value]:
    """Metrics of a training run: `test/<all, cohort or status>/<metric>_at_20`, and times."""
    k = result.training.k
    values = [
        Value(f"test/{row['group']}/{_plain(row['metric'])}_at_{k}", row["value"])
        for row in result.summary.iter_rows(named=True)
    ]
    users = result.summary.group_by("group", maintain_order=True).agg(pl.col("n_users").max())
    values += [Value(f"test/{group}/users", n) for group, n in users.iter_rows()]
    timings = result.timings.row(0, named=True)
    values += [Value(f"time/{name}", timings[name]) for name in ("fit_s", "serve_s", "users_per_s")]
    return _finite(values)


def trial_values(figures: Mapping[str, float], k: int) -> list[Value]:
    """Metrics of a trial of a search: `validation/all/<metric>_at_20` and `time/fit_s`."""
    values = []
    for name, value in figures.items():
        metric = f"time/{name}" if name.endswith("_s") else f"validation/all/{_plain(name)}_at_{k}"
        values.append(Value(metric, value))
    return _finite(values)


def options_params(options: Mapping[str, Any]) -> dict[str, str]:
    """The options of a recommender as params."""
    return _as_params(options)


def child_params(spec: RecommenderSpec, chain: Chain) -> dict[str, str]:
    """Kind and options of a recommender, and those of its mitigations, such as `anchor.mu`."""
    names = {"recommender": spec.name, "kind": spec.kind, "mitigation": chain.name}
    parts = {part.name: {"kind": part.kind, **part.options} for part in chain.parts}
    return _as_params({**names, **spec.options, **parts})


def child_values(result: StudyResult, recommender: str, mitigation: str) -> list[Value]:
    """All metrics of a recommender under a mitigation."""
    chosen = (pl.col("recommender") == recommender) & (pl.col("mitigation") == mitigation)
    drift, summary = result.drift.filter(chosen), result.summary.filter(chosen)
    is_closed = result.study.loop == "closed"
    values = (
        *_net(result, chosen),
        *_headline(drift, summary),
        *_drift(drift),
        *_quality(summary),
        *_front(result, chosen),
        *_recovery(result, chosen),
        *_channels(result, chosen),
        *_wins(result, chosen),
        *_groups(result, chosen),
        *_exposure(result, chosen),
        *_removals(result.removals.filter(pl.col("recommender") == recommender)),
        *_life(result.life.filter(chosen, is_closed)),
    )
    return _finite(values)


def verdict_values(verdicts: pl.DataFrame) -> list[Value]:
    """Metrics of a validation: `check_1/Gini_of_clicks/house` and its `_ci_low`, `_ci_high`.

    `verdicts/holds`, `verdicts/fails` and `verdicts/unclear` count the figures with each verdict.
    """
    values = [
        Value(f"verdicts/{verdict}", (verdicts["verdict"] == verdict).sum())
        for verdict in ("holds", "fails", "unclear")
    ]
    for row in verdicts.iter_rows(named=True):
        name = f"check_{row['check']}/{_plain(row['quantity'])}/{_plain(row['served_by'])}"
        values += [
            Value(f"{name}{edge}", row[column])
            for edge, column in (("", "mean"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"))
        ]
    return _finite(values)


def served_params(config: Mapping[str, Any]) -> dict[str, str]:
    """Files and arguments of a comparison of served feeds, as params."""
    return _as_params(config)


def served_values(result: FeedComparison) -> list[Value]:
    """Metrics of served feeds: `headline/…`, and `drift/<cohort>/<measure>/{drift, floor, excess}`.

    A level also has `a` and `b`. The step is the number of the day among those compared, 1 for the
    first. The headline holds means over days, of the cohort `all` if there are several cohorts.
    """
    whole = result.drift.filter(pl.col("day").is_null())
    cohort = whole["cohort"][-1]
    values = [
        Value(f"headline/{_plain(row['measure'])}_{part}", row[part])
        for row in whole.filter(cohort=cohort).iter_rows(named=True)
        for part in ("drift", "floor", "excess")
    ]
    days = result.drift["day"].drop_nulls().unique().sort().to_list()
    for row in (
        result.drift if not days else result.drift.filter(pl.col("day").is_not_null())
    ).iter_rows(named=True):
        step = days.index(row["day"]) + 1 if days else 0
        name = f"drift/{_plain(row['cohort'])}/{_plain(row['measure'])}"
        values += [Value(f"{name}/{part}", row[part], step) for part in _SERVED]
    return _finite(values)


def compared_values(table: pl.DataFrame) -> list[Value]:
    """Metrics of two studies compared: `difference/<recommender>/<measure>` and its ends.

    A few measures alone; the table has all.
    """
    values = []
    for row in table.filter(pl.col("measure").is_in(COMPARED)).iter_rows(named=True):
        names = (row["recommender"], *([row["mitigation"]] if row["mitigation"] != "none" else ()))
        place = f"difference/{_plain('+'.join(names))}/{_plain(row['measure'])}"
        values += [
            Value(f"{place}{edge}", row[column])
            for edge, column in (("", "difference"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"))
        ]
    return _finite(values)


def seed_values(rows: pl.DataFrame) -> list[Value]:
    """Means over the rows of a recommender and a seed: `mean/influx/incumbent/posts`."""
    measures = [name for name in rows.columns if name not in KEYS]
    whole, daily = pl.col("day").is_null(), pl.col("day").is_not_null()
    means = rows.group_by("arm", "cohort", maintain_order=True).agg(
        pl.coalesce(pl.col(name).filter(whole).mean(), pl.col(name).filter(daily).mean())
        for name in measures
    )
    values = (
        Value(f"mean/{row['arm']}/{row['cohort']}/{_plain(measure)}", row[measure])
        for row in means.iter_rows(named=True)
        for measure in measures
    )
    return _finite(values)


def _arrivals(result: StudyResult) -> Iterator[Value]:
    for period, first_seen in enumerate(result.arrivals["first_seen"]):
        yield Value("arrivals/first_seen", first_seen, period)
    if result.wave is not None:
        for name in ("before", "during", "gain", "penalty", "line", "p_value"):
            yield Value(f"arrivals/{name}", getattr(result.wave, name))


def _exposed(table: pl.DataFrame) -> Iterator[Value]:
    lost = ("lost_low", "lost_high")
    for row in table.iter_rows(named=True):
        place = f"exposed/{_plain(row['outcome'])}{'/check' if row['check'] else ''}"
        for name in ("low", "high", "difference", "ci_low", "ci_high", "p_value", *lost):
            yield Value(f"{place}/{name}", row[name])


def _removals(removals: pl.DataFrame) -> Iterator[Value]:
    for row in removals.iter_rows(named=True):
        for name in ("users", "largest_difference", "slots_that_differ"):
            yield Value(f"removal/{name}", row[name])


def _net(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """The table `headline` over all days: `headline/…` of all users, `net/<group>/…` of others."""
    if result.headline.is_empty():
        return
    for row in result.headline.filter(chosen, pl.col("day").is_null()).iter_rows(named=True):
        start = "headline" if row["group"] == "all" else f"net/{_plain(row['group'])}"
        for column in _NET:
            yield Value(f"{start}/{_METRICS.get(column, column)}", row[column])


def _headline(drift: pl.DataFrame, summary: pl.DataFrame) -> Iterator[Value]:
    whole = pl.col("day").is_null()
    parts = {row["measure"]: row for row in drift.filter(whole).iter_rows(named=True)}
    for name, (measure, column) in _HEADLINE_DRIFT.items():
        yield Value(f"headline/{name}", parts.get(measure, {}).get(column))
    levels = summary.filter(whole, _with_newcomers(summary)).select("cohort", "measure", "mean")
    means = {(cohort, measure): mean for cohort, measure, mean in levels.iter_rows()}
    for name, key in _HEADLINE_LEVEL.items():
        yield Value(f"headline/{name}", means.get(key))


def _drift(drift: pl.DataFrame) -> Iterator[Value]:
    """Drift by day; a log has one day only, that of the headline."""
    by_day = drift.filter(pl.col("day").is_not_null())
    for row in (drift if by_day.is_empty() else by_day).iter_rows(named=True):
        for column in _DRIFT:
            name = f"drift/incumbent/{_plain(row['measure'])}/{column}"
            yield Value(name, row[column], row["day"] or 0)


def _front(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """Each quantity of the front, and its difference to the row without a mitigation."""
    if result.front.is_empty():
        return
    for row in result.front.filter(chosen).iter_rows(named=True):
        for column in ("mean", "ci_low", "ci_high", "less_none"):
            yield Value(f"front/{row['quantity']}/{column}", row[column])


def _recovery(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    if result.recovery.is_empty():
        return
    for row in result.recovery.filter(chosen).iter_rows(named=True):
        for column, edge in (("days", ""), ("ci_low", "_ci_low"), ("ci_high", "_ci_high")):
            yield Value(f"recovery/{_plain(row['measure'])}/{row['event']}{edge}", row[column])


def _channels(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """Parts of each channel over all days, with intervals of Shapley values and totals."""
    if result.channels.is_empty():
        return
    for row in result.channels.filter(chosen, pl.col("day").is_null()).iter_rows(named=True):
        name = f"channels/{row['measure']}/{_plain(row['channel'])}/{row['part']}"
        yield Value(name, row["mean"])
        if row["part"] in ("shapley", "total"):
            yield Value(f"{name}_ci_low", row["ci_low"])
            yield Value(f"{name}_ci_high", row["ci_high"])


def _wins(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """Shares of users who gain, who lose, and who do neither, over all days."""
    columns = ("wins", "losses", "ties", "balance", "balance_ci_low", "balance_ci_high")
    for row in result.wins.filter(chosen, pl.col("day").is_null()).iter_rows(named=True):
        for column in columns:
            name = f"wins/{_plain(row['measure'])}/{_plain(row['against'])}/{column}"
            yield Value(name, row[column])


def _groups(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """The primary measures of each group of `evaluation.groups`."""
    source = result.study.source
    names = PRIMARY if isinstance(source, World) else primaries_of_log(source.attributes)
    primary = pl.col("measure").is_in(names)
    for row in result.groups.filter(chosen, primary).iter_rows(named=True):
        place = f"groups/{_plain(row['attribute'])}/{_plain(row['group'])}/{row['measure']}"
        for column in _PARTS_AND_EDGES:
            yield Value(f"{place}/{column}", row[column])


def _exposure(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """How attention is spread over all days, without and with the newcomers."""
    arms = pl.col("arm").is_in(["control", "full", "influx"])
    for row in result.exposure.filter(chosen, arms, pl.col("day").is_null()).iter_rows(named=True):
        yield Value(f"exposure/{row['arm']}/{row['cohort']}/{row['measure']}", row["mean"])


def _quality(summary: pl.DataFrame) -> Iterator[Value]:
    """Levels: measures that the control arm has too, unlike drift."""
    levels = summary.filter(pl.col("arm").is_in(["control", "full"]))["measure"].unique()
    chosen = summary.filter(pl.col("measure").is_in(levels.implode()), _with_newcomers(summary))
    by_day = chosen.filter(pl.col("day").is_not_null())
    for row in (chosen if by_day.is_empty() else by_day).iter_rows(named=True):
        name = f"quality/{row['cohort']}/{_plain(row['measure'])}"
        yield Value(name, row["mean"], row["day"] or 0)


def _life(life: pl.DataFrame) -> Iterator[Value]:
    """Means over seeds by day, without days on which nobody of the cohort is there."""
    columns = [name for name in LIFE if name not in ("day", "cohort")]
    for row in over_seeds(life.filter(pl.col("there") > 0)).iter_rows(named=True):
        for column in columns:
            yield Value(f"life/{row['arm']}/{row['cohort']}/{column}", row[column], row["day"])


def _with_newcomers(summary: pl.DataFrame) -> pl.Expr:
    """The arm with the newcomers: `full` for a log, else `influx`."""
    return pl.col("arm") == ("full" if "full" in summary["arm"].to_list() else "influx")


def _finite(values: Iterable[Value]) -> list[Value]:
    return [v for v in values if v.value is not None and math.isfinite(v.value)]


def _as_params(tree: Mapping[str, Any]) -> dict[str, str]:
    params = {_plain(name)[:_LONGEST_NAME]: _text(value) for name, value in _flat(tree)}
    return {name: text for name, text in params.items() if len(text) <= _LONGEST_VALUE}


def _flat(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves with their dotted paths; a list is a leaf unless it holds mappings."""
    if isinstance(tree, Mapping):
        pairs: Any = tree.items()
    elif isinstance(tree, list) and any(isinstance(entry, Mapping) for entry in tree):
        pairs = enumerate(tree)
    else:
        yield path, tree
        return
    for key, value in pairs:
        yield from _flat(value, f"{path}.{key}" if path else str(key))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _plain(name: str) -> str:
    """A name with only the characters that MLflow takes: letters, digits, `_`, `-` and `.`."""
    return re.sub(r"[^\w.\-]+", "_", name)
