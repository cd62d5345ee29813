"""Served feeds: figures worked by hand, floors, days, cohorts, and what is refused."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import recsys
from recsys.core.errors import ConfigError, LogError
from recsys.measures import frbo, tv
from recsys.measures.mix import feed_mix
from recsys.served.compare import FeedComparison, compare_feeds
from recsys.statistics import users_interval


def frame(feeds, **more):
    """A row a slot from {user: items} or {(user, day): items}; scores of ties by `scores`."""
    rows = []
    for key, items in feeds.items():
        user, day = key if isinstance(key, tuple) else (key, None)
        for rank, item in enumerate(items, start=1):
            rows.append({"user_id": user, "day": day, "rank": rank, "item_id": item, **more})
    table = pl.DataFrame(rows)
    return table.drop("day") if table["day"].null_count() else table


def headline(result: FeedComparison, measure: str, cohort: str = "all", day=None):
    at = pl.col("day").is_null() if day is None else pl.col("day") == day
    rows = result.drift.filter(at, pl.col("measure") == measure, pl.col("cohort") == cohort)
    return rows.row(0, named=True)


A = frame({1: [10, 11, 12, 13], 2: [10, 14, 15, 16], 3: [17, 18, 19, 20]})
B = frame({1: [10, 11, 12, 13], 2: [14, 10, 15, 21], 3: [22, 23, 24, 25]})
C = frame({1: [10, 11, 12, 30], 2: [10, 14, 15, 16], 3: [17, 18, 19, 31]})


def test_values_by_hand():
    result = compare_feeds(A, B, C)
    row = headline(result, "slots_changed")
    # changed: 0, 1/4, 4/4; by the reference: 1/4, 0, 1/4
    assert row["drift"] == pytest.approx((0 + 0.25 + 1) / 3, abs=1e-15)
    assert row["floor"] == pytest.approx(0.5 / 3, abs=1e-15)
    excess = np.array([-0.25, 0.25, 0.75])
    assert row["excess"] == pytest.approx(excess.mean(), abs=1e-15)
    # t over three users: 4.302653 is the 97.5 % quantile with 2 degrees of freedom
    half = 4.302653 * excess.std(ddof=1) / np.sqrt(3)
    assert row["excess_ci_high"] == pytest.approx(excess.mean() + half, abs=1e-6)
    assert row["excess_ci_low"] == pytest.approx(excess.mean() - half, abs=1e-6)
    assert (row["n_users"], row["saturated"], result.k, result.floor) == (3, False, 4, "reference")
    posts = 1 - frbo([[1, 2, 3, 4]], [[2, 1, 3, 9]])[0]
    by_user = dict(result.per_user.filter(feeds="b").select("user_id", "posts").iter_rows())
    assert by_user == {1: 0.0, 2: pytest.approx(posts, abs=1e-15), 3: 1.0}


def test_feeds_that_are_the_same_do_not_drift():
    result = compare_feeds(A, A, A)
    drift = result.drift
    assert drift["drift"].to_list() == drift["floor"].to_list() == [0.0] * drift.height


@pytest.mark.parametrize("shape", [pd.DataFrame, dict, pl.LazyFrame])
def test_anybodys_frames(shape):
    as_given = compare_feeds(A, B, C)
    others = [shape(t.to_dict(as_series=False)) for t in (A, B, C)]
    assert_frame_equal(compare_feeds(*others).drift, as_given.drift)


def test_names_and_order_of_rows_change_nothing():
    random = np.random.default_rng(0)
    as_given = compare_feeds(A, B, C)
    mixed = [t[random.permutation(t.height)] for t in (A, B, C)]
    assert_frame_equal(compare_feeds(*mixed).per_user, as_given.per_user)
    text = [t.with_columns(pl.col("user_id", "item_id").cast(pl.String) + "x") for t in (A, B, C)]
    assert_frame_equal(compare_feeds(*text).drift, as_given.drift)
    named = [t.rename({"user_id": "member", "item_id": "video"}) for t in (A, B, C)]
    columns = {"user_id": "member", "item_id": "video"}
    assert_frame_equal(compare_feeds(*named, columns=columns).drift, as_given.drift)
    narrow = [t.with_columns(pl.col("user_id").cast(pl.UInt8)) for t in (A, B, C)]
    assert_frame_equal(compare_feeds(A, *narrow[1:]).drift, as_given.drift)


def test_who_stands_alone_is_left_out_and_counted():
    more = pl.concat([B, frame({4: [1, 2], 5: [3]})])
    result = compare_feeds(A, more, C.filter(pl.col("user_id") != 1))
    assert headline(result, "posts")["n_users"] == 2
    assert any("on the day: 1 of a, 3 of b" in note for note in result.notes)
    with pytest.raises(LogError, match="no user has a feed in every frame; do the ids"):
        compare_feeds(A, frame({7: [1]}))


def test_depth():
    assert headline(compare_feeds(A, B, k=1), "slots_changed")["drift"] == pytest.approx(2 / 3)
    short = frame({1: [10, 11], 2: [10, 14, 15], 3: [17]})
    assert headline(compare_feeds(A, short), "posts")["drift"] == 0.0  # cut to the shorter
    with pytest.raises(ConfigError, match="k: 0 is no depth"):
        compare_feeds(A, B, k=0)


# --- days and floors ------------------------------------------------------------------------------

DAILY = frame({(1, 0): [1, 2], (1, 1): [1, 3], (1, 2): [4, 5], (2, 0): [7, 8], (2, 2): [7, 8]})


def test_turnover_is_the_floor_where_there_are_days():
    changed = frame(
        {(1, 0): [1, 9], (1, 1): [1, 9], (1, 2): [4, 9], (2, 0): [9, 8], (2, 2): [7, 8]}
    )
    result = compare_feeds(DAILY, changed)
    assert result.floor == "turnover"
    rows = result.per_user.filter(pl.col("day").is_null())
    found = {(f, u): x for f, u, x in rows.select("feeds", "user_id", "slots_changed").iter_rows()}
    # user 1: drift 1/2 each day; turnover 1/2 (day 0 to 1), 1 (1 to 2).
    # user 2: drift 1/2, 0; has no two days in a row, so no turnover
    assert found == {
        ("b", 1): 0.5,
        ("b", 2): 0.25,
        ("floor", 1): 0.75,
        ("a", 1): None,
        ("a", 2): None,
    }
    row = headline(result, "slots_changed")
    assert (row["drift"], row["floor"], row["excess"], row["n_users"]) == (0.5, 0.75, -0.25, 1)
    first = headline(result, "slots_changed", day=0)
    assert (first["drift"], first["floor"], first["n_users"]) == (0.5, None, 2)
    assert any("turnover" in note for note in result.notes)


def test_excess_over_turnover_is_of_days_that_have_both():
    """B differs more on the first day alone, which has no turnover: no excess on any other day."""
    days = {0: [1, 2, 3, 4], 1: [1, 2, 3, 5], 2: [1, 2, 6, 5], 3: [1, 7, 6, 5]}
    other = {0: [8, 9, 10, 11], 1: [1, 2, 3, 9], 2: [1, 2, 6, 9], 3: [1, 7, 6, 9]}
    a, b = (
        {(user, day): items for user in (1, 2, 3) for day, items in feeds.items()}
        for feeds in (days, other)
    )
    del a[3, 2], b[3, 2]  # user 3 has turnover on day 1 alone
    b[3, 1] = [1, 2, 8, 9]
    result = compare_feeds(frame(a), frame(b))
    first = headline(result, "slots_changed", day=0)
    assert (first["drift"], first["excess"]) == (1.0, None)
    row = headline(result, "slots_changed")
    assert row["drift"] == pytest.approx((2 * (1 + 3 / 4) / 4 + (1 + 1 / 2 + 1 / 4) / 3) / 3)
    assert row["excess"] == pytest.approx((0 + 0 + 1 / 4) / 3)
    assert row["n_users"] == 3
    assert any("mean over the 3 of 4 days" in note for note in result.notes)
    earlier = compare_feeds(frame(a), frame(b).filter(pl.col("day") > 0))
    assert not any("mean over the" in note for note in earlier.notes)


def test_turnover_of_each_frame_by_hand():
    """Each frame's own change since the day before, over who has both days in every frame."""
    a = {(1, 0): [1, 2], (1, 1): [1, 3], (1, 2): [1, 3], (2, 0): [4, 5], (2, 1): [6, 7]}
    b = {(1, 0): [1, 2], (1, 1): [8, 9], (1, 2): [9, 8], (2, 1): [6, 7], (2, 2): [4, 5]}
    result = compare_feeds(frame(a), frame(b))
    kept = 1 - frbo([[1, 2]], [[1, 3]])[0]
    swapped = 1 - frbo([[8, 9]], [[9, 8]])[0]
    row = headline(result, "turnover", day=1)  # user 2 has no feed in b on day 0
    assert (row["a"], row["b"], row["n_users"]) == (pytest.approx(kept), 1.0, 1)
    row = headline(result, "turnover", day=2)
    assert (row["a"], row["b"]) == (0.0, pytest.approx(swapped))
    row = headline(result, "turnover")
    assert row["a"] == pytest.approx(kept / 2)
    assert row["b"] == pytest.approx((1 + swapped) / 2)
    assert row["drift"] == pytest.approx((1 - kept) / 2 + swapped / 2)
    per_day = result.per_user.filter(pl.col("day") == 0)["turnover"]
    assert per_day.null_count() == per_day.len()  # nothing is known before the first day
    again = compare_feeds(frame(a), frame(b), frame(b))
    row = headline(again, "turnover")
    assert row["floor"] == pytest.approx(row["drift"])  # the reference is b
    assert row["excess"] == pytest.approx(0.0)


