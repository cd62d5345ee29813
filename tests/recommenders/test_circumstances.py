"""What a click owes to circumstances, against slow references; and that the ranker discounts it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys.logs.log import InteractionLog
from recsys.recommenders import Ranker, ranker
from recsys.recommenders.attributes import categories
from recsys.recommenders.circumstances import circumstances, served

START = datetime(2025, 1, 1, tzinfo=UTC)


def a_log(n=600, *, times=True):
    rng = np.random.default_rng(6)
    events = {
        "user_id": rng.integers(0, 12, n),
        "item_id": rng.integers(0, 40, n),
        "kind": rng.choice(["impression", "click"], n, p=[0.8, 0.2]),
        "rank": rng.integers(1, 30, n),
    }
    if times:
        minutes = np.sort(rng.choice(3 * 1440, n, replace=False))
        events["timestamp"] = [START + timedelta(minutes=int(m)) for m in minutes]
    topics = {"item_id": range(40), "topic": [f"t{i % 5}" for i in range(40)]}
    return InteractionLog.from_frames(events, items=topics)


def test_circumstances_against_a_slow_reference():
    log = a_log()
    topics = categories(log.items, np.arange(log.n_items, dtype=np.int32), ["topic"])
    found = circumstances(log, topics)
    clicked = set(log.dense.filter(pl.col("weight") > 0).select("user", "item").iter_rows())
    seen, looks = set(), []
    for user, item, time, rank in log.dense.select("user", "item", "timestamp", "rank").iter_rows():
        if (user, item) not in seen:
            seen.add((user, item))
            looks.append((user, item, time.date(), rank))
    rate = len(clicked) / len(looks)
    assert found.pairs.size == len(looks)
    assert (np.diff(found.pairs) > 0).all()
    place = {int(pair): row for row, pair in enumerate(found.pairs)}
    for at, (user, item, day, rank) in enumerate(looks):
        earlier = [other for u, other, d, _ in looks[:at] if (u, d) == (user, day)]
        same = sum(topics[0].codes[other] == topics[0].codes[item] for other in earlier)
        others = [(u, other) for u, other, _, _ in looks if u == user and other != item]
        clicks = sum(pair in clicked for pair in others)
        got = found.values[place[user * log.n_items + item]]
        expected = [rank, np.log1p(len(earlier)), (clicks + 6 * rate) / (len(others) + 6), same]
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert served(found).tolist() == [1, 0, found.values[:, 2].mean(), 0]


def test_a_click_does_not_count_in_its_own_circumstances():
    """Whether a pair was clicked changes nobody's circumstances but the others' of its user."""
    log = a_log()
    pair = log.dense.filter(pl.col("weight") > 0).row(0, named=True)
    its = (pl.col("user") == pair["user"]) & (pl.col("item") == pair["item"])
    weight = pl.when(its).then(0.0).otherwise("weight").cast(pl.Float32)
    other = InteractionLog(log.users, log.items, log.dense.with_columns(weight=weight))
    one, two = (circumstances(each, []) for each in (log, other))
    number = pair["user"] * log.n_items + pair["item"]
    rates = [each.values[:, 2] for each in (one, two)]
    looks = (one.pairs // log.n_items == pair["user"]).sum()
    own = np.searchsorted(one.pairs, number)
    prior = 6 / one.pairs.size / (looks - 1 + 6)  # the common rate, in which it does count
    assert rates[0][own] - rates[1][own] == pytest.approx(prior, abs=1e-12)
    rest = one.pairs // log.n_items == pair["user"]
    rest[own] = False
    assert (rates[0][rest] > rates[1][rest] + 0.5 / (looks + 5)).all()


def test_without_times_nothing_is_earlier():
    found = circumstances(a_log(times=False), [])
    assert np.isnan(found.values[:, 1]).all()
    assert np.isfinite(found.values[:, 2]).all()


def confounded(n_users=300, n_items=60, days=4):
    """Good posts are clicked twice as often as bad ones in the same slot, but most of them stand
    far down, where few look: of all looks those at bad ones have more clicks."""
    rng = np.random.default_rng(3)
    n = n_users * days * 8
    good = np.arange(n_items) % 2 == 0
    item = rng.integers(0, n_items, n)
    low = rng.random(n) < np.where(good[item], 0.8, 0.2)
    rank = np.where(low, rng.integers(20, 40, n), rng.integers(1, 3, n))
    clicked = rng.random(n) < np.where(good[item], 0.5, 0.25) * np.where(low, 0.1, 1.0)
    minutes = rng.integers(0, days * 1440, n).tolist()
    log = InteractionLog.from_frames(
        {
            "user_id": rng.integers(0, n_users, n),
            "item_id": item,
            "kind": np.where(clicked, "click", "impression"),
            "rank": rank,
            "timestamp": [START + timedelta(minutes=minute) for minute in minutes],
        },
        items={"item_id": range(n_items), "grade": [("bad", "good")[int(g)] for g in good]},
    )
    return log, good


def share_of_good(log, good):
    model = Ranker(factors=2, candidates=60, label_days=3.0).fit(log)
    assert model.trees is not None
    feeds = model.rank(np.arange(log.n_users), 10, exclude_seen=False).item_ids
    return good[feeds[feeds >= 0]].mean()


def test_the_ranker_discounts_circumstances(monkeypatch):
    log, good = confounded()
    looks = log.dense.with_columns(good=pl.Series(good).gather(log.dense["item"]))
    rates = {kind: (part["weight"] > 0).mean() for (kind,), part in looks.group_by(["good"])}
    assert rates[True] < 0.8 * rates[False]
    knowing = share_of_good(log, good)

    def unknown(log, attributes):
        found = circumstances(log, attributes)
        return found._replace(values=np.full_like(found.values, np.nan))

    monkeypatch.setattr(ranker, "circumstances", unknown)
    assert knowing > share_of_good(log, good) + 0.1
    assert knowing > 0.6
