"""Placebos of a log: as new to the recommender as newcomers, where it is known when these came.

The made-up log has four weeks before the newcomers come, and one after. Users of three sorts are in
it, and what they like is drawn from one law in each of the two parts:

- *busy* incumbents, two in three: 20 likes before and 10 in the last week;
- *past* incumbents: 10 likes before, none in the last week;
- newcomers: 10 likes in the last week.

So newcomers are like busy incumbents in the last week, and like past incumbents in number. Whoever
forgets when they came takes past incumbents for placebos, and these move today's feeds little.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import binom

from recsys import load_study, run, verdict
from recsys.logs.log import InteractionLog
from recsys.measures.overlap import default_persistence
from recsys.recommenders import RECOMMENDERS
from recsys.statistics.matching import draw_placebo
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.arms.measuring import measure
from recsys.study.arms.own_log import LogFeeds, Reference
from recsys.study.arms.placebos import Early, arrival, placebos_of
from recsys.study.sources import Sources
from recsys.study.tables.drift import drift_of_log

START, CAME = date(2025, 1, 1), date(2025, 1, 29)
BEGIN = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
DAY, HALF_LIFE = 86_400, 2.0
"""Seconds; days in which an event of `trending` loses half of its weight."""
INCUMBENTS = 240


def wave(folder, *, newcomers=15, special=0, seed=0, draws=20):
    """The log; newcomers like so many of items 50 to 57, drawn by lot, before others."""
    rng = np.random.default_rng(seed)
    laws = [rng.permutation(1 / np.sqrt(1 + np.arange(50))) for _ in range(2)]
    rows = []

    def like(user, n, days, first, last, part, before=()):
        law = laws[part] / laws[part].sum()
        items = 50 * part + rng.choice(50, n, replace=False, p=law)
        items = np.concatenate([before, np.setdiff1d(items, before, assume_unique=True)])[:n]
        when = rng.choice(np.arange(first, last), days, replace=False)
        rows.extend((user, int(item), int(when[i % days])) for i, item in enumerate(items))

    for user in range(INCUMBENTS + newcomers):
        if user >= INCUMBENTS:
            like(user, 10, 5, 28, 35, 1, 50 + rng.permutation(8)[:special])
        elif user % 3 == 2:
            like(user, 10, 5, 0, 28, 0)
        else:
            like(user, 20, 10, 0, 28, 0)
            like(user, 10, 5, 28, 35, 1)
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "day"], orient="row")
    seconds = BEGIN + DAY * pl.col("day") + pl.Series(rng.integers(0, DAY, events.height))
    events.select("user_id", "item_id", timestamp=seconds).write_parquet(folder / "events.parquet")
    formats = ["short" if item % 2 else "long" for item in range(100)]
    items = pl.DataFrame({"item_id": range(100), "format": formats})
    items.write_parquet(folder / "items.parquet")
    return {
        "name": "wave",
        "log": {
            "events": str(folder / "events.parquet"),
            "items": str(folder / "items.parquet"),
            "newcomers": {"first_seen": {"from": CAME.isoformat()}},
            "attributes": {"format": "format"},
            "placebo_draws": draws,
        },
        "recommenders": [{"kind": "trending", "half_life_days": HALF_LIFE}],
        "evaluation": {"k": 8, "panel": 60},
    }


@dataclass(frozen=True)
class Posts:
    """The measure `posts` of a log alone; see `AboutLog`."""

    log: MeasuredLog

    @property
    def measures(self):
        return {"posts": self.log.measures["posts"]}

    def pair(self, group, reference):
        return self.log.pair(group, reference)

    def pool(self):
        return None

    @property
    def columns(self):
        return {}


def audited(config, kind, draws=19, **options):
    """Drift of posts, of the newcomers and of the mean placebo, and its p-value."""
    log = Sources(load_study(config)).log
    ways = {(kind, "none"): log.serve}
    reference = Reference(log.removals, RECOMMENDERS[kind](**options), ways, same_seed=True)
    per_user = measure(LogFeeds(reference, Posts(log), range(1, draws + 1))).per_user
    row = drift_of_log(per_user, log.matching.crowding, same_seed=True).row(0, named=True)
    return row["influx"], row["placebo"], row["p_value"]


def test_a_wave_of_a_week_is_matched_with_what_others_did_in_that_week(tmp_path):
    """Each placebo is a busy incumbent, and each stands for one newcomer: 10 likes, once."""
    log = Sources(load_study(wave(tmp_path))).log
    placebos, removals = log.placebos, log.removals
    assert placebos.since == datetime(2025, 1, 29, tzinfo=UTC)
    assert placebos.matching.testable
    assert placebos.matching.event_share == 1.0
    assert "left out of both fits" in placebos.describe()
    for draw in range(1, 20):
        group = draw_placebo(placebos.matching, draw)
        assert np.unique(group).size == 15
        assert (group < INCUMBENTS).all()
        assert (group % 3 < 2).all()
        assert not np.isin(group, log.panel).any()
        joined, placebo = (removals.log_of(arm, draw).dense for arm in ("joined", "placebo"))
        assert joined.height - placebo.height == 10 * 15


def test_a_placebo_is_compared_with_the_log_in_which_its_group_had_just_joined(tmp_path):
    log = Sources(load_study(wave(tmp_path))).log
    removals = log.removals
    group = draw_placebo(log.matching, 3)
    joined = removals.log_of("joined", 3)
    mine = joined.dense.filter(pl.col("user").is_in(group))
    assert mine["timestamp"].min() >= removals.since
    others = pl.col("user").is_in(np.append(group, removals.newcomers)).not_()
    left = removals.log.dense.filter(others)
    assert_frame_equal(joined.dense.filter(others), left)
    assert joined.dense.height == left.height + mine.height
    assert_frame_equal(removals.log_of("placebo", 3).dense, left)
    assert np.array_equal(np.setdiff1d(removals.left_out("placebo", 3), group), removals.newcomers)
    before = removals.log_of("before", 0).dense
    assert before["timestamp"].max() < removals.since


# By hand


def feeds_by_hand(events, seen, panel, k):
    """The panel's feeds (n, k): items by the sum of 2^(days / half-life), without those seen."""
    days = (events["timestamp"].to_numpy() - BEGIN) / DAY
    score = np.bincount(events["item_id"].to_numpy(), 2.0 ** (days / HALF_LIFE), minlength=100)
    order = np.argsort(-score)
    return np.stack([[item for item in order if item not in seen[user]][:k] for user in panel])


