"""What a user of a study's figures must know, a sentence each."""

from collections.abc import Iterator

import polars as pl

from recsys.config import Study
from recsys.statistics import MIN_SEEDS_FOR_CLAIMS
from recsys.study.arms.own_log import MeasuredLog

_AGREES = 1e-8
"""Largest difference of weights that is numerical error."""


def notes_on_seeds(study: Study) -> tuple[str, ...]:
    """Whether there are seeds enough for intervals and claims."""
    if study.seeds == 1:
        return ("One seed: no interval can be given. Run with seeds=8 or more before you act.",)
    if study.seeds < MIN_SEEDS_FOR_CLAIMS:
        return (
            f"{study.seeds} seeds: intervals are rough. Claims want "
            f"seeds={MIN_SEEDS_FOR_CLAIMS} or more.",
        )
    return ()


def notes_on_log(arms: MeasuredLog) -> tuple[str, ...]:
    """How the log was cleaned, who came when, and how small a p-value can be."""
    counts = dict(arms.whole.cleaning)
    used = f"{counts.pop('rows kept'):,} of {counts.pop('rows'):,} rows used"
    cleaned = "; ".join([used, *(f"{count:,} {what}" for what, count in counts.items() if count)])
    smallest = 1 / (arms.source.placebo_draws + 1)
    return (
        f"Log: {cleaned}.",
        *arms.own.notes,
        arms.matching.describe(),
        f"{arms.source.placebo_draws} placebo groups: p cannot be below {smallest:.3g}.",
        *arms.exposed.notes,
    )


def notes_on_removals(study: Study, removals: pl.DataFrame) -> Iterator[str]:
    """Whether exact removal of the newcomers agrees with a new fit, for each recommender."""
    for row in removals.iter_rows(named=True):
        agrees = row["largest_difference"] <= _AGREES
        slots, other = row["slots"], row["slots_that_differ"]
        way = "exact removal" if row["draws_by_removal"] else "retraining, which costs less here"
        yield (
            f"{row['recommender']}: exact removal of {row['users']:,} newcomers "
            f"{'agrees' if agrees else 'does NOT agree'} with retraining: largest |ΔB| "
            f"{row['largest_difference']:.1e}, {other:,} of {slots:,} slots differ. Placebo groups "
            f"by {way}{'' if agrees else '; raise regularization'}."
        )
    for spec in study.recommenders:
        if spec.kind == "ease" and spec.name not in removals["recommender"]:
            yield (
                f"{spec.name}: exact removal is not checked, since the matrices of two models are "
                "more than memory_gb."
            )
