"""The laws, for recommenders under mitigations: closed loop arm by arm, open loop as studies."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys import load_study, run
from recsys.core.errors import ConfigError
from recsys.mitigations import MITIGATIONS, Cap, WarmStart, mitigated
from recsys.recommenders import RECOMMENDERS
from recsys.study import plan
from recsys.study.arms import open_loop as world_module
from recsys.testing import example_mitigations
from recsys.world.arms import Arm
from recsys.world.day import blocks
from tests.kit import open_loop
from tests.kit.closed_loop import (
    AUDIENCE,
    IDLE,
    NONE,
    SMALL,
    a_world,
    alone,
    differences,
    policy_of,
)
from tests.kit.variants import VARIANTS

CHAINS = {
    "als + downweight + anchor + calibrated": (
        "als",
        {"downweight": {}, "anchor": {"mu": 50.0}, "calibrated": {"history_days": 2}},
    ),
    "als + frozen": ("als", {"frozen": {}}),
    "als + ensemble + offset": ("als", {"ensemble": {"seeds": 2}, "offset": {}}),
    "als, always anew": ("als", {"warm_start": {"enabled": False}}),
    "trending + ramp": ("trending", {"ramp": {"days": 3.0}}),
    "item_knn + gate + cap": ("item_knn", {"language_gate": {}, "cap": {}}),
    "item_knn + ramp of slots": ("item_knn", {"ramp": {"of": "slots"}}),
    "item_knn + fresh slot": ("item_knn", {"fresh_slot": {"slot": 2}}),
    "most_popular + downweight": ("most_popular", {"downweight": {}}),
    "content + calibrated": ("content", {"calibrated": {"history_days": 2}}),
    "ease + offset": ("ease", {"offset": {}}),
    "bpr + warm start + cap": ("bpr", {"warm_start": {}, "cap": {"share": 0.1}}),
    "lmf + ensemble": ("lmf", {"ensemble": {"seeds": 2}}),
    "random + gate + fresh slot": ("random", {"language_gate": {}, "fresh_slot": {"slot": 2}}),
    "platform_ranker + fresh slot": ("platform_ranker", {"fresh_slot": {"slot": 2}}),
    "platform_ranker with all options + ensemble + offset": (
        "platform_ranker with all options",
        {"ensemble": {"seeds": 2}, "offset": {}},
    ),
    "als with recency + downweight": ("als with recency", {"downweight": {}}),
    "two_tower + warm start + calibrated": (
        "two_tower",
        {"warm_start": {}, "calibrated": {"history_days": 2}},
    ),
    "ranker + offset + cap": ("ranker", {"offset": {}, "cap": {"share": 0.1}}),
}


def chained(name):
    kind, chain = CHAINS[name]
    parts = [MITIGATIONS[part](**options) for part, options in chain.items()]
    recommender = VARIANTS.get(kind) or RECOMMENDERS[kind](**SMALL.get(kind, {}))
    return mitigated(recommender, parts)


def test_the_chains_hold_every_recommender_and_every_mitigation():
    assert {kind for kind, _ in CHAINS.values()} - set(VARIANTS) == set(RECOMMENDERS)
    assert {part for _, chain in CHAINS.values() for part in chain} == set(MITIGATIONS)


@pytest.fixture(scope="module")
def control():
    made = {}

    def of(name):
        if name not in made:
            made[name] = alone(chained(name), "control")
        return made[name]

    return of


@pytest.mark.parametrize("idle", IDLE)
@pytest.mark.parametrize("name", CHAINS)
def test_idle_newcomers_change_nothing(name, idle, control):
    influx = alone(chained(name), "influx", a_world(influx=IDLE[idle]))
    assert differences(control(name), influx) == set()


@pytest.mark.parametrize("newcomers", ["influx", "placebo"])
@pytest.mark.parametrize("name", CHAINS)
def test_with_all_gates_closed_active_newcomers_change_nothing(name, newcomers, control):
    closed = alone(chained(name), Arm(newcomers, gates=NONE))
    assert differences(control(name), closed) == set()
    theirs = closed.simulation.log.dense.filter(pl.col("user") >= 150)
    assert (theirs["kind"] == "click").sum() > 10


@pytest.mark.parametrize("name", CHAINS)
def test_threads_and_repetition_change_no_bit_and_open_gates_do(name, control, monkeypatch):
    once = alone(chained(name), "influx")
    assert {"events", "feeds"} <= differences(control(name), once)
    monkeypatch.setattr(blocks, "_SMALLEST", 23)
    again = alone(chained(name), "influx", threads=3)
    assert differences(once, again) == set()
    for day in AUDIENCE.days:
        for mine, theirs in zip(once.served(day)[1], again.served(day)[1], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", CHAINS)
def test_what_needs_impressions_is_given_them(name):
    """As in studies, which keep impressions only for those who learn from them."""
    recommender, policy = chained(name), policy_of(chained(name))
    assert policy.impressions == recommender.needs_impressions
    assert recommender.needs_impressions == ("ranker" in name or "fresh" in name)


# Open loop, pair by pair

PAIRS = [(name, kind) for kind in MITIGATIONS for name in RECOMMENDERS]


def in_make_test(pairs):
    """Each recommender once, and each mitigation with als or else with one that takes it.

    The other pairs try the same code with other factors: they are marked slow.
    """
    kinds = list(MITIGATIONS)
    chosen = {(name, kinds[place % len(kinds)]) for place, name in enumerate(RECOMMENDERS)}
    chosen |= {("als", kind) for kind in MITIGATIONS}
    chosen |= {("trending", kind) for kind in MITIGATIONS}
    slow = pytest.mark.slow
    return [pair if pair in chosen else pytest.param(*pair, marks=slow) for pair in pairs]


def paired(name, kind):
    """A recommender under a mitigation; skipped where that is refused, and told to start anew as
    studies do."""
    plain = RECOMMENDERS[name](**open_loop.SMALL.get(name, {}))
    anew = plain.warm_starts and kind not in ("warm_start", "anchor", "frozen")
    try:
        own = example_mitigations(kind)[0]
        return mitigated(plain, [*([WarmStart(enabled=False)] if anew else []), own])
    except ConfigError:
        return None


@pytest.fixture(scope="module", params=["no newcomers", "inert newcomers"])
def idle(request):
    nobody = request.param == "no newcomers"
    influx = {"newcomers": 0} if nobody else {"arrivals": open_loop.NEVER_HERE}
    return open_loop.alone(open_loop.a_world(**influx), seed=5)


def assert_no_drift(worlds, recommender):
    loop = open_loop.loop_of(worlds, recommender)
    control, influx = (loop.on(arm, 2).feeds().groups[0].feeds for arm in ("control", "influx"))
    np.testing.assert_array_equal(control.item_ids, influx.item_ids)
    np.testing.assert_array_equal(control.scores, influx.scores)
    np.testing.assert_array_equal(control.sources, influx.sources)


@pytest.mark.parametrize(("name", "kind"), in_make_test(PAIRS), ids=str)
def test_no_influx_no_drift(idle, name, kind, monkeypatch):
    monkeypatch.setattr(world_module, "training_seed", lambda seed, _: seed)
    recommender = paired(name, kind)
    if recommender is not None:
        assert_no_drift(idle, recommender)


def test_a_leak_through_a_mitigation_is_found(monkeypatch):
    """A bound that counts people, whether or not they do anything."""
    worlds = open_loop.alone(open_loop.a_world(arrivals=open_loop.NEVER_HERE), seed=5)
    monkeypatch.setattr(world_module, "training_seed", lambda seed, _: seed)
    dress = Cap.dress

    def counts_people(self, model, seed, previous):
        makers = np.arange(model.log.n_items) % (model.log.n_users % 7 + 2) == 0
        return replace(dress(self, model, seed, previous), by_newcomers=makers)

    recommender = mitigated(RECOMMENDERS["item_knn"](), [Cap(share=0)])
    assert_no_drift(worlds, recommender)
    monkeypatch.setattr(Cap, "dress", counts_people)
    with pytest.raises(AssertionError):
        assert_no_drift(worlds, recommender)


# Studies

STUDY = {
    "name": "mitigated",
    "world": {
        "incumbents": 200,
        "days_before": 3,
        "days_after": 3,
        "influx": {"kind": "rednote_2025", "newcomers": 50},
    },
    "recommenders": ["item_knn", {"kind": "als", "factors": 4, "iterations": 3}],
    "mitigations": [
        {
            "parts": [{"kind": "anchor", "mu": 50.0}, {"kind": "calibrated", "history_days": 2}],
            "only": ["als"],
        },
        {"parts": ["downweight"], "only": ["als"]},
        {"parts": ["ensemble"], "only": ["als"]},
        ["offset", "cap"],
        ["calibrated"],
        ["fresh_slot"],
    ],
    "evaluation": {"days": [1, 2], "k": 8, "panel": 60, "nudges": 1},
    "seeds": 2,
}
CHAINS_OF_ALS = [
    "none",
    "anchor + calibrated",
    "downweight",
    "ensemble",
    "offset + cap",
    "calibrated",
    "fresh_slot",
]


@pytest.fixture(scope="module")
def result():
    return run(load_study(STUDY))


@pytest.fixture(scope="module")
def closed():
    return run(load_study(STUDY, ["loop=closed", "seeds=1"]))


@pytest.mark.parametrize(
    ("influx", "loop"),
    [
        ("newcomers=0", "closed"),
        ("arrivals=[0,0,0,1]", "open"),
        pytest.param("newcomers=0", "open", marks=pytest.mark.slow),
        pytest.param("arrivals=[0,0,0,1]", "closed", marks=pytest.mark.slow),
    ],
)
def test_idle_newcomers_make_a_total_of_exactly_nothing(influx, loop):
    few = STUDY["mitigations"][:3] if loop == "closed" else STUDY["mitigations"]
    config = {**STUDY, "mitigations": few}
    nobody = run(load_study(config, [f"world.influx.{influx}", "seeds=1", f"loop={loop}"]))
    for part in ("total", "volume", "composition"):
        assert nobody.drift[part].to_list() == [0.0] * nobody.drift.height


def test_each_recommender_runs_under_its_chains(result, closed):
    for found in (result, closed):
        for frame in (found.per_user, found.summary, found.drift, found.quantiles, found.timings):
            for name, chains in (
                ("als", CHAINS_OF_ALS),
                ("item_knn", ["none", "offset + cap", "calibrated", "fresh_slot"]),
            ):
                mine = frame.filter(pl.col("recommender") == name)["mitigation"]
                assert mine.unique(maintain_order=True).to_list() == chains
    assert result.life.select("recommender", "mitigation").unique().rows() == [("house", "none")]
    pairs = closed.life.select("recommender", "mitigation").unique(maintain_order=True).rows()
    assert pairs == [
        ("item_knn", name) for name in ("none", "offset + cap", "calibrated", "fresh_slot")
    ] + [("als", name) for name in CHAINS_OF_ALS]


def test_none_is_what_it_is_without_any_mitigation(result):
    alone = run(load_study({**STUDY, "mitigations": []}))
    mine = result.per_user.filter(pl.col("mitigation") == "none")
    assert_frame_equal(mine, alone.per_user)
    assert alone.front.is_empty()
    plain = {cell.identity for cell in plan(alone.study)}
    assert plain < {cell.identity for cell in plan(result.study)}
    assert not any("mitigations" in identity for identity in plain)


@pytest.mark.slow  # the same promise without mitigations: tests/study/test_study.py
def test_workers_change_no_figure(result):
    other = run(load_study(STUDY, ["workers=3"]))
    assert_frame_equal(other.per_user, result.per_user)
    assert_frame_equal(other.front, result.front)


def test_snapshots_say_under_which_mitigation():
    kept = run(load_study(STUDY, ["seeds=1", "evaluation.snapshots=true"])).feeds
    assert set(kept["mitigation"].cast(pl.String)) == set(CHAINS_OF_ALS)
    fresh = kept.filter(pl.col("mitigation") == "fresh_slot", pl.col("source") == "fresh")
    others = kept.filter(pl.col("mitigation") == "none", pl.col("source") == "fresh")
    assert fresh.height > 1.5 * others.height / 2


def test_the_model_before_the_influx_is_shared_by_all_arms(result):
    """Anchored to one model, a retrained arm differs less from control than one trained anew."""
    posts = result.drift.filter(pl.col("day").is_null(), pl.col("measure") == "posts")
    anchored, plain = (
        posts.filter(pl.col("recommender") == "als", pl.col("mitigation") == name)["retrain"].item()
        for name in ("anchor + calibrated", "none")
    )
    assert 0 < anchored < plain