def test_no_turnover_where_days_are_not_as_far_apart():
    one = compare_feeds(A, B)
    after = compare_feeds(frame({(1, 0): [1], (1, 1): [2]}), frame({(1, 5): [1], (1, 6): [2]}))
    for result in (one, after):
        assert "turnover" not in result.measures["measure"].to_list()


def test_before_and_after_as_far_apart_as_the_floor():
    # A's days 0, 1, 2; B's day 4 lies 2 after the last: so does 2 after 0.
    after = frame({(1, 4): [4, 6], (2, 4): [7, 8]})
    result = compare_feeds(DAILY, after)
    row = headline(result, "slots_changed")
    # drift from day 2: 1/2 and 0; turnover over two days: 1 and 0
    assert (row["drift"], row["floor"], row["excess"], row["n_users"]) == (0.25, 0.5, -0.25, 2)
    far = frame({(1, 9): [4, 6]})
    assert compare_feeds(DAILY, far).floor is None
    assert any("No floor" in note for note in compare_feeds(DAILY, far).notes)


def test_dates_are_days():
    start = date(2025, 1, 12)
    dated = DAILY.with_columns(day=(pl.lit(start) + pl.duration(days="day")).cast(pl.Date))
    after = frame({(1, 4): [4, 6], (2, 4): [7, 8]})
    late = after.with_columns(day=pl.lit(date(2025, 1, 16)))
    numbers = compare_feeds(DAILY, after).drift
    dates = compare_feeds(dated, late)
    assert dates.drift["day"].unique().to_list() == [None, date(2025, 1, 16)]
    assert_frame_equal(dates.drift.drop("day"), numbers.drop("day"))


