"""The laws where each recommender serves the platform itself, and for the house policy.

Every arm is simulated alone: nothing that could hide a leak is shared.
"""

import numpy as np
import polars as pl
import pytest

from recsys.config import Behaviour, Notes
from recsys.config.world import Actions
from recsys.logs.schema import SOURCES
from recsys.measures import tv
from recsys.recommenders import RECOMMENDERS
from recsys.world.arms import GATES, INCUMBENTS, NEWCOMERS, Arm, Audience
from recsys.world.day import blocks, views
from recsys.world.simulate import simulate, simulate_days
from tests.kit.closed_loop import (
    ALL,
    AUDIENCE,
    IDLE,
    NONE,
    SEED,
    a_world,
    alone,
    differences,
)

NAMES = ["house", "oracle", *RECOMMENDERS]
TRAINED = [name for name in RECOMMENDERS if name != "random"]
BY_LANGUAGE = ["house", "oracle"]
"""Who ranks new notes by their language; others learn what it is worth, or never look at it."""
MUTE = Notes(per_creator_day=0.4)
"""The same notes, and only subtitles answer."""


@pytest.fixture(scope="module")
def control():
    """The twin of each recommender's world, made when asked for."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = alone(name, "control")
        return made[name]

    return of


# No influx, no drift; inert newcomers, no drift


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("idle", IDLE)
def test_idle_newcomers_change_nothing(name, idle, control):
    influx = alone(name, "influx", a_world(influx=IDLE[idle]))
    assert differences(control(name), influx) == set()
    assert influx.simulation.people.n == 150 + (0 if idle == "no newcomers" else 40)
    assert influx.simulation.log.dense["user"].max() < 150


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("idle", IDLE)
def test_a_leak_through_the_clicks_is_found(name, idle, control, monkeypatch):
    """Trending lists that know which arm they are in, or how many people there are."""
    clicks_seen = views.clicks_seen

    def leaky(scene, counts, gate, cohort):
        leaks = scene.arm.newcomers == "influx" if idle == "no newcomers" else scene.people.n > 150
        return clicks_seen(scene, counts, gate, cohort) + leaks * (np.arange(counts.shape[-1]) % 2)

    expected = control(name)
    monkeypatch.setattr(views, "clicks_seen", leaky)
    influx = alone(name, "influx", a_world(influx=IDLE[idle]))
    assert {"events", "feeds"} <= differences(expected, influx)


# All channels off, no drift


@pytest.mark.parametrize("newcomers", ["influx", "placebo"])
@pytest.mark.parametrize("name", NAMES)
def test_with_all_gates_closed_active_newcomers_change_nothing(name, newcomers, control):
    closed = alone(name, Arm(newcomers, gates=NONE))
    assert differences(control(name), closed) == set()
    newcomers_events = closed.simulation.log.dense.filter(pl.col("user") >= 150)
    assert newcomers_events["user"].n_unique() == 40
    assert (newcomers_events["kind"] == "click").sum() > 10
    theirs = closed.simulation.from_newcomers
    across = ~theirs & (closed.simulation.notes.language == 1)
    assert across.any() == (newcomers == "influx")
    if newcomers == "influx" and name in NEW_NOTES:
        assert across[newcomers_events["item"].to_numpy()].any()
    assert theirs[newcomers_events["item"].to_numpy()].any()
    assert theirs[closed.served(2)[1][0]].any()


@pytest.mark.parametrize("newcomers", ["influx", "placebo"])
@pytest.mark.parametrize("name", ["house", "als", "content"])
def test_with_behaviour_alone_incumbents_do_the_same(name, newcomers, control):
    """They act anew, not by the twin's book: and do the same, to the bit."""
    arm = alone(name, Arm(newcomers, gates=frozenset({"behaviour"})))
    assert differences(control(name), arm) == set()


@pytest.mark.parametrize("gates", [{"adaptation"}, {"behaviour", "adaptation"}])
@pytest.mark.parametrize("name", ["house", "als", "content"])
def test_a_placebo_is_not_answered(name, gates, control):
    arm = alone(name, Arm("placebo", gates=frozenset(gates)))
    assert differences(control(name), arm) == set()


@pytest.mark.parametrize("gates", [{"adaptation"}, {"behaviour", "adaptation"}])
@pytest.mark.parametrize("name", ["house", "als"])
def test_subtitles_and_translation_matter_only_with_newcomers_notes(name, gates):
    """To who does not rank by whether a note has subtitles, as content may."""
    world = a_world(notes=MUTE, behaviour=Behaviour(translation_day=0))
    arm = alone(name, Arm("influx", gates=frozenset(gates)), world)
    assert differences(alone(name, "control", world), arm) == set()