def drift_by_hand(one, other):
    """1 - (1-p)/(1-p^k) · Σ p^(d-1) X_d/d of each pair of feeds (n, k)."""
    k = one.shape[1]
    p, depths = default_persistence(k), range(1, k + 1)
    shared = np.array(
        [[len({*a[:d]} & {*b[:d]}) for d in depths] for a, b in zip(one, other, strict=True)]
    )
    weights = (1 - p) / (1 - p**k) * p ** np.arange(k) / np.arange(1, k + 1)
    return 1 - shared @ weights


def test_drift_of_placebos_is_that_of_the_same_week_by_hand(tmp_path):
    config = wave(tmp_path)
    result = run(load_study(config))
    log = Sources(load_study(config)).log
    panel = log.whole.users["user_id"].to_numpy()[log.panel]
    events = pl.read_parquet(tmp_path / "events.parquet")
    seen = {user: {*part["item_id"]} for (user,), part in events.group_by("user_id")}
    user, new = pl.col("user_id"), pl.col("user_id") >= INCUMBENTS
    late = pl.col("timestamp") >= BEGIN + 28 * DAY

    def feeds(*which):
        return feeds_by_hand(events.filter(*which), seen, panel, 8)

    def short(made):
        return float((made % 2).mean())

    full, influx = feeds(), feeds(~new)
    posts = result.per_user.sort("user_id")
    found = posts.filter(arm="influx")["posts"].to_numpy()
    np.testing.assert_allclose(found, drift_by_hand(full, influx), atol=1e-12)
    drifts, moved = [], []
    for draw in range(1, 21):
        group = log.whole.users["user_id"].to_numpy()[draw_placebo(log.matching, draw)]
        mine = user.is_in(group)
        joined, placebo = feeds(~new, ~mine | late), feeds(~new, ~mine)
        drift = drift_by_hand(joined, placebo)
        found = posts.filter(arm="placebo", draw=draw)["posts"].to_numpy()
        np.testing.assert_allclose(found, drift, atol=1e-12)
        drifts.append(drift.mean())
        moved.append(short(joined) - short(placebo))
    assert np.mean(drifts) > 0.01  # feeds do move, or nothing would be compared
    row = result.drift.filter(measure="posts").row(0, named=True)
    assert row["placebo"] == pytest.approx(np.mean(drifts), abs=1e-12)
    assert row["influx"] == pytest.approx(drift_by_hand(full, influx).mean(), abs=1e-12)
    mix = result.mix.filter(value="short").row(0, named=True)
    assert mix["placebo"] == pytest.approx(np.mean(moved), abs=1e-12)
    assert mix["moved"] == pytest.approx(short(full) - short(influx), abs=1e-12)
    assert mix["before"] == pytest.approx(short(feeds(~late)), abs=1e-12)


