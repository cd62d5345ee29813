"""Counted shares: exact on made-up logs, with errors that cover."""

import numpy as np
import polars as pl
import pytest

from recsys.estimates import change, counted, displaced


def test_a_share_and_a_change_are_exact():
    user = np.array([0, 0, 0, 1, 1, 2])
    new = np.array([True, False, False, True, False, False])
    english = np.array([True, True, False, False, False, False])
    assert displaced(user, new).value == pytest.approx(2 / 6)
    assert change(user, new, english).value == pytest.approx(2 / 6 - 1 / 4)


def test_no_newcomers_no_change():
    user, english = np.arange(6), np.arange(6) % 2 == 0
    told = change(user, np.zeros(6, dtype=np.bool_), english)
    assert (told.value, told.se) == (0.0, 0.0)


def test_nothing_can_be_told_where_all_is_by_newcomers():
    assert np.isnan(change(np.arange(3), np.ones(3, dtype=np.bool_), np.ones(3)).value)


def test_errors_hold_the_truth_where_users_differ():
    """Users differ in how much they are shown and in how much of it is by newcomers."""
    rng = np.random.default_rng(2)
    inside = {"share": 0, "change": 0}
    for _ in range(300):
        shown = 1 + rng.poisson(10, 150)
        user = np.repeat(np.arange(150), shown)
        new = rng.random(user.size) < np.repeat(rng.beta(1, 4, 150), shown)
        english = rng.random(user.size) < np.where(new, 0.9, 0.1)
        share, told = displaced(user, new), change(user, new, english)
        inside["share"] += share.low <= 0.2 <= share.high
        inside["change"] += told.low <= 0.16 <= told.high
    assert min(inside.values()) / 300 > 0.9
    assert max(inside.values()) / 300 < 0.99


def test_a_rate_may_be_per_look():
    """Newcomers' post was surely looked at, each of the others' with probability one half."""
    user, new = np.array([0, 1, 1, 2]), np.array([True, False, False, False])
    clicked, look = np.array([True, True, False, False]), np.array([1.0, 0.5, 0.5, 0.5])
    assert change(user, new, clicked, look).value == pytest.approx(2 / 2.5 - 1 / 1.5)
    everybody = np.ones(4)
    assert change(user, new, clicked, everybody) == change(user, new, clicked)


def test_errors_are_over_those_who_were_shown_something():
    """Numbers of users may have gaps: who was shown nothing tells nothing."""
    new, english = np.array([True, False, False]), np.array([True, True, False])
    near, far = (change(user, new, english) for user in (np.array([0, 1, 2]), np.array([0, 7, 99])))
    assert near == far
    assert np.isnan(displaced(np.array([5, 5, 5]), new).se)
    assert np.isnan(displaced(np.zeros(0, dtype=int), np.zeros(0, dtype=np.bool_)).value)


def test_counts_by_group():
    shown = pl.DataFrame(
        {
            "user_id": ["a", "a", "b", "b"],
            "source": ["fresh", "personal", "fresh", "personal"],
            "by_newcomer": [True, False, False, False],
            "clicked": [False, True, True, True],
        }
    )
    table = counted(shown, of=("clicked",), by=("source",))
    assert table["source"].to_list() == ["fresh", "personal"]
    assert table["displaced"].to_list() == [0.5, 0.0]
    assert table["clicked_change"].to_list() == [-0.5, 0.0]
    assert table["shown"].sum() == 4
