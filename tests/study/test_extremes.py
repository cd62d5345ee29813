"""Valid studies at the ends of what a config allows: each ends in its tables, pages and summary."""

import json

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

import recsys
from pipelines.program import Output
from pipelines.run import execute
from recsys.core.errors import ConfigError
from tests.kit.extremes import logs, worlds

QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
NOT_POSSIBLE = (
    "holds no positive event",  # nobody has clicked yet, so there is nothing to learn from
    "posts that can be served on day",  # fewer are there than the feeds have slots
    "cannot be reached: users look at",  # the click rate that is asked for
    "no newcomer has a positive event",
    "evaluation.panel: ",  # too few incumbents have `panel_min_events` events left to learn from
)
"""What only a run can find out; the study is then refused in these words."""


def check_runs(content, place, capsys):
    """The study ends with code 0, or it is refused with one of the known reasons."""
    try:
        recsys.load_study(content)
    except ConfigError:
        assume(False)
    (place / "study.yaml").write_text(json.dumps(content))
    code = execute([str(place / "study.yaml")], Output(full=True))
    said = capsys.readouterr().err
    assert code == 0 or (code == 2 and any(reason in said for reason in NOT_POSSIBLE)), said
    return code


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_log(made, place, capsys):
    frames, content = made
    for name, frame in frames.items():
        frame.write_parquet(place / f"{name}.parquet")
        content["log"][name] = str(place / f"{name}.parquet")
    return check_runs(content, place, capsys)


@settings(max_examples=2, suppress_health_check=QUIET, phases=[Phase.generate])
@given(content=worlds())
def test_worlds(content, place, capsys):
    check_runs(content, place, capsys)


@settings(max_examples=8, suppress_health_check=QUIET, phases=[Phase.generate])
@given(made=logs())
def test_logs(made, place, capsys):
    check_log(made, place, capsys)


def test_a_recommender_that_serves_nobody_is_left_out_of_the_feeds(place, capsys):
    """Three people, of whom nobody comes on the days on which one of the recommenders serves."""
    content = {
        "name": "three",
        "world": {
            "incumbents": 3,
            "days_before": 1,
            "days_after": 4,
            "burn_in_days": 1,
            "population": {"creators": 0.5},
            "influx": {"newcomers": 0, "arrivals": [1.0]},
        },
        "recommenders": ["trending", "random"],
        "loop": "closed",
        "evaluation": {"days": [0, 1, 2, 3], "k": 1, "panel": 2, "nudges": 1},
        "seeds": 1,
        "tracking": {"enabled": False},
    }
    assert check_runs(content, place, capsys) == 0


@pytest.mark.slow
def test_hundreds_of_worlds(place, capsys):
    codes = []

    @settings(max_examples=300, suppress_health_check=QUIET)
    @given(content=worlds())
    def check(content):
        codes.append(check_runs(content, place, capsys))

    check()
    assert codes.count(0) > 0.5 * len(codes)  # about three in four; cases come in clusters


@pytest.mark.slow
def test_hundreds_of_logs(place, capsys):
    codes = []

    @settings(max_examples=200, suppress_health_check=QUIET)
    @given(made=logs())
    def check(made):
        codes.append(check_log(made, place, capsys))

    check()
    assert codes.count(0) > 0.9 * len(codes)


@pytest.mark.parametrize("groups", [["activity"], ["same", "missing"], ["odd"]])
def test_groups_without_held_out_clicks_have_an_empty_row(groups, tmp_path):
    """Quality is known of nobody in such a group: its row is there, without figures."""
    frames, content = _log_of_days()
    for name, frame in frames.items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
        content["log"][name] = str(tmp_path / f"{name}.parquet")
    content["log"]["holdout_days"] = 1.0
    content["evaluation"]["groups"] = groups
    result = recsys.run(recsys.load_study(content))
    quality = result.groups.filter(measure="ndcg")
    assert set(quality["attribute"]) == set(groups)
    nobody = quality.filter(quality["n_users"] == 0)
    assert nobody.height == quality.filter(quality["total"].is_null()).height
    empty = nobody.select("influx", "placebo", "composition", "p_value")
    assert all(value is None for row in empty.rows() for value in row)


def _log_of_days():
    """A log of 100 people over 14 days, of whom those with even numbers are gone on the last."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(100), 8)
    day = rng.integers(0, 13, user.size) + (user % 2) * rng.integers(0, 2, user.size)
    events = pl.DataFrame(
        {
            "user_id": user,
            "item_id": rng.integers(0, 60, user.size),
            "timestamp": 1_736_640_000 + 86_400 * day,
        }
    )
    users = pl.DataFrame(
        {
            "user_id": np.arange(100),
            "new": np.arange(100) < 10,
            "odd": np.where(np.arange(100) % 2, "odd", "even"),
            "same": ["x"] * 100,
            "missing": pl.Series([None] * 100, dtype=pl.Float64),
        }
    )
    return {"events": events, "users": users}, {
        "name": "days",
        "log": {"newcomers": "new", "placebo_draws": 20, "panel_min_events": 1},
        "recommenders": ["item_knn"],
        "evaluation": {"k": 5, "panel": 20},
        "tracking": {"enabled": False},
    }


def test_the_extremes_reach_the_ends():
    """What is generated holds fields at both ends of their range."""
    seen = set()

    @settings(max_examples=60, suppress_health_check=QUIET, database=None, phases=[Phase.generate])
    @given(content=worlds())
    def look(content):
        for part in ("population", "posts", "behaviour", "platform"):
            seen.update(
                (part, name, value)
                for name, value in content["world"][part].items()
                if isinstance(value, int | float)
            )

    look()
    assert len(seen) > 40
