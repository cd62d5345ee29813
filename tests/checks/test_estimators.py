"""Each estimator beside the truth: what is measured on a platform, and how it is judged."""

from io import StringIO
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from rich.console import Console

import recsys
from pipelines.report.verdicts import print_verdicts
from recsys.checks.proof import told as module
from recsys.checks.proof.claims import CLAIMS, TITLES, judge
from recsys.checks.proof.estimators import compare_estimators, composition_of
from recsys.checks.proof.joined import platform_of, worlds_of
from recsys.checks.proof.run import Effort, plan, prove
from recsys.checks.proof.told import ROW, SHARES, SIGNED, held_against_twin, levels_of
from recsys.checks.shown import CLICKS
from recsys.config import Evaluation, Influx, World
from recsys.recommenders import ALS, Trending
from recsys.study.arms.worlds import Worlds
from recsys.world.people.behaviour import examination

WORLD = World(
    incumbents=200,
    days_before=6,
    days_after=4,
    burn_in_days=1,
    influx=Influx(newcomers=40, arrivals=(1.0,), reversal_day=None),
)
EVALUATION = Evaluation(days=(3,), panel=60, k=10, training_days=7, nudges=2)


@pytest.fixture(scope="module")
def worlds():
    return worlds_of(WORLD, EVALUATION, Trending(), 0.4, 1)


@pytest.fixture(scope="module")
def told(worlds):
    return held_against_twin(worlds, Trending(), 0.4)


def value(rows, estimator, estimand):
    return rows.filter(estimator=estimator, estimand=estimand).row(0, named=True)


def test_rows_hold_truth_and_estimate(told):
    assert told.schema == ROW
    assert set(told["estimand"]) == {*SHARES, *SIGNED}
    assert told.select("estimator", "estimand").is_duplicated().sum() == 0
    assert told.group_by("estimand").agg(pl.col("truth").n_unique())["truth"].to_list() == [1] * 5


def test_what_is_displaced_is_no_estimate_of_skip_and_promote(told):
    """It counts the feeds that the truth counts."""
    assert value(told, "count", "displaced")["truth"] > 0.01
    assert told.filter(estimator="skip and promote")["estimand"].to_list() == [
        "english",
        "short video",
        "net",
    ]


def test_a_count_is_of_all_that_incumbents_were_shown_on_the_day(told, worlds):
    """In the first slots of all visits: not only in the morning, and not only to the panel."""
    simulation = worlds.simulations["influx"]
    (day,) = (day for day in simulation.days if day.day == 3)
    shown = (day.kind == 0) & (day.user < WORLD.incumbents) & (day.rank <= EVALUATION.k)
    new = simulation.posts.creator[day.item[shown]] >= WORLD.incumbents
    row = value(told, "count", "displaced")
    assert row["told"] == pytest.approx(new.mean())
    assert row["low"] < row["told"] < row["high"]


def test_the_choice_model_tells_the_direct_effect(told):
    """Slots are filled from their own source, as in skip and promote; some sets have nothing to."""
    displaced = value(told, "count", "displaced")["truth"]  # of the same feeds
    assert value(told, "choice model", "net")["told"] == pytest.approx(displaced, rel=0.05)
    model, exact = (value(told, who, "english") for who in ("choice model", "skip and promote"))
    assert model["low"] < exact["told"] < model["high"]
    model, count = (value(told, who, CLICKS) for who in ("choice model", "count"))
    assert -0.05 < model["low"] < count["told"] < model["high"] < 0.05


def test_direct_effects_change_no_more_than_was_displaced(told):
    displaced = value(told, "count", "displaced")["truth"]  # of the same feeds
    assert value(told, "skip and promote", "net")["told"] == pytest.approx(displaced)
    assert 0 <= value(told, "skip and promote", "english")["told"] <= displaced + 1e-12


@pytest.mark.parametrize("recommender", [Trending(), ALS(factors=4, iterations=2)])
def test_where_newcomers_leave_no_trace_nothing_is_told(recommender):
    """They click but never post: all that is left of them is what a fit learned from clicks."""
    influx = WORLD.influx.model_copy(update={"posts_a_head": 0.0})
    worlds = worlds_of(
        WORLD.model_copy(update={"influx": influx}), EVALUATION, recommender, 0.4, 2, placebos=False
    )
    assert platform_of(worlds) is not None
    rows = held_against_twin(worlds, recommender, 0.4)
    for estimator in ("count", "leave out events and posts", "roll forward"):
        row = value(rows, estimator, "displaced")
        assert (row["told"], row["low"], row["high"]) == (0, 0, 0)  # a point: all users have 0
    assert value(rows, "skip and promote", "net")["told"] == 0
    for estimator in ("skip and promote", "choice model"):
        assert value(rows, estimator, "english")["told"] == 0


