"""Worlds and logs that are valid and odd: at the ends of what a config allows, and nearly empty."""

from typing import Any

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st

from recsys.config import Behaviour, Part, Platform, Population, Posts
from recsys.config.world import Actions, Cohort, Drive

SMALL = {
    "population.latent_factors": [0, 1, 64],
    "posts.per_creator_day": [0.1, 1.0, 5.0],
    "posts.window_days": [1, 2, 1000],
    "platform.visit_ranks": [4, 5, 200],
    "platform.trending_size": [1, 1000],
    "platform.seen_memory": [64, 8192],
    "population.visits_per_day": [0.1, 1.0, 3.0],
    "population.follows": [0.0, 0.01, 30.0],
}
"""Fields whose ends would only take time."""


def ends(field: Any) -> list[Any]:
    """The least and the greatest value of a number's field; [] for other fields."""
    low = high = None
    for rule in field.metadata:
        if isinstance(rule, Ge):
            low = rule.ge
        elif isinstance(rule, Gt):
            low = rule.gt + 1e-9
        elif isinstance(rule, Le):
            high = rule.le
        elif isinstance(rule, Lt):
            high = rule.lt - 1e-9
    return [end for end in (low, high) if end is not None]


def _part(part: type[Part], above: str) -> Any:
    """Some fields of a part of a world, each at one of its ends."""
    choices = {}
    for name, field in part.model_fields.items():
        if field.annotation not in (int, float, int | None):
            continue
        values = SMALL.get(f"{above}.{name}") or ends(field)
        if values:
            kind = int if field.annotation is not float else float
            choices[name] = st.sampled_from([kind(value) for value in values])
    return st.fixed_dictionaries({}, optional=choices)


@st.composite
def _few_of(draw: Any, part: type[Part], above: str, most: int = 3) -> dict[str, Any]:
    """At most so many fields, so that extremes do not cancel one another."""
    chosen = draw(_part(part, above))
    keep = draw(st.lists(st.sampled_from(sorted(chosen)), max_size=most)) if chosen else []
    return {name: chosen[name] for name in keep}


RECOMMENDERS = (
    "trending",
    "random",
    "most_popular",
    "item_knn",
    "platform_ranker",
    {"kind": "als", "factors": 2, "iterations": 1},
    {"kind": "ease", "regularization": 1.0},
    "content",
)


@st.composite
def worlds(draw: Any) -> dict[str, Any]:
    """The content of a config of a tiny world."""
    incumbents = draw(st.sampled_from([3, 12, 40, 40]))
    after = draw(st.integers(1, 4))
    closed = draw(st.integers(0, 5)) == 0
    influx = {
        "newcomers": draw(st.sampled_from([0, 1, 2, 40])),
        "arrivals": draw(st.sampled_from([[1.0], [0.0, 1.0], [0.0] * 6 + [1.0], [1e-9, 1.0]])),
        "origin": draw(st.sampled_from([None, {"kind": "tiktok"}, {"kind": "pinterest"}])),
        "posts_a_head": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "straddlers": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "reversal_day": draw(st.sampled_from([None, 0, 1, 8])),
        "reversal_hazard": draw(st.sampled_from([0.0, 1.0])),
        "leaving_hazard": draw(st.sampled_from([0.0, 1.0])),
    }
    cohorts = {cohort: draw(_few_of(Cohort, "cohort", 2)) for cohort in ("incumbents", "newcomers")}
    world = {
        "incumbents": incumbents,
        "days_before": draw(st.integers(1, 3)),
        "days_after": after,
        "burn_in_days": draw(st.integers(1, 2)),
        "ticks": draw(st.sampled_from([1, 2, 8])),
        "home_tick": draw(st.sampled_from([0.0, 0.8, 1.0])),
        "population_seed": draw(st.integers(0, 2**32)),
        "influx": influx,
        "population": {"creators": 0.5, **draw(_few_of(Population, "population")), **cohorts},
        "posts": draw(_few_of(Posts, "posts")),
        "behaviour": {
            **draw(_few_of(Behaviour, "behaviour")),
            "actions": draw(_few_of(Actions, "actions")),
        },
        "platform": {
            "kind": draw(st.sampled_from(["rednote", "tiktok", "pinterest"])),
            **draw(_few_of(Platform, "platform")),
            "drive": draw(_few_of(Drive, "drive")),
        },
    }
    chosen = draw(
        st.lists(st.sampled_from(range(len(RECOMMENDERS))), min_size=1, max_size=2, unique=True)
    )
    days = sorted(draw(st.sets(st.integers(0, after - 1), min_size=1)))
    k = draw(st.sampled_from([1, 2, 20 if incumbents > 20 else 3]))
    return {
        "name": "extreme",
        "world": world,
        "recommenders": [RECOMMENDERS[number] for number in chosen],
        "mitigations": draw(st.sampled_from([[], [], [["cap"]], [["fresh_slot"]]])),
        "loop": "closed" if closed else "open",
        "arms": draw(
            st.sampled_from(
                [
                    ["control", "influx", "placebo", "locals", "retrain", "nudge"],
                    ["control", "influx"],
                    ["control", "influx", "nudge"],
                    ["control", "influx", "locals", "placebo"],
                ]
            )
        ),
        "evaluation": {
            "days": days,
            "k": k,
            "panel": draw(st.integers(2, incumbents)),
            "nudges": draw(st.sampled_from([1, 2])),
            "one_step": draw(st.booleans()),
            "snapshots": draw(st.booleans()),
            "training_days": draw(st.sampled_from([None, 1])),
            "groups": draw(
                st.lists(
                    st.sampled_from(
                        ["activity", "skill", "language", "main_topic", "curious", "posts"]
                    ),
                    unique=True,
                    max_size=3,
                )
            ),
        },
        "seeds": draw(st.sampled_from([1, 2])),
        "tracking": {"enabled": False},
    }