def test_a_reference_counts_on_the_days_that_it_has():
    some = DAILY.filter(pl.col("day") < 2)
    result = compare_feeds(DAILY, DAILY, some)
    assert result.per_user["day"].unique().sort().to_list() == [None, 0, 1]
    assert any(
        "Days left out, because not all frames have them: 1" in note for note in result.notes
    )
    after = frame({(1, 4): [4, 6], (2, 4): [7, 8]})
    on_the_last_day = DAILY.filter(pl.col("day") == 2).with_columns(item_id=pl.col("item_id") + 1)
    assert headline(compare_feeds(DAILY, after, on_the_last_day), "slots_changed")["floor"] == 0.5


def test_mixes_are_pooled_over_days_but_for_turnover():
    items = pl.DataFrame({"item_id": range(1, 10), "topic": list("aabbababa")})
    other = DAILY.with_columns(item_id=10 - pl.col("item_id"))
    pooled = headline(compare_feeds(DAILY, other, DAILY, items=items), "topic")
    codes = np.array([0, 0, 0, 1, 1, 0, 1, 0, 1, 0])
    ids = {u: DAILY.filter(user_id=u)["item_id"].to_numpy()[None] for u in (1, 2)}
    expected = [tv(*(feed_mix(x, codes, 2) for x in (own, 10 - own)))[0] for own in ids.values()]
    assert pooled["drift"] == pytest.approx(np.mean(expected), abs=1e-12)
    daily = compare_feeds(DAILY, other, items=items)
    by_day = daily.per_user.filter(pl.col("day").is_not_null(), feeds="b", user_id=1)["topic"]
    whole = daily.per_user.filter(pl.col("day").is_null(), feeds="b", user_id=1)["topic"][0]
    assert whole == pytest.approx(by_day.mean(), abs=1e-12)