def days_of(simulation, days):
    """User, clicked, look, english and by_newcomer of what incumbents were shown, slot by slot."""
    clicks = {
        (int(user), int(item))
        for day in simulation.days
        if day.day <= EVALUATION.days[-1]
        for user, item in zip(day.user[day.kind == 1], day.item[day.kind == 1], strict=True)
    }
    posts, look = simulation.posts_for[0], examination(WORLD.platform, EVALUATION.k)
    rows = []
    for day in simulation.days:
        if day.day not in days:
            continue
        shown = (day.kind == 0) & (day.user < WORLD.incumbents) & (day.rank <= EVALUATION.k)
        for user, item, rank in zip(day.user[shown], day.item[shown], day.rank[shown], strict=True):
            seen = (int(user), int(item)) in clicks
            rows.append((user, seen, look[rank - 1], posts.language[item] == 1, user))
    return np.array(rows, dtype=float)


def means(rows, column, per=None):
    """Each person's rate by plain division; NaN for people who were shown nothing."""
    out = np.full(WORLD.incumbents, np.nan)
    for user in np.unique(rows[:, 0]).astype(int):
        mine = rows[rows[:, 0] == user]
        out[user] = mine[:, column].sum() / (len(mine) if per is None else mine[:, per].sum())
    return out


def test_before_and_after_compares_the_last_days_with_the_last_before_anybody_came(told, worlds):
    """Six days before: two and two of trends, two of base; then the last two."""
    simulation = worlds.simulations["influx"]
    base, after = (days_of(simulation, days) for days in ((-2, -1), (2, 3)))
    for estimand, (column, per) in {"english": (3, None), CLICKS: (1, 2)}.items():
        change = means(after, column, per) - means(base, column, per)
        found = value(told, "before and after", estimand)["told"]
        assert found == pytest.approx(np.nanmean(change)), estimand


def test_exposure_is_measured_before_what_it_is_to_explain(worlds, monkeypatch):
    """Over days of its own: the trend is that of the base less the days between."""
    simulation, calls = worlds.simulations["influx"], []
    monkeypatch.setattr(module, "by_thirds", lambda *given: calls.append(given))
    held_against_twin(worlds, Trending(), 0.4)
    (english, hour), windows = calls[:2], ((-6, -5), (-4, -3), (-2, -1), (2, 3))
    first, earlier, base, after = (means(days_of(simulation, days), 3) for days in windows)
    np.testing.assert_allclose(english[0], first)
    np.testing.assert_array_equal(np.isnan(hour[0]), np.isnan(first))  # the same days
    np.testing.assert_allclose(english[1], after - base)
    np.testing.assert_allclose(english[2], base - earlier)


def test_no_day_after_is_before_the_first_newcomer():
    """A third of 15 days is five; on day 3, newcomers have been there since day 2."""
    world = WORLD.model_copy(
        update={
            "days_before": 15,
            "influx": WORLD.influx.model_copy(update={"arrivals": (0, 0, 1)}),
        }
    )
    worlds = worlds_of(world, EVALUATION, Trending(), 0.4, 1, placebos=False)
    kept = module._Kept(worlds, platform_of(worlds))
    windows = module._windows(kept)
    assert [(days[0], days[-1]) for days in windows] == [(-15, -11), (-10, -6), (-5, -1), (2, 3)]


class Recorded(Trending):
    """Remembers what it learned from: a dense id of a user and an item for each event."""

    def fit(self, log, seed=0, previous=None):
        LOGS.append(log)
        return super().fit(log, seed, previous)


LOGS = []


