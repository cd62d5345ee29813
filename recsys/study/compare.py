"""Two studies of the same world or log compared: differences, paired over users and seeds.

The same people with the same luck are in both, so a difference is far more certain than either
figure. `recsys compare` refuses studies whose worlds or logs differ; here that is asked of the
caller, who knows the files.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from recsys.config import Study, World
from recsys.core.errors import ConfigError
from recsys.measures.rows import KEYS
from recsys.study.paired import NET, UserValues, difference, net_by_user, rows_of_variant
from recsys.study.tables.cubes import frame_of
from recsys.study.tables.headline import Arms
from recsys.study.tables.table import Column, Columns, common

COMPARED = ("net", "slots_changed", "displaced", "posts", "language_format", "utility", "ndcg")
"""The measures that a short comparison shows."""

COLUMNS: Columns = {
    **common("recommender", "mitigation"),
    "measure": Column(
        pl.String,
        "`net`; a measure of drift, in the arm `influx`; or a level, such as `utility`: its "
        "difference between influx and the reference arm",
    ),
    "first": Column(pl.Float64, "mean in the first study, over all days"),
    "second": Column(pl.Float64, "mean in the second study"),
    "difference": Column(pl.Float64, "second - first, of the users and seeds that both have"),
    **common("ci_low", "ci_high", "p_value", "n_users", "n_seeds"),
}
"""Columns of a comparison; intervals are those of `two_way_interval`, of a log over users alone."""


def compare_studies(
    first: tuple[Study, pl.DataFrame], second: tuple[Study, pl.DataFrame]
) -> pl.DataFrame:
    """The differences between two studies, by recommender and measure.

    Args:
        first, second: a study and its table `per_user`, such as `(result.study, result.per_user)`.

    Returns:
        The columns of `COLUMNS`: a row for each recommender under each mitigation that both have,
        and each quantity that both measured, `net` first. A difference has no interval where the
        studies share a single seed of a world.

    Raises:
        ConfigError: they measured other days or depths of feeds, or share no recommender, no user
            or no seed.

    Example:
        >>> import recsys
        >>> config = {"name": "tiny", "world": {"incumbents": 100, "days_before": 2,
        ...     "days_after": 2, "influx": {"kind": "step", "newcomers": 10}},
        ...     "recommenders": ["trending"], "arms": ["control", "influx", "nudge"], "seeds": 2,
        ...     "evaluation": {"days": [1], "k": 5, "panel": 20, "nudges": 1}}
        >>> result = recsys.run(recsys.load_study(config))
        >>> both = (result.study, result.per_user)
        >>> compare_studies(both, both)["difference"].abs().max()
        0.0
    """
    _check(first[0], second[0])
    first, second = (
        (mine[0], _shared_rows(mine[1], other[1]))
        for mine, other in ((first, second), (second, first))
    )
    variants = [v for v in _variants(first[1]) if v in set(_variants(second[1]))]
    if not variants:
        names = (", ".join(sorted({v[0] for v in _variants(rows)})) for _, rows in (first, second))
        raise ConfigError("compare: the studies share no recommender: {}; {}".format(*names))
    rows, of_world = [], isinstance(first[0].source, World)
    for variant in variants:
        for measure, a, b in _pairs(first, second, variant):
            known = np.isfinite(a.values) & np.isfinite(b.values)
            found = difference(a, b, over_seeds=of_world)
            keys = {"recommender": variant[0], "mitigation": variant[1], "measure": measure}
            if not known.any():
                continue
            means = {"first": a.values[known].mean(), "second": b.values[known].mean()}
            ends = {"ci_low": found.low, "ci_high": found.high, "p_value": found.p_value}
            counts = {"n_users": found.n_users, "n_seeds": found.n_seeds}
            rows.append({**keys, **means, "difference": found.mean, **ends, **counts})
    return frame_of(rows, COLUMNS)


def _shared_rows(rows: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The rows of the users and seeds that both have; all rows of recommenders that one lacks.

    Net is made of means over users, so it is taken over the users that both have.
    """
    paired = ("recommender", "mitigation", "seed", "user_id")
    of_both = rows.join(other.select(paired).unique(), on=paired, how="semi")
    if of_both.is_empty() and set(_variants(rows)) & set(_variants(other)):
        raise ConfigError(
            "compare: the studies share no user or no seed; give both the same evaluation.panel, "
            "seeds and first_seed"
        )
    return of_both if not of_both.is_empty() else rows


def _check(first: Study, second: Study) -> None:
    for name in ("k", "days"):
        a, b = (getattr(study.evaluation, name) for study in (first, second))
        if a != b and (name == "k" or isinstance(first.source, World)):
            raise ConfigError(
                f"compare: evaluation.{name} is {a} in {first.name} and {b} in {second.name}, so "
                "their feeds cannot be paired; run one of them again with that of the other"
            )


def _variants(rows: pl.DataFrame) -> list[tuple[str, str]]:
    return list(rows.select("recommender", "mitigation").unique(maintain_order=True).iter_rows())


def _pairs(
    first: tuple[Study, pl.DataFrame], second: tuple[Study, pl.DataFrame], variant: tuple[str, str]
) -> Iterator[tuple[str, UserValues, UserValues]]:
    """Each quantity that both studies measured, with its values in both."""
    (study, rows), (other, other_rows) = first, second
    if isinstance(study.source, World):
        nets = [net_by_user(r, s, variant) for s, r in (first, second)]
        if nets[0] is not None and nets[1] is not None:
            yield NET, nets[0], nets[1]
    measures = [n for n in rows.columns if n not in KEYS and n in other_rows.columns]
    both = [
        _values(study, rows, variant, measures),
        _values(other, other_rows, variant, measures),
    ]
    for measure in measures:
        if measure in both[0] and measure in both[1]:
            yield measure, both[0][measure], both[1][measure]


def _values(
    study: Study, per_user: pl.DataFrame, variant: tuple[str, str], measures: Sequence[str]
) -> dict[str, UserValues]:
    """Drift in the arm influx, and the difference of levels to the reference, of each user."""
    rows = rows_of_variant(per_user, variant, measures)
    arms, seeds = Arms.of(rows, study), np.unique(rows["seed"].to_numpy())
    reference = "control" if isinstance(study.source, World) else "full"
    found: dict[str, UserValues] = {}
    for measure in measures:
        influx, before = (arms.at(0, arm, measure) for arm in ("influx", reference))
        if influx is not None and np.isfinite(influx).any():
            values = influx if before is None else influx - before
            found[measure] = UserValues(arms.users, seeds, values)
    return found
