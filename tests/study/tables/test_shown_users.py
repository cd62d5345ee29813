"""Which users are shown: a rule, the same for everybody."""

import polars as pl
import pytest

from recsys.study.tables.shown_users import BILINGUAL, QUANTILES, chosen_users


def users(n):
    """User 100 + i has changed by the i-th of n values, handed over in another order."""
    changed = [place / n for place in range(n)]
    frame = pl.DataFrame({"user_id": range(100, 100 + n), "slots_changed": changed})
    return frame.sample(fraction=1, shuffle=True, seed=1)


def test_users_stand_at_the_quantiles():
    found = {user["chosen"]: user for user in chosen_users(users(101))}
    assert found["typical"]["user_id"] == 150
    assert found["most hit"]["user_id"] == 200
    assert found["least hit"]["user_id"] == 100
    assert found["above 90 %"]["user_id"] == 190
    assert len(found) == len(QUANTILES)
    assert found["above 25 %"]["quantile"] == 0.25
    assert found["most hit"]["changed"] == 100 / 101


def test_the_middle_bilingual_is_added():
    found = chosen_users(users(101), reads_both=[103, 104, 107])
    (both,) = (user for user in found if user["chosen"] == BILINGUAL)
    assert both["user_id"] == 104
    assert [user["bilingual"] for user in found] == [user is both for user in found]
    assert all(user["bilingual"] is None for user in chosen_users(users(101)))


def test_no_user_is_shown_twice():
    for n in (1, 2, 3, 12, 30):
        found = chosen_users(users(n), reads_both=[100])
        assert len({user["user_id"] for user in found}) == len(found) <= n
        assert found[0]["chosen"] == "typical"
    assert chosen_users(users(0)) == []


def test_ties_are_broken_by_the_id():
    frame = pl.DataFrame({"user_id": [3, 1, 2], "slots_changed": [0.5, 0.5, 0.5]})
    assert [user["user_id"] for user in chosen_users(frame)] == [2, 3, 1]


@pytest.mark.parametrize("displaced", [None, [0.25, 0.5]])
def test_displaced_is_known_of_worlds_alone(displaced):
    frame = pl.DataFrame({"user_id": ["a", "b"], "slots_changed": [0.5, 0.7]})
    if displaced is not None:
        frame = frame.with_columns(displaced=pl.Series(displaced))
    found = {user["user_id"]: user["displaced"] for user in chosen_users(frame)}
    assert found == ({"a": None, "b": None} if displaced is None else {"a": 0.25, "b": 0.5})