def test_rolled_fits_learn_from_nothing_of_newcomers(worlds):
    """One fit of the whole log, and one without their events and all events on their posts."""
    LOGS.clear()
    kept = module._Kept(worlds, platform_of(worlds))
    list(module._rolled(kept, Recorded()))
    theirs = []
    for log in LOGS:
        user, item = (log.dense[name].to_numpy() for name in ("user", "item"))
        creator = worlds.simulations["influx"].posts.creator[item]
        theirs.append((int((user >= 200).sum()), int((creator >= 200).sum())))
    assert len(theirs) == 2
    assert min(theirs[0]) > 0
    assert theirs[1] == (0, 0)


def test_clicks_have_one_unit():
    """One click in four looks, in the state of the arm itself: .25, however short the feed is."""

    def one_in_four(users, feeds, day):
        return np.where(feeds >= 0, 0.25, np.nan)

    simulation = SimpleNamespace(world=WORLD, click_probability=one_in_four)
    worlds = Worlds({"control": simulation}, np.arange(3), EVALUATION)
    feeds = np.full((3, EVALUATION.k), -1, dtype=np.int32)
    feeds[0], feeds[1, :2] = 7, 7
    np.testing.assert_allclose(module._clicks(worlds, "control", feeds), [0.25, 0.25, np.nan])


def test_shares_of_a_feed(worlds):
    simulation = worlds.simulations["influx"]
    posts = simulation.posts_for[0]
    english, other = (np.flatnonzero(posts.language == code)[0] for code in (1, 0))
    feeds = np.array([[english, other, -1, -1], [-1, -1, -1, -1]], dtype=np.int32)
    found = levels_of(simulation, feeds)
    assert found["english"][0] == 0.5
    assert all(np.isnan(values[1]) for values in found.values())


def test_where_no_newcomer_has_clicked_nothing_is_told():
    world = WORLD.model_copy(
        update={"influx": WORLD.influx.model_copy(update={"arrivals": (0, 0, 0, 1)})}
    )
    worlds = worlds_of(world, EVALUATION, Trending(), 0.1, 1)
    assert held_against_twin(worlds, Trending(), 0.1).height == 0


# How estimators are judged


def made_up(estimators, truths=(-0.02, -0.02, 0.02), seeds=8, luck=0.001, estimand="english"):
    """Three worlds; an estimator is a function of the truth and the world's number."""
    rng = np.random.default_rng(3)
    rows = []
    for seed in range(seeds):
        for world, mean in enumerate(truths):
            truth = mean + luck * rng.normal()
            for name, estimate in estimators.items():
                told = estimate(truth, world)
                if told is not None:
                    rows.append(
                        {
                            "recommender": f"model {world}",
                            "estimator": name,
                            "estimand": estimand,
                            "size": 0.1,
                            "seed": seed,
                            "truth": truth,
                            "told": told,
                            "low": told - 0.005,
                            "high": told + 0.005,
                        }
                    )
    return pl.DataFrame(rows)


def rows_by_estimator(estimates):
    table, figures = compare_estimators(estimates)
    verdicts = judge(figures)
    return {row["estimator"]: row for row in table.iter_rows(named=True)}, verdicts


def test_a_sign_must_beat_the_guess():
    """The commonest sign of other worlds is wrong in the world that differs, and tied elsewhere."""
    found, verdicts = rows_by_estimator(
        made_up(
            {
                "right": lambda truth, world: truth,
                "constant": lambda truth, world: -0.01,
                "silent": lambda truth, world: 0.0,
                "half": lambda truth, world: 0.5 * truth if world else None,
            }
        )
    )
    assert {row["worlds"] for row in found.values()} == {3}
    assert {row["guess"] for row in found.values()} == {(0.5 + 0.5 + 0.0) / 3}
    shares = {name: row["sign_right"] for name, row in found.items()}
    assert shares == {"right": 1.0, "constant": 2 / 3, "silent": 0.0, "half": 2 / 3}
    assert found["half"]["cells"] == 16
    assert found["half"]["asked"] == 24
    assert found["right"]["coverage"] == 1.0
    assert found["constant"]["coverage"] == 0.0
    assert found["constant"]["bias"] == pytest.approx(-0.01 + 0.02 / 3, abs=1e-3)
    margin = verdicts.filter(quantity="sign right, less the commonest sign's")
    by_estimator = dict(margin.select("served_by", "verdict").iter_rows())
    assert by_estimator["english, right"] == "holds"
    assert by_estimator["english, silent"] == "fails"


