"""Tables: each kind of study has the declared ones, with the declared columns and types."""

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.study.tables.registry import TABLES

WORLD = {
    "name": "tiny",
    "world": {
        "incumbents": 60,
        "days_before": 2,
        "days_after": 3,
        "burn_in_days": 1,
        "influx": {
            "newcomers": 10,
            "arrivals": [1.0],
            "posts_a_head": 2.4,
            "reversal_day": 1,
        },
    },
    "recommenders": ["trending"],
    "evaluation": {"days": [0, 1, 2], "k": 5, "panel": 20},
    "seeds": 2,
}
ONLY_WORLDS = {"headline", "front", "dominated", "recovery", "power", "channels", "games"}
ONLY_LOGS = {"arrivals", "counted", "exposed", "matching", "mix", "removals"}


@pytest.fixture(scope="module")
def open_loop():
    return recsys.run(recsys.load_study(WORLD))


@pytest.fixture(scope="module")
def closed_loop():
    every = {
        "loop": "closed",
        "channels": True,
        "mitigations": [["cap"]],
        "evaluation": {**WORLD["evaluation"], "snapshots": True, "groups": ["activity"]},
    }
    return recsys.run(recsys.load_study({**WORLD, **every}, ["seeds=1", "evaluation.days=[1]"]))


@pytest.fixture(scope="module")
def own_log(tmp_path_factory):
    place = tmp_path_factory.mktemp("log")
    random = np.random.default_rng(0)
    people = [(user, 0, 60, 24) for user in range(60)]
    people += [(user, 45 + user % 4, 60, 12) for user in range(60, 75)]
    rows = [
        (user, int(random.integers(first, last)), int(60 * random.random() ** 2))
        for user, first, last, n in people
        for _ in range(n)
    ]
    table = pl.DataFrame(rows, schema=["user_id", "day", "item_id"], orient="row")
    seconds = 1_735_689_600 + 86_400 * table["day"] + random.integers(0, 86_400, table.height)
    table.select("user_id", "item_id", timestamp=seconds).write_csv(place / "events.csv")
    log = {
        "events": str(place / "events.csv"),
        "newcomers": "auto",
        "placebo_draws": 20,
        "panel_min_events": 2,
    }
    evaluation = {"k": 5, "panel": 20, "snapshots": True, "groups": ["activity"]}
    study = {"name": "log", "log": log, "recommenders": ["ease"], "evaluation": evaluation}
    return recsys.run(recsys.load_study(study))


@pytest.mark.parametrize("kind", ["open_loop", "closed_loop", "own_log"])
def test_every_table_is_as_declared(kind, request):
    result = request.getfixturevalue(kind)
    assert list(result.tables) == list(TABLES)
    mistakes = [
        mistake for name, table in TABLES.items() for mistake in table.mistakes(result.tables[name])
    ]
    assert mistakes == []
    for name, table in TABLES.items():
        assert table.is_of(result.study) or result.tables[name].is_empty()
        assert getattr(result, name) is result.tables[name]


def test_which_study_has_which_table(open_loop, closed_loop, own_log):
    has = {
        name: {table for table, frame in result.tables.items() if frame.height}
        for name, result in {"open": open_loop, "closed": closed_loop, "log": own_log}.items()
    }
    every = set(TABLES)
    assert has["closed"] == every - ONLY_LOGS - {"dominated", "power"}  # one seed tells neither
    assert has["open"] == every - ONLY_LOGS - {
        "front",
        "dominated",
        "channels",
        "games",
        "groups",
    }
    assert has["log"] >= every - ONLY_WORLDS - {"life", "exposed", "wins", "counted", "mix"}
    assert not has["log"] & ONLY_WORLDS


def test_an_unknown_table_names_the_nearest(open_loop):
    with pytest.raises(AttributeError, match=r"no 'drif'.*drift"):
        _ = open_loop.drif
    assert "drift" in dir(open_loop)


def test_other_frames_in_some_tables(open_loop):
    fewer = open_loop.with_tables(drift=open_loop.drift.head(1))
    assert fewer.drift.height == 1
    assert fewer.summary is open_loop.summary
    assert open_loop.drift.height > 1


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (lambda frame: frame.drop("n_seeds"), "has the columns"),
        (lambda frame: frame.with_columns(more=1), "has the columns"),
        (lambda frame: frame.with_columns(pl.col("day").cast(pl.Int64)), "day is Int64, not Int32"),
    ],
)
def test_a_frame_that_is_not_as_declared_is_reported(open_loop, frame, words):
    (mistake,) = TABLES["drift"].mistakes(frame(open_loop.drift))
    assert words in mistake