# Whom the audit accuses


@pytest.mark.parametrize("kind", ["trending", "item_knn"])
def test_newcomers_like_anybody_who_had_just_joined_are_in_the_middle(tmp_path, kind):
    """Newcomers who do as busy incumbents do move feeds as far as placebos, give or take.

    With 19 draws a fair test has p <= .05 with probability 5 %, and newcomers move feeds further
    than the mean placebo in about half of 16 logs. Schemes that go wrong: whole users instead of
    joined ones, placebos who keep their past, placebos who are compared with the whole log, or who
    come beside the newcomers and not in their place.
    """
    logs = [audited(wave(tmp_path, seed=seed), kind) for seed in range(16)]
    further = sum(influx > placebo for influx, placebo, _ in logs)
    small = sum(p <= 0.0501 for _, _, p in logs)
    assert small <= binom.ppf(0.999, 16, 0.05)
    assert binom.ppf(0.0005, 16, 0.5) <= further <= binom.ppf(0.9995, 16, 0.5)


def test_newcomers_who_differ_are_found(tmp_path):
    result = run(load_study(wave(tmp_path, newcomers=30, special=8, draws=39)))
    assert result.drift.filter(measure="posts")["p_value"].item() == 1 / 40
    assert {"full", "influx", "before", "joined", "placebo"} == set(result.per_user["arm"])
    assert result.matching.select("joined", "early").row(0) == (True, 0)
    assert audited(wave(tmp_path, newcomers=30, special=8), "item_knn")[2] == 1 / 20


# Where there is no such day


def test_whole_users_where_nobody_else_was_there(tmp_path):
    """In the last week nobody but newcomers does anything."""
    rng = np.random.default_rng(0)
    rows = [
        (user, int(item), START + timedelta(days=28 if user >= 200 else int(rng.integers(28))))
        for user in range(230)
        for item in rng.permutation(40)[:6]
    ]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    log = InteractionLog.from_frames(
        events,
        {"user_id": range(230), "cohort": ["incumbent"] * 200 + ["newcomer"] * 30},
    )
    placebos = placebos_of(
        log,
        np.arange(50),
        ~log.newcomers,
        0,
        arrived=CAME,
        timezone="UTC",
        max_pool_fraction=0.5,
    )
    assert placebos.since is None
    assert placebos.elsewhen
    assert "at other times" in placebos.describe()


@pytest.mark.parametrize(
    ("arrived", "timezone", "since"),
    [
        (date(2025, 1, 29), "Asia/Shanghai", datetime(2025, 1, 28, 16, tzinfo=UTC)),
        (date(2025, 1, 30), "UTC", None),
        (None, "UTC", None),
    ],
)
def test_the_moment_of_arrival(arrived, timezone, since):
    log = InteractionLog.from_frames(
        {"user_id": [0, 1], "item_id": [0, 0], "timestamp": [date(2025, 1, 1), date(2025, 1, 29)]},
        {"user_id": [0, 1], "cohort": ["incumbent", "newcomer"]},
    )
    assert arrival(log, arrived, timezone) == since


def test_newcomers_who_came_before_their_day_are_told(tmp_path):
    """Two of 15 newcomers did something on the 20th: placebos are whole users, as the notes say."""
    config = wave(tmp_path)
    events = pl.read_parquet(tmp_path / "events.parquet")
    early = pl.DataFrame({"user_id": [240, 240, 241], "item_id": [1, 2, 1]}).with_columns(
        timestamp=pl.lit(BEGIN + 19 * DAY + 5)
    )
    pl.concat([events, early.cast(events.schema)]).write_parquet(tmp_path / "events.parquet")
    users = pl.DataFrame({"user_id": range(255)}).with_columns(new=pl.col("user_id") >= 240)
    users.write_parquet(tmp_path / "users.parquet")
    log = {**config["log"], "users": str(tmp_path / "users.parquet"), "newcomers": "new"}
    study = load_study({**config, "log": {**log, "arrived": CAME}})
    placebos = Sources(study).log.placebos
    assert placebos.since is None
    assert placebos.early == Early(CAME, date(2025, 1, 20), users=2, events=3)
    result = run(study)
    assert result.matching.select("joined", "early").row(0) == (False, 2)
    words = "did something before 2025-01-29, the first day that was given for them: 2 "
    assert any(words in note and "log.arrived" in note for note in result.notes)
    assert "some newcomers, 2, did something before the day" in verdict(result).text
    on_the_day = load_study({**config, "log": {**log, "arrived": date(2025, 1, 20)}})
    assert Sources(on_the_day).log.placebos.early is None