@pytest.mark.parametrize("name", [*BY_LANGUAGE, "content"])
def test_posts_in_another_language_reach_feeds_with_nothing_else_open(name):
    """And, where readers may act on it, what they do; days enough to learn from some clicks."""
    world = a_world(**LONGER)
    twin, adaptation, both = (
        alone(name, arm, world, audience=LATER)
        for arm in (
            "control",
            Arm("influx", gates=frozenset({"adaptation"})),
            Arm("influx", gates=frozenset({"adaptation", "behaviour"})),
        )
    )
    assert differences(twin, adaptation, LATER.days) == {"feeds"}
    assert {"events", "feeds", "clicks", "satisfaction"} <= differences(twin, both, LATER.days)


@pytest.mark.parametrize("name", NAMES)
def test_with_all_gates_open_newcomers_change_feeds(name, control):
    assert {"events", "feeds", "seen"} <= differences(control(name), alone(name, "influx"))


LONGER, LATER = {"days_after": 6}, Audience(np.arange(60), (0, 2, 5), 12)
TO_INCUMBENTS = {
    "notes": lambda scene, view: view._replace(notes=scene.given[NEWCOMERS]),
    "order": lambda scene, view: view._replace(order=scene.orders[NEWCOMERS]),
}


@pytest.mark.parametrize(("part", "changed"), [("notes", "satisfaction"), ("order", "clicks")])
def test_what_is_known_of_a_post_leaks_and_is_found(part, changed, monkeypatch):
    """Its language as readers meet it, and as the platform counts their clicks."""
    world, arm, view_of = (
        a_world(**LONGER),
        Arm("influx", gates=frozenset({"behaviour"})),
        views.view_of,
    )
    twin, closed = (alone("house", one, world, audience=LATER) for one in ("control", arm))

    def leaky(cohort, scene, *rest):
        view = view_of(cohort, scene, *rest)
        return TO_INCUMBENTS[part](scene, view) if cohort == INCUMBENTS else view

    monkeypatch.setattr(views, "view_of", leaky)
    leaking = alone("house", arm, world, audience=LATER)
    assert differences(twin, closed, LATER.days) == set()
    assert changed in differences(twin, leaking, LATER.days)


def said_of_incumbents(arm, n):
    """What a study reads of them: their notes, shelves, life, and what a feed is worth to them."""
    made = arm.simulation
    feeds = np.tile(np.arange(n - 40, n, dtype=np.int32), (60, 1))
    life = made.life.filter(pl.col("cohort") == "incumbent")
    return {
        "items": made.items.head(n).drop("key"),
        "average": pl.DataFrame(made.morning(5).shelves[0].average),
        "shown": life.select("english_share"),
        "acts": life.select("comments_across", "follows_across"),
        "worth": pl.DataFrame(made.click_probability(LATER.users, feeds, 5)),
    }


def test_what_is_said_of_incumbents_passes_the_gate(monkeypatch):
    """Every click is followed by a comment, so that a comment across languages is not rare."""
    talk = Behaviour(actions=Actions(comment=1.0, comment_across=1.0))
    world, arm = a_world(behaviour=talk, **LONGER), Arm("influx", gates=frozenset({"behaviour"}))
    control = alone("house", "control", world, audience=LATER)
    n = control.simulation.notes.n  # newcomers' notes are behind these
    twin = said_of_incumbents(control, n)
    closed = said_of_incumbents(alone("house", arm, world, audience=LATER), n)
    for name, frame in twin.items():
        assert frame.equals(closed[name]), name
    plant(monkeypatch, "adaptation")
    leaking = said_of_incumbents(alone("house", arm, world, audience=LATER), n)
    for name, frame in twin.items():
        assert not frame.equals(leaking[name]), name


# Each gate leaks alone, and is found

NEW_NOTES = ["house", "oracle", "random", "content"]
"""Who serves notes that nobody clicked; others recommend what somebody they learn from clicked."""

OPENED = [
    *[("adaptation", name, "influx") for name in BY_LANGUAGE],
    *[("supply", name, "influx") for name in NEW_NOTES],
    *[("exposure", name, "influx") for name in NAMES],
    ("training", "house", "placebo"),  # averages of those whose app is in the same language
    *[("training", name, "influx") for name in TRAINED],
]


def plant(monkeypatch, gate):
    """Opens a gate behind the arm's back."""
    closed = Arm.opens
    monkeypatch.setattr(
        Arm, "opens", lambda self, asked, cohort: asked == gate or closed(self, asked, cohort)
    )


@pytest.mark.parametrize(("gate", "name", "newcomers"), OPENED)
def test_a_leak_through_a_gate_reaches_feeds(gate, name, newcomers, control, monkeypatch):
    expected = control(name)
    plant(monkeypatch, gate)
    leaky = alone(name, Arm(newcomers, gates=NONE))
    # the twin's behaviour is read from the book, so the leak stays in what is served
    assert differences(expected, leaky) == {"feeds"}


