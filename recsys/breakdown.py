"""Beyond means over all users: who wins and loses, whom it strikes, how attention falls.

All three rest on the per-user and exposure rows of a study's cells, as summaries do.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.arms.exposure import EXPOSURE_FORMULAS
from recsys.arms.log import LogArms
from recsys.arms.measure import KEYS, Attributes, described, is_level, measures_of
from recsys.config import Study
from recsys.drift import MEASURES
from recsys.groups import groups_of_users, in_order
from recsys.inference import two_way_interval, users_interval
from recsys.summary import cubes_of
from recsys.world.notes import is_creator
from recsys.world.population import LANGUAGES, draw_incumbents

__all__ = [
    "exposure_summary",
    "groups_of",
    "measures_in",
    "users_of_log",
    "users_of_world",
    "wins_of",
]

WORTH = ("utility", "ndcg", "recall")
"""Measures of which more is better for the reader."""
_SAME = 1e-6
"""Worth that differs by less is a tie: float32 adds noise in the last places."""

_WINS: dict[str, Any] = {
    **dict.fromkeys(("recommender", "mitigation"), pl.String),
    "day": pl.Int32,
    **dict.fromkeys(("measure", "against"), pl.String),
    **dict.fromkeys(
        ("wins", "losses", "ties", "balance", "balance_ci_low", "balance_ci_high"), pl.Float64
    ),
    "n_users": pl.Int64,
    "n_seeds": pl.Int64,
}


def wins_of(per_user: pl.DataFrame) -> pl.DataFrame:
    """Shares of incumbents whose feeds are worth more, less and as much with the newcomers.

    A mean loss of 1 % may be everybody's small loss or a tenth's large one.

    Args:
        per_user: as in `StudyResult.per_user`.

    Returns:
        The frame described at `StudyResult.wins`. Each user counts once a seed. In a log a win is
        one of the feeds *with* the newcomers; each placebo group is compared by itself and shares
        are means over groups, since the mean of many feeds' worth is hardly ever 0, or one feed's.
        The balance has an interval only with two seeds and where signs differ.
    """
    rows = []
    chosen = [name for name in per_user.columns if name in KEYS or name in WORTH]
    incumbents = per_user.filter(pl.col("cohort") == "incumbent").select(chosen)
    for (recommender, mitigation), group in incumbents.group_by(
        "recommender", "mitigation", maintain_order=True
    ):
        parts = {str(arm): part for (arm,), part in group.group_by("arm")}
        is_log = "full" in parts
        if is_log and "placebo" in parts:  # each group in the place of a seed; a log has one seed
            parts["placebo"] = parts["placebo"].with_columns(seed=pl.col("draw"))
        arms = {arm: cubes_of(part) for arm, part in parts.items()}
        ours = arms["full" if is_log else "influx"]
        for against in ("influx", "placebo") if is_log else ("control", "placebo", "retrain"):
            for measure, cube in ours.items():
                if measure not in arms.get(against, {}):
                    continue
                others = arms[against][measure]
                for place, day in enumerate(cube.days):
                    difference = cube.values[place] - others.values[place]
                    keys = {"recommender": recommender, "mitigation": mitigation, "day": day}
                    named = {
                        "measure": measure,
                        "against": _without(against) if is_log else against,
                    }
                    rows.append({**keys, **named, **_tally(difference, one_history=is_log)})
    return pl.DataFrame(rows, schema=_WINS).with_columns(
        pl.col("balance_ci_low", "balance_ci_high").fill_nan(None)
    )


def _without(arm: str) -> str:
    """What the arms of a log leave out."""
    return {"influx": "without newcomers", "placebo": "without placebos"}[arm]


def _tally(difference: NDArray[np.float64], *, one_history: bool = False) -> dict[str, Any]:
    """Shares from differences (users, seeds, or placebo groups); users count who have all of them.

    An interval of no width is none: where all signs are equal nothing is known of how they vary.
    """
    known = difference[~np.isnan(difference).any(axis=1)]
    signs = np.where(np.abs(known) <= _SAME, 0.0, np.sign(known))
    balance = two_way_interval(signs.mean(axis=1, keepdims=True) if one_history else signs)
    varies = balance.low < balance.high
    shares = {"wins": signs > 0, "losses": signs < 0, "ties": signs == 0}
    return {
        **{name: float(of.mean()) if of.size else None for name, of in shares.items()},
        "balance": float(balance.mean) if signs.size else None,
        "balance_ci_low": max(float(balance.low), -1.0) if varies else None,
        "balance_ci_high": min(float(balance.high), 1.0) if varies else None,
        "n_users": known.shape[0],
        "n_seeds": 1 if one_history else known.shape[1],
    }


# --- groups ---------------------------------------------------------------------------------------


def groups_of(
    per_user: pl.DataFrame,
    users: pl.DataFrame,
    names: tuple[str, ...],
    drift_of: Callable[[pl.DataFrame], pl.DataFrame],
) -> pl.DataFrame:
    """The headline drift of each group of the measured incumbents.

    Args:
        per_user: as in `StudyResult.per_user`.
        users: user_id and attributes, from `users_of_world` or `users_of_log`.
        names: attributes to group by; cut among the users that were measured.
        drift_of: from per-user rows to the frame of `StudyResult.drift`.

    Returns:
        The frame described at `StudyResult.groups`; no row without names.
    """
    headline = per_user.filter(pl.col("day").is_null(), pl.col("cohort") == "incumbent")
    panel = users.join(headline.select("user_id").unique(), on="user_id", how="semi")
    cut = groups_of_users(panel, names, "evaluation.groups")
    frames = [_empty_groups(drift_of(headline.clear()))]
    for attribute in names:
        for group in in_order(cut[attribute]):
            ids = cut.filter(pl.col(attribute) == group).select("user_id")
            rows = headline.join(ids, on="user_id", how="semi", maintain_order="left")
            keyed = drift_of(rows).with_columns(
                pl.lit(attribute).alias("attribute"), pl.lit(group).alias("group")
            )
            levels = _levels(rows)
            joined = keyed.join(
                levels, on=["recommender", "mitigation", "measure"], how="left",
                maintain_order="left",
            )  # fmt: skip
            frames.append(joined.select(frames[0].columns))
    return pl.concat(frames)


def _empty_groups(drift: pl.DataFrame) -> pl.DataFrame:
    """The columns: those of drift without day and p_adjusted, and three more."""
    figures = [name for name in drift.columns if name not in _BEFORE and name != "p_adjusted"]
    text = [pl.lit("").alias(name) for name in ("attribute", "group")]
    level = pl.lit(None, pl.Float64).alias("level")
    return drift.select("recommender", "mitigation", *text, "measure", level, *figures).clear()


_BEFORE = ("recommender", "mitigation", "day", "measure")


def _levels(rows: pl.DataFrame) -> pl.DataFrame:
    """Mean of each level in the reference arm, by recommender."""
    measures = [name for name in rows.columns if name not in KEYS and is_level(name)]
    reference = rows.filter(pl.col("arm").is_in(["control", "full"]))
    return (
        reference.group_by("recommender", "mitigation", maintain_order=True)
        .agg(pl.col(measures).mean())
        .unpivot(measures, index=["recommender", "mitigation"], variable_name="measure",
                 value_name="level")
    )  # fmt: skip


def users_of_world(study: Study) -> pl.DataFrame:
    """What incumbents of a world can be grouped by, known before the influx.

    Args:
        study: of a world.

    Returns:
        user_id · activity (visits a day) · skill (reading, in the language they know less) ·
        language (of their app) · main_topic · curious · posts.
    """
    world = study.world
    assert world is not None
    people = draw_incumbents(world)
    topics = list(world.population.incumbents.topics)
    return pl.DataFrame(
        {
            "user_id": np.arange(people.n, dtype=np.int64),
            "activity": people.visits * people.presence,
            "skill": people.skill.min(axis=1),
            "language": [LANGUAGES[code] for code in people.app_language],
            "main_topic": [topics[place] for place in people.taste.argmax(axis=1)],
            "curious": people.curious,
            "posts": is_creator(world, people),
        }
    )


def users_of_log(arms: LogArms) -> pl.DataFrame:
    """What users of a log can be grouped by.

    Args:
        arms: of the log.

    Returns:
        The columns of its users, and, unless there are such: activity (positive events in the
        training part), tenure (`joined`) and main_topic (the one liked most, if topics are known).
    """
    users, extra = arms.train.users, {}
    extra["activity"] = pl.Series(arms.activity)
    if "joined" in users.columns:
        extra["tenure"] = users["joined"]
    topics = arms.main_topic()
    if topics is not None:
        extra["main_topic"] = topics
    return users.with_columns(
        **{name: column for name, column in extra.items() if name not in users.columns}
    )


# --- exposure -------------------------------------------------------------------------------------


def exposure_summary(exposure: pl.DataFrame) -> pl.DataFrame:
    """Means over seeds of how attention falls, with a t interval over them.

    Args:
        exposure: rows of `recsys.arms.exposure`; a log's placebo groups are averaged first.

    Returns:
        The frame described at `StudyResult.exposure`.
    """
    keys = ["recommender", "mitigation", "arm", "day", "cohort", "measure"]
    by_seed = exposure.group_by([*keys, "seed"], maintain_order=True).agg(
        pl.col("value").mean(), pl.col("n_users").min()
    )
    over_days = (
        by_seed.filter(pl.col("day").is_not_null())
        .group_by([key for key in [*keys, "seed"] if key != "day"], maintain_order=True)
        .agg(pl.col("value").mean(), pl.col("n_users").min())
        .with_columns(pl.lit(None, pl.Int32).alias("day"))
        .select(by_seed.columns)
    )
    rows = []
    for values, group in pl.concat([over_days, by_seed]).group_by(keys, maintain_order=True):
        found = group["value"].drop_nulls().to_numpy()
        if found.size:
            interval = users_interval(found)  # seeds are independent draws as users are
            ends = {"mean": interval.mean, "ci_low": interval.low, "ci_high": interval.high}
            figures = {name: float(end) for name, end in ends.items()}
            counts = {"n_users": group["n_users"].min(), "n_seeds": found.size}
            rows.append({**dict(zip(keys, values, strict=True)), **figures, **counts})
    types: dict[str, Any] = dict.fromkeys(keys, pl.String) | {"day": pl.Int32}
    types |= dict.fromkeys(("mean", "ci_low", "ci_high"), pl.Float64)
    types |= dict.fromkeys(("n_users", "n_seeds"), pl.Int64)
    frame = pl.DataFrame(rows, schema=types, infer_schema_length=None)
    return frame.with_columns(pl.col("ci_low", "ci_high").fill_nan(None))


def measures_in(
    per_user: pl.DataFrame, attributes: Mapping[str, str], more: Iterable[str] = ()
) -> pl.DataFrame:
    """measure · title · kind · unit · formula of every column of figures and of exposure.

    Args:
        per_user: as in `StudyResult.per_user`.
        attributes: names of attributes that are measured beside the registry's.
        more: measures in other frames.
    """
    columns = list(dict.fromkeys([*(n for n in per_user.columns if n not in KEYS), *more]))
    made: Attributes = {
        name: (
            np.zeros(1, dtype=np.int32),
            [c.partition(":")[2] for c in columns if c.startswith(f"{name}:")],
        )
        for name in {**attributes, **{c.partition(":")[0]: "" for c in columns if ":" in c}}
    }
    known = {**MEASURES, **measures_of([], made)}
    own = described({name: known[name] for name in columns if name in known})
    exposed = [(name, name.replace("_", " "), "exposure", "", EXPOSURE_FORMULAS[name])
               for name in EXPOSURE_FORMULAS]  # fmt: skip
    return pl.concat([own, pl.DataFrame(exposed, schema=own.schema, orient="row")])
