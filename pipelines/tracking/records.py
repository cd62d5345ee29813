"""The params of a study's runs, and all its metrics: what `tracking.detail=full` records.

Metrics of a recommender beside those of `pipelines.tracking.short`, shares as fractions of 1:

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

from collections.abc import Iterator

import polars as pl

from pipelines.tracking.names import as_params, metric_name
from pipelines.tracking.record import Value, finite
from recsys.config import Chain, RecommenderSpec, Study, Training, World
from recsys.measures.rows import KEYS
from recsys.study.result import StudyResult
from recsys.study.tables.drift import PRIMARY, primaries_of_log
from recsys.study.tables.life import over_seeds
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


def variants(result: StudyResult) -> list[tuple[str, str]]:
    """The recommenders and mitigations of a study, in the order of the config."""
    rows = result.drift.select("recommender", "mitigation").unique(maintain_order=True)
    return list(rows.iter_rows())


def study_params(study: Study | Training) -> dict[str, str]:
    """The config as params such as `world.influx.newcomers: 750`, without long values.

    Where it runs is no part of them: an address may hold a password.
    """
    left_out = {"tracking", "engine"}
    return as_params(study.model_dump(mode="json", exclude_none=True, exclude=left_out))


def study_tags(result: StudyResult) -> dict[str, str]:
    """Results that are not numbers: for a log, the day on which newcomers began to arrive."""
    return {} if result.arrived is None else {"arrived": result.arrived.isoformat()}


def study_values(result: StudyResult) -> tuple[Value, ...]:
    """Metrics of the parent run: life on the platform of the house policy; arrivals in a log."""
    life = _life(result.life) if result.study.loop == "open" else ()
    return finite((*life, *_arrivals(result), *_exposed(result.exposed)))


def child_params(spec: RecommenderSpec, chain: Chain) -> dict[str, str]:
    """Kind and options of a recommender, and those of its mitigations, such as `anchor.mu`."""
    names = {"recommender": spec.name, "kind": spec.kind, "mitigation": chain.name}
    parts = {part.name: {"kind": part.kind, **part.options} for part in chain.parts}
    taken = {*names, *parts}
    options = {n if n not in taken else f"option {n}": v for n, v in spec.options.items()}
    return as_params({**names, **options, **parts})


def child_values(result: StudyResult, recommender: str, mitigation: str) -> tuple[Value, ...]:
    """All metrics of a recommender under a mitigation."""
    chosen = _is_variant(recommender, mitigation)
    is_closed = result.study.loop == "closed"
    values = (
        *_net(result, chosen),
        *_headline(result, chosen),
        *_drift(result.drift.filter(chosen)),
        *_quality(result.summary.filter(chosen)),
        *_front(result, chosen),
        *_recovery(result, chosen),
        *_channels(result, chosen),
        *_wins(result, chosen),
        *_groups(result, chosen),
        *_exposure(result, chosen),
        *_removals(result.removals.filter(pl.col("recommender") == recommender)),
        *_life(result.life.filter(chosen, is_closed)),
    )
    return finite(values)


def headline_values(result: StudyResult, recommender: str, mitigation: str) -> tuple[Value, ...]:
    """The metrics of `child_values` whose names begin with `headline/`."""
    chosen = _is_variant(recommender, mitigation)
    values = (*_net(result, chosen), *_headline(result, chosen))
    return tuple(value for value in finite(values) if value.name.startswith("headline/"))


def _is_variant(recommender: str, mitigation: str) -> pl.Expr:
    return (pl.col("recommender") == recommender) & (pl.col("mitigation") == mitigation)


def seed_values(rows: pl.DataFrame) -> tuple[Value, ...]:
    """Means over the rows of a recommender and a seed: `mean/influx/incumbent/posts`."""
    measures = [name for name in rows.columns if name not in KEYS]
    whole, daily = pl.col("day").is_null(), pl.col("day").is_not_null()
    means = rows.group_by("arm", "cohort", maintain_order=True).agg(
        pl.coalesce(pl.col(name).filter(whole).mean(), pl.col(name).filter(daily).mean())
        for name in measures
    )
    values = (
        Value(metric_name("mean", row["arm"], row["cohort"], measure), row[measure])
        for row in means.iter_rows(named=True)
        for measure in measures
    )
    return finite(values)


def _arrivals(result: StudyResult) -> Iterator[Value]:
    for period, first_seen in enumerate(result.arrivals["first_seen"]):
        yield Value("arrivals/first_seen", first_seen, period)
    if result.wave is not None:
        for name in ("before", "during", "peak", "size", "gain", "p_value"):
            yield Value(f"arrivals/{name}", getattr(result.wave, name))


def _exposed(table: pl.DataFrame) -> Iterator[Value]:
    lost = ("lost_low", "lost_high")
    for row in table.iter_rows(named=True):
        place = ("exposed", row["outcome"], *(["check"] if row["check"] else []))
        for name in ("low", "high", "difference", "ci_low", "ci_high", "p_value", *lost):
            yield Value(metric_name(*place, name), row[name])


def _removals(removals: pl.DataFrame) -> Iterator[Value]:
    for row in removals.iter_rows(named=True):
        for name in ("users", "largest_difference", "slots_that_differ"):
            yield Value(f"removal/{name}", row[name])


def _net(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """The table `headline` over all days: `headline/…` of all users, `net/<group>/…` of others."""
    if result.headline.is_empty():
        return
    for row in result.headline.filter(chosen, pl.col("day").is_null()).iter_rows(named=True):
        place = ("headline",) if row["group"] == "all" else ("net", row["group"])
        for column in _NET:
            yield Value(metric_name(*place, _METRICS.get(column, column)), row[column])


def _headline(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    drift, summary = result.drift.filter(chosen), result.summary.filter(chosen)
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
            name = metric_name("drift", "incumbent", row["measure"], column)
            yield Value(name, row[column], row["day"] or 0)


def _front(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """Each quantity of the front, and its difference to the row without a mitigation."""
    if result.front.is_empty():
        return
    for row in result.front.filter(chosen).iter_rows(named=True):
        for column in ("mean", "ci_low", "ci_high", "less_none"):
            yield Value(metric_name("front", row["quantity"], column), row[column])


def _recovery(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    if result.recovery.is_empty():
        return
    for row in result.recovery.filter(chosen).iter_rows(named=True):
        for column, edge in (("days", ""), ("ci_low", "_ci_low"), ("ci_high", "_ci_high")):
            name = metric_name("recovery", row["measure"], f"{row['event']}{edge}")
            yield Value(name, row[column])


def _channels(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """Parts of each channel over all days, with intervals of Shapley values and totals."""
    if result.channels.is_empty():
        return
    for row in result.channels.filter(chosen, pl.col("day").is_null()).iter_rows(named=True):
        place, part = ("channels", row["measure"], row["channel"]), row["part"]
        yield Value(metric_name(*place, part), row["mean"])
        if part in ("shapley", "total"):
            for edge in ("ci_low", "ci_high"):
                yield Value(metric_name(*place, f"{part}_{edge}"), row[edge])


def _wins(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """Shares of users who gain, who lose, and who do neither, over all days."""
    columns = ("wins", "losses", "ties", "balance", "balance_ci_low", "balance_ci_high")
    for row in result.wins.filter(chosen, pl.col("day").is_null()).iter_rows(named=True):
        for column in columns:
            yield Value(metric_name("wins", row["measure"], row["against"], column), row[column])


def _groups(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """The primary measures of each group of `evaluation.groups`."""
    source = result.study.source
    names = PRIMARY if isinstance(source, World) else primaries_of_log(source.attributes)
    primary = pl.col("measure").is_in(names)
    for row in result.groups.filter(chosen, primary).iter_rows(named=True):
        place = ("groups", row["attribute"], row["group"], row["measure"])
        for column in _PARTS_AND_EDGES:
            yield Value(metric_name(*place, column), row[column])


def _exposure(result: StudyResult, chosen: pl.Expr) -> Iterator[Value]:
    """How attention is spread over all days, without and with the newcomers."""
    arms = pl.col("arm").is_in(["control", "full", "influx"])
    for row in result.exposure.filter(chosen, arms, pl.col("day").is_null()).iter_rows(named=True):
        name = metric_name("exposure", row["arm"], row["cohort"], row["measure"])
        yield Value(name, row["mean"])


def _quality(summary: pl.DataFrame) -> Iterator[Value]:
    """Levels: measures that the control arm has too, unlike drift."""
    levels = summary.filter(pl.col("arm").is_in(["control", "full"]))["measure"].unique()
    chosen = summary.filter(pl.col("measure").is_in(levels.implode()), _with_newcomers(summary))
    by_day = chosen.filter(pl.col("day").is_not_null())
    for row in (chosen if by_day.is_empty() else by_day).iter_rows(named=True):
        name = metric_name("quality", row["cohort"], row["measure"])
        yield Value(name, row["mean"], row["day"] or 0)


def _life(life: pl.DataFrame) -> Iterator[Value]:
    """Means over seeds by day, without days on which nobody of the cohort is there."""
    columns = [name for name in LIFE if name not in ("day", "cohort")]
    for row in over_seeds(life.filter(pl.col("there") > 0)).iter_rows(named=True):
        for column in columns:
            name = metric_name("life", row["arm"], row["cohort"], column)
            yield Value(name, row[column], row["day"])


def _with_newcomers(summary: pl.DataFrame) -> pl.Expr:
    """The arm with the newcomers: `full` for a log, else `influx`."""
    return pl.col("arm") == ("full" if "full" in summary["arm"].to_list() else "influx")