# --- people and items -----------------------------------------------------------------------------

PEOPLE = pl.DataFrame(
    {
        "user_id": [1, 2, 3, 50],
        "cohort": ["incumbent", "incumbent", "newcomer", "newcomer"],
        "age": [20, 30, None, 5],
    }
)
THINGS = pl.DataFrame(
    {
        "item_id": range(10, 30),
        "creator_id": [1] * 8 + [50] * 12,
        "language": ["zh"] * 11 + ["en"] * 9,
    }
)


def test_cohorts_groups_and_newcomers_items():
    result = compare_feeds(A, B, C, PEOPLE, THINGS, groups=["age"])
    assert headline(result, "slots_changed", "incumbent")["n_users"] == 2
    assert headline(result, "slots_changed", "newcomer")["drift"] == 1.0
    # newcomers' items are those from 18 on: user 2 gets 21, user 3 gets 22 to 25 for 18, 19, 20
    assert headline(result, "displaced", "incumbent")["drift"] == pytest.approx(0.125)
    row = headline(result, "newcomer_slots", "newcomer")
    assert (row["a"], row["b"], row["drift"]) == (0.75, 1.0, 0.25)
    groups = result.groups.filter(measure="slots_changed")
    assert groups.select("group", "n_users", "drift").rows() == [
        ("20", 1, 0.0),
        ("30", 1, 0.25),
        ("unknown", 1, 1.0),
    ]
    assert {"language:zh", "language:en", "language"} <= set(result.measures["measure"])
    assert any("2 items have no row in the items frame" in note for note in result.notes)
    assert set(result.quantiles["cohort"]) == {"incumbent", "newcomer", "all"}


def test_without_creators_nobody_is_a_newcomer():
    names = compare_feeds(A, B, users=PEOPLE).measures["measure"].to_list()
    assert "newcomer_slots" not in names
    named = THINGS.select("item_id", creator_cohort=pl.lit("newcomer"))
    assert headline(compare_feeds(A, B, items=named), "newcomer_slots")["a"] == 1.0


def test_a_cohort_by_another_name():
    people = PEOPLE.with_columns(plan=pl.Series(["free", "paid", "paid", "free"]))
    drift = compare_feeds(A, B, users=people, cohort="plan").drift
    assert drift["cohort"].unique(maintain_order=True).to_list() == ["free", "paid", "all"]


def test_every_mean_can_be_traced_to_the_rows_of_users():
    result = compare_feeds(DAILY, DAILY.with_columns(item_id=pl.col("item_id") % 5), users=PEOPLE)
    for row in result.summary.iter_rows(named=True):
        at = pl.col("day").eq_missing(pl.lit(row["day"], pl.Int32))
        rows = result.per_user.filter(at, pl.col("feeds") == row["feeds"])
        if row["cohort"] != "all":
            rows = rows.filter(cohort=row["cohort"])
        own = rows[row["measure"]].drop_nulls()
        assert row["mean"] == pytest.approx(own.mean(), abs=1e-12)
        assert row["n_users"] == len(own)
    described = set(result.measures["measure"])
    assert described == set(result.per_user.columns) - {"feeds", "day", "cohort", "user_id"}