@st.composite
def logs(draw: Any) -> tuple[dict[str, pl.DataFrame], dict[str, Any]]:
    """The frames of a log, and the content of a config for it, without the paths."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_users = draw(st.sampled_from([30, 60, 120]))
    n_items = draw(st.sampled_from([2, 5, 60]))
    per = draw(st.sampled_from([2, 3, 8]))
    user = np.repeat(np.arange(n_users), per)
    item = rng.integers(0, n_items, user.size)
    if draw(st.integers(0, 4)) == 0:
        item = item * 0  # everybody likes the same
    events = {"user_id": user, "item_id": item}
    timed = draw(st.sampled_from(["none", "one", "days"]))
    if timed != "none":
        span = 14 * 86_400 if timed == "days" else 1
        events["timestamp"] = 1_736_640_000 + rng.integers(0, span, user.size)
    if draw(st.booleans()):
        kinds = draw(st.sampled_from([["click"], ["click", "impression"], ["like", "hide"]]))
        events["kind"] = rng.choice(kinds, user.size).tolist()
        events["kind"][::2] = [kinds[0]] * len(events["kind"][::2])
    share = draw(st.sampled_from([0.05, 0.2, 0.5]))
    users = {
        "user_id": np.arange(n_users),
        "new": np.arange(n_users) < max(1, int(share * n_users)),
        "same": ["x"] * n_users,
        "missing": pl.Series([None] * n_users, dtype=pl.Float64),
        "age": rng.integers(0, 90, n_users),
        "odd": rng.choice(["all", "mean", "<b>", "a/b", " "], n_users).tolist(),
    }
    items = {
        "item_id": np.arange(n_items),
        "topic": rng.choice(["a", "b", "unknown"], n_items).tolist(),
        "creator_id": rng.integers(0, n_users, n_items),
    }
    frames: dict[str, pl.DataFrame] = {}
    log: dict[str, Any] = {"newcomers": "new", "placebo_draws": 20}
    if draw(st.booleans()):
        frames["items"] = pl.DataFrame(items)
        if draw(st.booleans()):
            log["attributes"] = {"topic": "topic"}
    if draw(st.booleans()):
        log["holdout_days" if timed == "days" else "holdout_share"] = draw(
            st.sampled_from([0.1, 0.5, 0.9 if per == 8 else 0.3])
        )
    log["panel_min_events"] = 1
    if draw(st.booleans()):
        users["joined"] = pl.Series([1_700_000_000] * n_users)
    frames |= {"events": pl.DataFrame(events), "users": pl.DataFrame(users)}
    offered = ["activity", "same", "missing", "age", "odd"]
    offered += ["tenure"] if "joined" in users else []
    offered += ["main_topic"] if "attributes" in log else []
    chosen = draw(
        st.sampled_from(["trending", "item_knn", "most_popular", "random", RECOMMENDERS[5]])
    )
    return frames, {
        "name": "extreme",
        "log": log,
        "recommenders": [chosen],
        "evaluation": {
            "k": 1 if n_items == 2 or not item.any() else draw(st.sampled_from([1, 2])),
            "panel": draw(st.sampled_from([2, 5, n_users // 5])),
            "snapshots": draw(st.booleans()),
            "groups": draw(st.lists(st.sampled_from(offered), unique=True, max_size=3)),
        },
        "tracking": {"enabled": False},
    }