NEIGHBOURS = {
    # what incumbents do, and what helps them read, matter only with newcomers' notes before them
    "behaviour": frozenset({"supply", "exposure"}),
    "adaptation": frozenset({"supply", "exposure", "behaviour"}),
}


@pytest.mark.parametrize("gate", NEIGHBOURS)
@pytest.mark.parametrize("name", ["house", "als"])
def test_a_leak_of_behaviour_or_adaptation_is_found_in_company(name, gate, monkeypatch):
    world = a_world(behaviour=Behaviour(translation_day=0, curiosity=3.0))
    arm = Arm("influx", gates=NEIGHBOURS[gate])
    expected = alone(name, arm, world)
    plant(monkeypatch, gate)
    leaky = alone(name, arm, world)
    assert {"events", "feeds", "clicks", "taste", "satisfaction"} <= differences(expected, leaky)


# What each gate governs, and only that

SHELVES = {
    "bucket": "supply",
    "creator": "supply",
    "trending": "exposure",
    "ring": "exposure",
    "average": "training",
    "freshness": "none: a note's age",
}
"""The gate of each shelf, by the first word of its name."""


def gates_of_changed_shelves(one, other, day):
    """Gates whose shelves differ for incumbents; rows of newcomers and their notes are left out."""
    mine, theirs = (arm.simulation.morning(day).shelves[0] for arm in (one, other))
    common = {"freshness": one.simulation.notes.n, "creator_start": one.n + 1}
    return {
        SHELVES[field.split("_")[0]]
        for field in mine._fields
        if not np.array_equal(
            getattr(mine, field)[: common.get(field)], getattr(theirs, field)[: common.get(field)]
        )
    }


@pytest.mark.parametrize("newcomers", ["influx", "placebo"])
@pytest.mark.parametrize("gate", GATES)
def test_a_gate_alone_changes_its_own_shelves(gate, newcomers, control):
    arm = alone("house", Arm(newcomers, gates=frozenset({gate})))
    own = {gate} & set(SHELVES.values())
    changed = gates_of_changed_shelves(control("house"), arm, 2)
    if (gate, newcomers) == ("adaptation", "influx"):
        assert {"supply"} <= changed <= {"supply", "training"}  # shelves by topic and language
    else:
        assert changed == own
    if gate == "training" and newcomers == "influx":
        zh, en = (
            np.array_equal(*(run.simulation.morning(2).shelves[0].average[row] for run in runs))
            for runs in [(control("house"), arm)]
            for row in (0, 1)
        )
        assert zh  # an average is taken over readers whose app is in one language
        assert not en


MAY_HOLD = {"supply": {"personal", "following"}, "exposure": {"trending", "fresh"}}


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", NAMES)
def test_a_gate_alone_lets_newcomers_notes_into_its_own_slots(name, gate):
    arm = alone(name, Arm("influx", gates=frozenset({gate})))
    sources = set()
    for day in AUDIENCE.days:
        feeds, codes = arm.served(day)[0]
        theirs = (feeds >= 0) & arm.simulation.from_newcomers[feeds]
        sources |= {SOURCES.categories[int(code)] for code in codes[theirs]}
    assert sources <= MAY_HOLD.get(gate, set())
    if gate == "exposure" or (gate == "supply" and name in NEW_NOTES):
        assert sources


@pytest.mark.parametrize("name", TRAINED)
def test_training_alone_changes_what_incumbents_are_recommended(name, control):
    arm = alone(name, Arm("influx", gates=frozenset({"training"})))
    assert differences(control(name), arm) == {"feeds"}
    assert gates_of_changed_shelves(control(name), arm, 2) <= {"training"}


@pytest.mark.parametrize("gate", ["supply", "exposure", "training", "adaptation"])
def test_newcomers_are_served_behind_open_gates(gate):
    """Whatever is closed to incumbents, newcomers see the platform as it is."""
    shelves = alone("house", Arm("influx", gates=ALL - {gate})).simulation.morning(2).shelves
    there = [
        [
            name
            for name in ("bucket_notes", "trending", "ring_notes")
            if (getattr(side, name) >= first_note_of_newcomers()).any()
        ]
        for side in shelves
    ]
    everything = ["bucket_notes", "trending", "ring_notes"]
    without = {"supply": everything[1:], "exposure": everything[:1]}
    assert there == [without.get(gate, everything), everything]