def test_the_drift_of_a_study_is_found_again_in_its_feeds():
    study = recsys.load_study(
        {
            "name": "x",
            "world": {
                "incumbents": 120,
                "influx": {"kind": "rednote_2025", "newcomers": 30},
                "days_before": 2,
                "days_after": 3,
            },
            "recommenders": [{"kind": "als", "factors": 4}],
            "evaluation": {"days": [1, 2], "k": 6, "panel": 30, "snapshots": True},
            "seeds": 1,
        }
    )
    found = recsys.run(study)
    arms = {
        arm: found.feeds.filter(arm=arm, cohort="incumbent")
        for arm in ("control", "influx", "retrain")
    }
    result = compare_feeds(arms["control"], arms["influx"], arms["retrain"])
    for row in found.drift.filter(measure="posts").iter_rows(named=True):
        ours = headline(result, "posts", day=row["day"])
        assert ours["drift"] == pytest.approx(row["influx"], abs=1e-12)
        assert ours["floor"] == pytest.approx(row["retrain"], abs=1e-12)
        assert ours["excess"] == pytest.approx(row["total"], abs=1e-12)


def test_intervals_cover_the_mean_of_other_users():
    """Users drawn from one law, 1,000 times: 95 % intervals cover in 93.6 to 96.4 % (2 sd)."""
    random = np.random.default_rng(7)
    y = np.clip(random.normal(0.3, 0.2, (1000, 200)), 0, 1)
    truth = np.clip(random.normal(0.3, 0.2, 4_000_000), 0, 1).mean()
    interval = users_interval(y)
    covered = ((interval.low <= truth) & (truth <= interval.high)).mean()
    assert 0.936 <= covered <= 0.964


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (A.drop("rank"), B, "a: no column 'rank'"),
        (A, B.clear(), "b: no rows, so no feeds"),
        (
            A,
            B.with_columns(rank=pl.col("rank") - 1),
            "b: rank is 0 in row 1, and 2 more of 12 rows; ranks",
        ),
        (A, B.with_columns(user_id=pl.lit(None, pl.Int64)), "b: 12 of 12 rows have no user_id"),
        (
            A,
            B.with_columns(pl.col("item_id").cast(pl.String)),
            r"item_id: integers in a, text in b, so no two ids can be equal; cast one",
        ),
        (
            A,
            B.with_columns(user_id=1.5),
            "b: user_id is 1.5 in row 1, and .*Float64; ids are integers or s",
        ),
        (A, pl.concat([B, B[:1]]), r"b: rank 1 stands twice in the feed of user 1 \(1 feeds"),
        (A, B.filter(pl.col("rank") != 2), r"b: rank 2 is missing from the feed of user 1 \(3"),
        (A, B.with_columns(item_id=pl.lit(7)), r"item 7 stands twice in the feed of user 1 \(3"),
        (A, B.with_columns(day=1), "day: the column is in b but not in a"),
        (A.with_columns(day=1), B.with_columns(day=pl.lit("1")), "b: day is String; give integers"),
        (A.with_columns(day=1), B.with_columns(day=pl.lit(None, pl.Int32)), "12 rows have no day"),
        (A.with_columns(day=1), B.with_columns(day=date(2025, 1, 1)), "integers in a, dates in b"),
        (
            A.with_columns(day=2),
            B.with_columns(day=1),
            "a has day 2 and b day 1; give frames that share days",
        ),
        (A.with_columns(user_id=pl.lit(2**64 - 1, pl.UInt64)), B, "numbers above 9223372036854775"),
    ],
)
def test_frames_that_are_no_feeds(a, b, message):
    with pytest.raises(LogError, match=message):
        compare_feeds(a, b)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"columns": {"user_id": "member"}}, ConfigError, "columns.user_id: no file has a column"),
        ({"cohort": "plan"}, ConfigError, "cohort: there is no users frame"),
        ({"cohort": "plan", "users": PEOPLE}, ConfigError, "cohort: users have no 'plan'"),
        ({"groups": ["agee"], "users": PEOPLE}, ConfigError, "groups: users have no 'agee'; did"),
        ({"attributes": ["mood"], "items": THINGS}, ConfigError, "attributes: items have no 'moo"),
        ({"users": PEOPLE.drop("user_id")}, LogError, "users: no column 'user_id'"),
        (
            {"users": PEOPLE.with_columns(pl.col("user_id").cast(pl.String))},
            LogError,
            "users: user_id is String there and an integer in the feeds",
        ),
        ({"users": pl.concat([PEOPLE, PEOPLE])}, LogError, "users: 4 rows repeat an user_id"),
        (
            {"items": THINGS.with_columns(popularity=-1.0)},
            LogError,
            "items: popularity is -1.0 in row 1, and 15 more",
        ),
        ({"items": THINGS.with_columns(embedding=1)}, LogError, "items: embedding is Int32; give"),
        (
            {"items": THINGS.with_columns(embedding=pl.Series([[1.0, 2.0]] + [[1.0]] * 19))},
            LogError,
            r"items: embeddings have \[1, 2\] numbers",
        ),
        (
            {"items": THINGS.with_columns(pl.col("creator_id").cast(pl.String)), "users": PEOPLE},
            LogError,
            "items: creator_id is String and users' user_id Int64",
        ),
    ],
)
def test_users_and_items_that_do_not_fit(more, error, message):
    with pytest.raises(error, match=message):
        compare_feeds(A, B, **more)


