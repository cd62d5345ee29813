"""The view by exposure finds a planted effect, finds no other, and says where it cannot be made."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys.logs.log import InteractionLog
from recsys.logs.newcomers import DatedLog
from recsys.study.arms.by_exposure import ASSUMPTION, CLICK_RATE, EXPOSED, exposed

ARRIVED = date(2025, 1, 13)
TOPICS, PER_TOPIC, DAYS = 6, 30, 14


def own_log(seed, effect=0.0, *, before=3, incumbents=300, newcomers=80, topic_before=0.0):
    """Incumbents with tastes of their own, in windows of two weeks; newcomers who like topic 0.

    Args:
        effect: share of their taste for topic 0 by which incumbents turn to topic 1, and by which
            they click less, once newcomers are there.
        before: windows before.
        topic_before: the same turn, but a window before anybody comes.
    """
    rng = np.random.default_rng(seed)
    taste = rng.dirichlet(np.full(TOPICS, 0.7), incumbents)
    users, items, days, clicks = [], [], [], []
    for user in range(incumbents + newcomers):
        for window in range(-before, 1):
            n, chance = 8 + rng.poisson(10), 0.6
            if user < incumbents:
                turned = topic_before if window == -1 else effect if window == 0 else 0.0
                turned *= taste[user, 0]
                p = (1 - turned) * taste[user] + turned * np.eye(TOPICS)[1]
                chance -= turned / 2
            elif window == 0:
                p = 0.8 * np.eye(TOPICS)[0] + 0.2 / TOPICS
            else:
                continue
            topic = rng.choice(TOPICS, n, p=p)
            users += [user] * n
            items += (topic * PER_TOPIC + PER_TOPIC * rng.random(n) ** 2).astype(int).tolist()
            days += (DAYS * (window + rng.random(n))).tolist()
            clicks += (rng.random(n) < chance).tolist()
    start = datetime(2025, 1, 13, tzinfo=UTC)
    events = {
        "user_id": users,
        "item_id": items,
        "timestamp": [int((start + timedelta(days=float(day))).timestamp()) for day in days],
        "kind": ["click" if click else "impression" for click in clicks],
    }
    people = {
        "user_id": range(incumbents + newcomers),
        "cohort": ["incumbent"] * incumbents + ["newcomer"] * newcomers,
    }
    things = {"item_id": range(TOPICS * PER_TOPIC)}
    things["topic"] = [f"topic {item // PER_TOPIC}" for item in things["item_id"]]
    log = InteractionLog.from_frames(events, people, things)
    return DatedLog(log, np.zeros(log.n_users, dtype=np.bool_), ARRIVED)


def clicking_log(seed, less, people=400):
    """Three kinds of incumbents: newcomers like none, some, or most of what they like.

    Half of the third kind click less by the share `less`, once newcomers are there.

    Returns:
        The log, and of incumbents: kind, change of the true rate, likes (4 windows, users).
    """
    rng = np.random.default_rng(seed)
    kind = np.repeat([0, 1, 2], [people * 2 // 5, people // 5, people * 2 // 5])
    n, new = kind.size, people // 5
    before = np.exp(rng.normal(np.log(0.2), 0.5, n)).clip(0, 0.9)
    after = before * np.where((kind == 2) & (rng.random(n) < 0.5), 1 - less, 1)
    views = rng.poisson(40, (4, n))
    user = np.concatenate(
        [*(np.repeat(np.arange(n), of) for of in views), n + np.arange(new * 60) % new]
    )
    window = np.repeat([-3, -2, -1, 0, 0], [*views.sum(1), new * 60])
    theirs = user >= n
    liked = np.where(rng.random(user.size) < 0.2, 1, 2)
    of_kind = np.where(theirs, liked, kind[np.minimum(user, n - 1)])
    chance = np.where(window == 0, after[np.minimum(user, n - 1)], before[np.minimum(user, n - 1)])
    click = theirs | (rng.random(user.size) < chance)
    start = datetime(2025, 1, 13, tzinfo=UTC).timestamp()
    days = DAYS * (window + rng.random(user.size))
    events = {
        "user_id": user,
        "item_id": 100 * of_kind + rng.integers(0, 100, user.size),
        "timestamp": (start + 86_400 * days).astype(np.int64),
        "kind": np.where(click, "click", "impression"),
    }
    cohort = ["incumbent"] * n + ["newcomer"] * new
    things = {"item_id": range(300), "topic": [f"topic {item % 7}" for item in range(300)]}
    log = InteractionLog.from_frames(events, {"user_id": range(n + new), "cohort": cohort}, things)
    likes = [np.bincount(user[click & (window == w)], minlength=n + new)[:n] for w in range(-3, 1)]
    own = DatedLog(log, np.zeros(log.n_users, dtype=np.bool_), ARRIVED)
    return own, kind, after - before, np.array(likes)


@pytest.mark.parametrize("less", [0.5, 0.8])
def test_users_who_click_less_are_not_left_out_for_it(less):
    """In 20 logs the estimated difference is the true one, and its interval holds it.

    Likes demanded after the arrival too had told .4 of .8 and less, and held it in 0 of 20.
    """
    told, true, held = [], [], 0
    for seed in range(20):
        own, kind, change, likes = clicking_log(seed, less)
        counted = (likes[1:3] >= 5).all(axis=0)
        truth = change[counted & (kind == 2)].mean() - change[counted & (kind == 0)].mean()
        row = view(own, {}, least=5).table.filter(~pl.col("check")).row(0, named=True)
        assert row["outcome"] == CLICK_RATE
        assert (row["lost_low"], row["lost_high"]) == (0, 0)
        held += row["ci_low"] <= truth <= row["ci_high"]
        told.append(row["difference"])
        true.append(truth)
    assert np.mean(told) == pytest.approx(np.mean(true), abs=0.006)
    assert np.mean(true) < -0.05
    assert held >= 17  # at 95 %, fewer have a chance of 1.6 %


def test_users_who_are_lost_to_a_mix_are_counted_by_third():
    found = view(*clicking_log(0, 0.9, people=900)[:1], least=5)
    row = found.table.filter(~pl.col("check"), outcome="topic").row(0, named=True)
    lost = [
        row[f"lost_{side}"] / (row[f"lost_{side}"] + row[f"n_{side}"]) for side in ("low", "high")
    ]
    assert lost[1] > lost[0] + 0.2
    assert (
        f"View by exposure, topic: after the arrival {100 * lost[0]:.0f} % of the least and "
        f"{100 * lost[1]:.0f} % of the most exposed have too few likes. The comparison is of those "
        "who went on liking."
    ) in found.notes
    rate = found.table.filter(~pl.col("check"), outcome=CLICK_RATE).row(0, named=True)
    assert rate["n_low"] == row["n_low"] + row["lost_low"]
    assert rate["n_high"] == row["n_high"] + row["lost_high"]


def test_users_who_see_nothing_afterwards_have_no_rate():
    own, kind, _, _ = clicking_log(1, 0.0, people=900)
    gone = np.flatnonzero(kind == 2)[::3]
    events = own.log.dense
    later = (events["timestamp"] >= datetime(2025, 1, 13, tzinfo=UTC)).to_numpy()
    kept = own.log.only(~(later & np.isin(events["user"].to_numpy(), gone)))
    found = view(DatedLog(kept, own.bystanders, ARRIVED), {}, least=5)
    row = found.table.filter(~pl.col("check")).row(0, named=True)
    assert row["lost_low"] == 0
    assert row["lost_high"] / (row["lost_high"] + row["n_high"]) == pytest.approx(1 / 3, abs=0.06)
    assert any(
        "have seen nothing. The comparison is of those who went on coming" in n for n in found.notes
    )


def view(own, attributes=None, least=3):
    topics = {"topic": "topic"} if attributes is None else attributes
    return exposed(own, topics, "UTC", least, seed=0)


def test_a_planted_effect_is_found_and_the_check_is_clean():
    found = view(own_log(0, effect=1.0, incumbents=900))
    assert found.table.schema == EXPOSED
    for outcome, sign in (("topic", 1), (CLICK_RATE, -1)):
        row, check = found.table.filter(outcome=outcome).sort("check").iter_rows(named=True)
        assert sign * row["difference"] > 0.03
        assert row["p_value"] < 0.001
        assert check["p_value"] > 0.01
        assert row["exposure_high"] > 2 * row["exposure_low"]
        assert row["window_days"] == 14
    assert ASSUMPTION in found.notes[0]
    assert "windows of 14 days around 2025-01-13" in found.notes[0]


def test_without_an_effect_intervals_hold_0():
    """30 logs, two outcomes and their checks: of 120 intervals 6 miss 0; 16 or more: 3e-4."""
    rows = pl.concat([view(own_log(seed)).table for seed in range(30)])
    assert rows.height == 120
    missed = rows.filter((pl.col("ci_low") > 0) | (pl.col("ci_high") < 0))
    assert missed.height <= 15
    assert abs(rows["difference"].mean()) < 0.01


def test_what_changed_before_is_no_effect_of_newcomers():
    """If tastes turn in the window before the arrival, the check fails."""
    found = view(own_log(1, topic_before=1.0, incumbents=900))
    check = found.table.filter(pl.col("check"), pl.col("outcome") == "topic").row(0, named=True)
    assert check["p_value"] < 0.001
    assert any("the check fails for topic" in note for note in found.notes)


def test_newcomers_and_bystanders_are_not_compared():
    own = own_log(2)
    whole = view(own).table
    late = np.zeros(own.log.n_users, dtype=np.bool_)
    late[:150] = True
    part = view(DatedLog(own.log, late, ARRIVED)).table
    for table, most in ((whole, 300), (part, 150)):
        total = table.filter(~pl.col("check"))["n_low"] + table.filter(~pl.col("check"))["n_high"]
        assert (total <= 0.7 * most).all()


def test_windows_are_as_long_as_the_log_allows():
    """Two windows before are six weeks less a window: 28 days in three parts, in whole weeks."""
    found = view(own_log(3, before=2), least=1)
    assert found.table["window_days"].unique().to_list() == [7]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"arrived": None}, "it is not known when the newcomers arrived"),
        ({"arrived": date(2024, 12, 3)}, "the log has 1 days before 2024-12-03"),
        (
            {"arrived": date(2025, 3, 1)},
            "and 0 from it on; it needs three windows before and one after",
        ),
    ],
)
def test_no_view_and_why(change, reason):
    own = own_log(4)
    found = view(DatedLog(own.log, own.bystanders, **change))
    assert found.table.is_empty()
    assert found.table.schema == EXPOSED
    assert found.notes[0].startswith("No view by exposure: ")
    assert reason in found.notes[0]


def test_no_view_of_too_few():
    assert (
        "too few incumbents have 40 likes in each of the two windows"
        in view(own_log(5), least=40).notes[0]
    )


def test_no_view_without_times_or_anything_to_compare():
    log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]})
    nobody = np.zeros(2, dtype=np.bool_)
    assert "the log has no times" in view(DatedLog(log, nobody, ARRIVED)).notes[0]
    clicks = own_log(6).log
    clicks = clicks.only((clicks.dense["weight"] > 0).to_numpy())
    found = view(DatedLog(clicks, np.zeros(clicks.n_users, dtype=np.bool_), ARRIVED), {})
    assert "neither impressions nor log.attributes" in found.notes[0]
    mixes = view(DatedLog(clicks, np.zeros(clicks.n_users, dtype=np.bool_), ARRIVED))
    assert mixes.table["outcome"].unique().to_list() == ["topic"]  # no rate of clicks
