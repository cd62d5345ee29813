"""Groups of users: thirds of numbers, words as they stand."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import ConfigError
from recsys.study.tables.groups import cut, groups_of_users, in_order


@pytest.mark.parametrize("n", [4, 10, 300, 3001])
def test_thirds_of_different_numbers_are_thirds(n):
    values = np.random.default_rng(n).permutation(n) * 1.5
    sizes = cut(pl.Series(values)).value_counts(sort=True)["count"].to_list()
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) <= 2
    names = dict(zip(values, cut(pl.Series(values)), strict=True))
    assert names[0.0].startswith("low")
    assert names[max(names)].startswith("high")


def test_equal_values_share_a_group():
    values = pl.Series([0] * 80 + [1, 2, 3, 4] * 5)
    named = pl.DataFrame({"value": values, "group": cut(values)}).unique()
    assert named["value"].n_unique() == named.height
    assert named.filter(value=0)["group"][0] == "low: up to 0"


def test_what_is_not_known_is_a_group():
    assert cut(pl.Series([1.0, float("nan"), None]))[1:].to_list() == ["unknown"] * 2
    days = pl.Series([date(2025, 1, day) for day in range(1, 7)] + [None])
    assert cut(days).to_list()[::3] == [
        "low: up to 2025-01-02",
        *["middle: above 2025-01-02 to 2025-01-04"],
        "unknown",
    ]


def test_words():
    assert in_order(cut(pl.Series(["b", "a", None]))) == ["a", "b", "unknown"]
    enum = pl.Series(["x"], dtype=pl.Enum(["x", "y"]))
    assert cut(enum).to_list() == ["x"]


def test_mistakes():
    users = pl.DataFrame({"user_id": range(60), "name": [f"n{i}" for i in range(60)]})
    with pytest.raises(ConfigError, match=r"evaluation.groups: name: 60 different values; at most"):
        groups_of_users(users, ["name"], "evaluation.groups")
    with pytest.raises(ConfigError, match="groups: users have no 'nam'; did you mean 'name'"):
        groups_of_users(users, ["nam"], "groups")