# --- names, ranks, days and ids of any type -------------------------------------------------------


@pytest.mark.parametrize("name", ["all", "'all'"])
def test_a_cohort_that_is_called_as_everybody(name):
    people = pl.DataFrame({"user_id": [1, 2, 3], "cohort": [name, name, "new"]})
    result = compare_feeds(A, B, users=people)
    rows = result.drift.filter(measure="slots_changed").select("cohort", "n_users").rows()
    assert sorted(rows) == [(f"'{name}'", 2), ("all", 3), ("new", 1)]
    assert set(result.per_user["cohort"]) == {f"'{name}'", "new"}


@pytest.mark.parametrize("name", ["slots_changed", "posts", "scores", "user_id"])
def test_an_attribute_that_is_called_as_ours(name):
    """Its figures stand beside ours, in quotation marks."""
    things = pl.DataFrame({"item_id": range(10, 26), "z": ["x", "y"] * 8})
    plain = compare_feeds(A, B, items=things, attributes={"z": "z"})
    result = compare_feeds(A, B, items=things, attributes={name: "z"})
    for measure in ("slots_changed", "posts", "jaccard"):
        assert headline(result, measure) == headline(plain, measure)
    assert headline(result, f"'{name}'")["drift"] == headline(plain, "z")["drift"]
    with pytest.raises(ConfigError, match="attributes: 'a:b' is a name of recsys' own"):
        compare_feeds(A, B, items=things, attributes={"a:b": "z"})


def test_ranks_ids_and_days_of_other_types():
    a, b = A.with_columns(day=1_650_485_801_301), B.with_columns(day=1_650_485_801_301)
    expected = headline(compare_feeds(a, b), "slots_changed")
    odd = [pl.col("rank").cast(pl.String), pl.col("user_id").cast(pl.Float64), pl.col("item_id")]
    result = compare_feeds(a.with_columns(*odd[:2], day=1_650_485_801_301.0), b)
    assert headline(result, "slots_changed") == expected
    assert result.k == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"day": 1.5}, "b: day is 1.5 in row 1"),
        ({"day": pl.lit(2**64 - 1, pl.UInt64)}, "b: day is 18446744073709551615 in row 1"),
        ({"rank": 2.5}, "b: rank is 2.5 in row 1"),
        ({"rank": pl.lit([1])}, "b: rank is List"),
        ({"item_id": 2.0**60}, "b: item_id is 1.152921504606847e.18 in row 1"),
        ({"score": pl.lit([0.5])}, "b: score is List"),
    ],
)
def test_columns_that_do_not_fit(more, message):
    with pytest.raises(LogError, match=message):
        compare_feeds(A.with_columns(day=1), B.with_columns(**{"day": pl.lit(1), **more}))


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"items": THINGS.with_columns(topic=pl.lit(["a"]))}, LogError),
        ({"users": PEOPLE.with_columns(cohort=pl.lit(["a"]))}, LogError),
        ({"users": PEOPLE.with_columns(tags=pl.lit(["a"])), "groups": ["tags"]}, ConfigError),
    ],
)
def test_lists_are_no_names(more, error):
    with pytest.raises(error, match=r"holds List\(String\), such as \['a'\], and cannot be a"):
        compare_feeds(A, B, **more)


def test_columns_change_names_in_a_chain():
    swapped = [f.rename({"user_id": "item_id", "item_id": "user_id"}) for f in (A, B)]
    result = compare_feeds(*swapped, columns={"user_id": "item_id", "item_id": "user_id"})
    assert headline(result, "slots_changed") == headline(compare_feeds(A, B), "slots_changed")