@pytest.mark.parametrize("name", ["house", "als", "content"])
def test_how_incumbents_are_given_notes_is_nothing_to_newcomers(name):
    """Incumbents do what the twin does; newcomers are served and respond as if all were open."""
    closed, answered = (
        alone(name, Arm("influx", gates=frozenset(gates)), a_world(**LONGER), audience=LATER)
        for gates in ((), ("adaptation",))
    )
    done, expected = (
        arm.simulation.log.dense.filter(pl.col("user") >= 150) for arm in (closed, answered)
    )
    assert done.equals(expected)
    assert done.height > 100
    averages = [arm.simulation.morning(5).shelves[1].average for arm in (closed, answered)]
    np.testing.assert_array_equal(*averages)


def first_note_of_newcomers():
    return int(alone("house", "control").simulation.notes.n)


class ReadsAttributes:
    """A policy that ranks notes by what the log says about them: those with subtitles first."""

    training_days = 7
    impressions = False

    def __init__(self, log=None):
        self.log = log

    def fit(self, log, seed, previous):
        return ReadsAttributes(log)

    def rank(self, users, k, candidates, seen):
        order = np.argsort(~self.log.items["subtitled"].to_numpy(), kind="stable")
        order = order[candidates[order]]
        ranking = np.full((users.size, k), -1, dtype=np.int32)
        for row, user in enumerate(users):
            known = seen.items[seen.start[user] : seen.end[user]]
            best = order[~np.isin(order, known)][:k]
            ranking[row, : best.size] = best
        return ranking, np.zeros(ranking.shape, dtype=np.uint8)


def test_what_the_log_says_about_notes_passes_a_gate():
    """Subtitles answer the newcomers: with all gates closed no fit for incumbents knows of them."""
    world = a_world(notes=Notes(subtitled=0.5, adaptation_days=0.5))
    control, closed = (
        simulate(world, arm, SEED, ReadsAttributes(), audience=AUDIENCE).morning(2).served
        for arm in ("control", Arm("influx", gates=NONE))
    )
    np.testing.assert_array_equal(control.feeds[:60], closed.feeds[:60])


def test_days_one_by_one_keep_gates_closed():
    arm = Arm("influx", gates=frozenset({"supply", "exposure"}))
    days = list(simulate_days(a_world(), arm, SEED))
    for day, expected in zip(days, simulate(a_world(), arm, SEED).days, strict=True):
        np.testing.assert_array_equal(day.item, expected.item)


# Same seed, same bits


@pytest.mark.parametrize("name", NAMES)
def test_threads_and_repetition_change_no_bit_and_another_seed_does(name, monkeypatch):
    once = alone(name, "influx")
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "_SMALLEST", 23)
        threaded = alone(name, "influx", threads=3)
    for again in (alone(name, "influx"), threaded):
        assert differences(once, again) == set()
        assert again.simulation.log.dense.equals(once.simulation.log.dense)
        for day in AUDIENCE.days:
            for mine, theirs in zip(once.served(day)[1], again.served(day)[1], strict=True):
                np.testing.assert_array_equal(mine, theirs)
    assert {"events", "feeds"} <= differences(once, alone(name, "influx", seed=SEED + 1))


@pytest.mark.parametrize("gates", [ALL, NONE])
def test_threads_change_no_bit_where_gates_are_closed(gates, monkeypatch):
    arm = Arm("influx", gates=gates - {"training"})
    once = alone("als", arm)
    monkeypatch.setattr(blocks, "_SMALLEST", 23)
    threaded = alone("als", arm, threads=3)
    assert threaded.simulation.log.dense.equals(once.simulation.log.dense)
    assert differences(once, threaded) == set()


# One more newcomer


MOST = {"content": 0.05}
"""It serves a new note at once, to all whom its topic and language suit: a slot of their twenty."""


@pytest.mark.parametrize("seed", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_one_more_newcomer_changes_little_in_a_day(name, seed):
    """The same log up to the day before, then a day with 80 or 81 newcomers, who all post.

    One posts at most 3 of some 1,600 notes, and clicks a few times among 800 readers' clicks: less
    than one slot in a hundred may change its language or format.
    """
    mixes = []
    for newcomers in (80, 81):
        world = a_world(
            incumbents=800,
            days_before=2,
            days_after=2,
            notes=Notes(per_creator_day=0.5),
            influx={"newcomers": newcomers, "arrivals": (1.0,), "posting": 1.0},
        )
        audience = Audience(np.arange(200), (1,), 20)
        arm = alone(name, "influx", world, seed=seed, audience=audience)
        feeds, notes = arm.served(1)[0][0], arm.simulation.notes
        code = notes.language * 3 + notes.format
        mixes.append(((code[feeds][..., None] == np.arange(6)) & (feeds >= 0)[..., None]).sum(1))
        last = arm.simulation.log.dense.filter(pl.col("user") == 800 + 80)
    assert last.height > 20
    shares = [mix / mix.sum(axis=1, keepdims=True) for mix in mixes]
    assert 0 <= tv(*shares).mean() <= MOST.get(name, 0.01)