def test_worlds_without_a_sign_do_not_count():
    found, _ = rows_by_estimator(
        made_up({"right": lambda t, w: t}, truths=(0.0, 0.02, 0.02), luck=0.004, seeds=12)
    )
    assert found["right"]["worlds"] == 2
    assert found["right"]["guess"] == 1.0


@pytest.mark.parametrize(
    "world", [{"truths": (0.02,)}, {"truths": (0.0, 0.0), "luck": 0.01}, {"seeds": 1}]
)
def test_with_fewer_than_two_worlds_there_is_no_margin(world):
    """One world has no others to guess from; without an interval over seeds none has a sign."""
    table, figures = compare_estimators(made_up({"right": lambda t, w: t}, **world))
    assert table["worlds"].item() < 2
    assert table["guess"].item() is None
    verdicts = judge(figures)
    (margin,) = verdicts.filter(quantity="sign right, less the commonest sign's").to_dicts()
    assert (margin["mean"], margin["verdict"]) == (None, "unclear")
    console = Console(file=StringIO(), width=100)
    print_verdicts(console, verdicts, TITLES)
    printed = console.file.getvalue()
    assert "the margin of a sign needs two worlds that have a sign" in printed
    assert "nan" not in printed.lower()


def test_where_nothing_could_be_measured_that_is_said():
    table, figures = compare_estimators(made_up({"right": lambda t, w: t}).clear())
    console = Console(file=StringIO(), width=100)
    print_verdicts(console, judge(figures), TITLES)
    assert table.is_empty()
    assert console.file.getvalue().strip() == "There was nothing to measure."


def test_an_interval_that_is_a_point_counts():
    """It holds the truth only where it is the truth; a cell without an interval has none."""
    rows = made_up({"zero": lambda t, w: 0.0}, truths=(0.0, 0.02), luck=0.0)
    point = rows.with_columns(low=pl.col("told"), high=pl.col("told"))
    found, _ = rows_by_estimator(
        point.with_columns(
            low=pl.when(pl.col("seed") > 0).then("low"),
            high=pl.when(pl.col("seed") > 0).then("high"),
        )
    )
    assert (found["zero"]["cells"], found["zero"]["intervals"]) == (16, 14)
    assert (found["zero"]["coverage"], found["zero"]["points"]) == (0.5, 1.0)
    wide, _ = rows_by_estimator(rows)
    assert wide["zero"]["points"] == 0.0


def test_shares_are_judged_by_their_error():
    estimates = made_up(
        {"near": lambda t, w: 1.1 * t, "far": lambda t, w: 2 * t},
        truths=(0.01, 0.02, 0.05),
        estimand="displaced",
    )
    found, verdicts = rows_by_estimator(estimates)
    assert found["near"]["median_error"] == pytest.approx(0.1)
    assert found["far"]["median_error"] == pytest.approx(1.0)
    errors = verdicts.filter(quantity="median relative error")
    assert dict(errors.select("served_by", "verdict").iter_rows()) == {
        "displaced, near": "holds",
        "displaced, far": "fails",
    }


def test_a_proof_without_groups_holds_estimators_alone():
    study = recsys.load_study(
        {
            "name": "small",
            "loop": "closed",
            "workers": 1,
            "world": WORLD.model_dump(mode="json"),
            "recommenders": ["trending"],
            "evaluation": EVALUATION.model_dump(mode="json"),
        }
    )
    effort = Effort(seeds=1, sizes=(0.4,), draws=0)
    assert [part.size for part in plan(study, effort, ("offline",))] == [0.4]
    proof = prove(study, effort, ("offline",))
    assert set(proof.tables) == {"estimates", "estimators"}
    assert proof.tables["estimates"].columns == ["recommender", *ROW]
    assert set(proof.verdicts["quantity"]) <= set(CLAIMS)


def test_composition_of_cells_is_an_estimate_too():
    cells = pl.DataFrame(
        {
            "recommender": ["als"] * 2,
            "way": ["events"] * 2,
            "size": [0.1] * 2,
            "seed": [0] * 2,
            "level": ["posts", "newcomer_share"],
            "true_composition": [0.1, 0.2],
            "composition": [0.3, 0.4],
        }
    )
    (row,) = composition_of(cells).iter_rows(named=True)
    assert row["estimator"] == "leave out events"
    assert (row["estimand"], row["truth"], row["told"]) == ("composition, posts", 0.1, 0.3)
