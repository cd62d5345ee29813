"""The notes of a study's result: sentences that say how far its figures can be trusted."""

from collections.abc import Iterator

import polars as pl

from recsys.config import Study
from recsys.statistics import MIN_SEEDS_FOR_CLAIMS
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.tables.counted import why_not
from recsys.study.tables.headline import FLOOR

_AGREES = 1e-8
"""Largest difference of weights that is numerical error."""


def notes_on_seeds(study: Study) -> tuple[str, ...]:
    """A note where a study of a world has too few seeds for its figures to be relied on.

    Args:
        study: from `load_study`.
    """
    rerun = f"Rerun with seeds={MIN_SEEDS_FOR_CLAIMS} before you"
    if study.seeds == 1:
        return (f"With one seed there are no intervals. {rerun} act on these numbers.",)
    if study.seeds < MIN_SEEDS_FOR_CLAIMS:
        return (f"With {study.seeds} seeds intervals are rough. {rerun} quote these numbers.",)
    return ()


def notes_on_floor(study: Study) -> tuple[str, ...]:
    """A note where a study of a world has no arm `nudge`, so that its floor is too low.

    Args:
        study: from `load_study`.
    """
    if FLOOR in study.arms:
        return ()
    floor = "training noise alone" if "retrain" in study.arms else "missing"
    return (
        f"This study has no arm nudge, so the floor of its headline is {floor}: less than what "
        "one more person would change. Add nudge to its arms.",
    )


def notes_on_log(log: MeasuredLog) -> tuple[str, ...]:
    """Notes on how the log was cleaned, when newcomers came, and how small a p-value can be.

    Args:
        log: the log as the study measures it.
    """
    counts = dict(log.whole.cleaning)
    used = f"{counts.pop('rows kept'):,} of its {counts.pop('rows'):,} rows were used"
    left_out = [f"{count:,} {what}" for what, count in counts.items() if count]
    draws = log.source.placebo_draws
    return (
        f"The log: {'; '.join([used, *left_out])}.",
        *log.own.notes,
        log.placebos.describe(),
        *_uncounted(log),
        f"With {draws} placebo groups, p cannot be below {1 / (draws + 1):.3g}.",
        *log.exposed.notes,
    )


def _uncounted(log: MeasuredLog) -> Iterator[str]:
    reason = why_not(log.own.complete)
    if reason:
        yield f"What newcomers' posts took of all that was shown is not counted: {reason}."


def notes_on_removals(study: Study, removals: pl.DataFrame) -> Iterator[str]:
    """Notes on whether removing the newcomers from a model exactly agrees with a new fit.

    Args:
        study: from `load_study`.
        removals: the table `removals`, a row for each recommender that can remove users.
    """
    for row in removals.iter_rows(named=True):
        agrees = row["largest_difference"] <= _AGREES
        way = (
            "removed exactly, too"
            if row["draws_by_removal"]
            else "left out by retraining, which costs less here"
        )
        yield (
            f"{row['recommender']}: removing {row['users']:,} newcomers from the model exactly "
            f"{'agrees' if agrees else 'does NOT agree'} with retraining without them. The largest "
            f"difference of a weight is {row['largest_difference']:.1e}, and "
            f"{row['slots_that_differ']:,} of {row['slots']:,} slots differ. "
            f"{'' if agrees else 'Raise its regularization. '}Placebo groups are {way}."
        )
    for spec in study.recommenders:
        if spec.kind == "ease" and spec.name not in removals["recommender"]:
            yield (
                f"{spec.name}: exact removal was not checked, since the matrices of two models "
                "need more than memory_gb."
            )
