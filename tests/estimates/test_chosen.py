"""The choice model: right where feeds are chosen as it says, and no worse than a trial."""

import itertools
from functools import lru_cache

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import LogError
from recsys.estimates import Sets, chosen, refilled
from recsys.estimates.chosen import FOLDS
from tests.kit.choice_sets import ChoiceWorld, quality

WORLDS = 60


@lru_cache
def found_in(**settings):
    """By value and estimator: truth, told, bias, its error, deviation, se and coverage."""
    return {(name, who): figures for name, who, figures in quality(WORLDS, **settings)}


def in_one_slot(who):
    return found_in(users=500)["clicks", who]


def test_a_count_has_the_wrong_sign_and_the_choice_model_has_not():
    """Newcomers' posts are shown to those who click less, but more than on what would stand there.

    The tolerance is four standard errors of the mean over worlds.
    """
    truth, _, bias, error, *_ = in_one_slot("choice model")
    assert truth > 0
    assert abs(bias) < 4 * error
    _, told, bias, error, *_ = in_one_slot("count")
    assert told < -truth
    assert bias < -6 * error


def test_it_agrees_with_a_trial_at_half_of_its_error():
    """A trial holds half of the users by lot, so it is right whatever the model."""
    trial, model = in_one_slot("trial"), in_one_slot("choice model")
    assert abs(trial[2]) < 4 * trial[3]
    assert abs(trial[1] - model[1]) < 4 * np.hypot(trial[3], model[3])
    assert model[4] < trial[4] / 2


def test_intervals_hold_the_truth():
    """57 of 60 on average; fewer than 52 in 1 of 75 suites at the level that is claimed."""
    *_, deviation, se, coverage = in_one_slot("choice model")
    assert coverage > 51 / WORLDS
    assert se == pytest.approx(deviation, rel=0.3)  # three errors of a deviation over 60 worlds


@pytest.mark.parametrize("value", ["english", "clicks"])
def test_a_look_has_many_slots(value):
    """Newcomers hold a third of eight slots: what fills one slot cannot fill another."""
    found = found_in(users=200, slots=8, candidates=40)
    _, _, bias, error, *_ = found[value, "choice model"]
    assert abs(bias) < 4 * error
    assert abs(found[value, "count"][2]) > 2 * abs(bias)


def test_the_correction_takes_errors_of_wrong_scores_out():
    """Feeds are chosen by language, of which the features know nothing; newcomers' posts are alike.

    So nothing changes. The plug-in takes a slot to be filled by anything. The tolerance is four
    standard errors.
    """
    rng = np.random.default_rng(7)
    users, n = 3000, 10
    english, new = rng.random((users, n)) < 0.5, rng.random((users, n)) < 0.2
    rank = np.zeros((users, n), dtype=int)
    best = np.argmax(2 * english + 1.5 * new + rng.gumbel(size=english.shape), axis=1)
    rank[np.arange(users), best] = 1
    user, noise = np.repeat(np.arange(users), n), rng.normal(size=(users * n, 1))
    sets = Sets(user, user, rank.ravel(), new.ravel(), noise)
    (found,) = refilled(sets, [english.ravel().astype(float)])
    assert abs(found.told.value) < 4 * found.told.se
    assert found.plug_in > 10 * found.told.se


# Small sets, by hand


def small(features, new=(), rank=(1, 0, 0), users=40):
    """The same set for each user: of three candidates the first is shown."""
    n = len(rank)
    user = np.repeat(np.arange(users), n)
    by_newcomers = np.isin(np.arange(n), new)
    columns = np.tile(np.array(features, dtype=float).reshape(n, -1), (users, 1))
    return Sets(user, user, np.tile(rank, users), np.tile(by_newcomers, users), columns)


def test_a_slot_is_filled_from_what_was_not_shown():
    """Two others are left, alike to the model: half of the slots would hold either."""
    sets = small([0, 0, 0], new=[0])
    (found,) = refilled(sets, [np.tile([1.0, 1.0, 0.0], 40)])
    assert found.mean == 1.0
    assert found.told.value == pytest.approx(0.5)
    assert found.slots == 40


def test_where_no_newcomers_post_is_a_candidate_nothing_is_told():
    (found,) = refilled(small([0.3, 0.1, 0.2]), [np.tile([1.0, 0.0, 0.0], 40)])
    assert found.told.value == 0
    assert found.plug_in == 0


def test_newcomers_share_is_exact():
    world = ChoiceWorld(3, users=100, slots=4)
    sets, _ = world.log(world.feeds(without=False))
    (found,) = refilled(sets, [sets.by_newcomers.astype(float)])
    assert found.told.value == pytest.approx(sets.by_newcomers[sets.rank > 0].mean())


def test_sets_that_nothing_can_fill_do_not_count():
    sets = small([0, 0, 0], new=[0, 2], rank=(1, 2, 0))
    (found,) = refilled(sets, [np.tile([1.0, 0.0, 0.0], 40)])
    assert np.isnan(found.told.value)
    assert found.slots == 0


def test_nobody_is_told_from_fewer_users_than_parts():
    (found,) = refilled(small([0, 0, 0], new=[0], users=4), [np.tile([1.0, 1.0, 0.0], 4)])
    assert np.isnan(found.told.value)


def test_order_of_rows_does_not_count():
    world = ChoiceWorld(1, users=80, slots=3)
    sets, of = world.log(world.feeds(without=False))
    (whole,) = refilled(sets, [of["clicks"]])
    order = np.random.default_rng(0).permutation(sets.user.size)
    (again,) = refilled(Sets(*(column[order] for column in sets)), [of["clicks"][order]])
    assert again.told.value == pytest.approx(whole.told.value)
    assert again.told.se == pytest.approx(whole.told.se)


def test_what_fills_several_slots_is_not_counted_twice():
    """All orders of four candidates, by hand: newcomers leave two of three slots."""
    rng = np.random.default_rng(5)
    features = np.array([0.0, 0.0, 0.0, 1.0, 0.0, -1.0])  # 0 and 1 are newcomers', 2 is shown too
    users, n = 4000, 6
    utility = features + rng.gumbel(size=(users, n))
    feeds = np.argsort(-utility, axis=1)[:, :3]
    rank = np.zeros((users, n), dtype=int)
    rank[np.arange(users)[:, None], feeds] = [1, 2, 3]
    user = np.repeat(np.arange(users), n)
    new = np.tile(np.arange(n) < 2, users)
    sets = Sets(user, user, rank.ravel(), new, np.tile(features, users)[:, None])
    liked = np.tile(np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0]), users)
    (found,) = refilled(sets, [liked])
    weight = np.exp(features[2:])
    without = sum(
        np.prod([weight[a] / (weight.sum() - weight[list(order[:i])].sum())
                 for i, a in enumerate(order)])
        for order in itertools.permutations(range(4), 3)
        if 1 in order
    )  # fmt: skip
    truth = liked[rank.ravel() > 0].mean() - without / 3
    assert found.told.value == pytest.approx(truth, abs=0.01)


def test_slots_that_newcomers_leave_go_to_different_posts():
    """Two newcomers hold two of three slots, and without them all three others are shown.

    The tolerance is half of what the same chances for both slots would miss by, .066.
    """
    rng = np.random.default_rng(6)
    users, n = 3000, 5
    features = np.array([8.0, 8.0, 1.5, 0.0, 0.0])
    feeds = np.argsort(-(features + rng.gumbel(size=(users, n))), axis=1)[:, :3]
    rank = np.zeros((users, n), dtype=int)
    rank[np.arange(users)[:, None], feeds] = [1, 2, 3]
    user = np.repeat(np.arange(users), n)
    new = np.tile(np.arange(n) < 2, users)
    sets = Sets(user, user, rank.ravel(), new, np.tile(features, users)[:, None])
    best = np.tile(np.arange(n) == 2, users).astype(float)
    (found,) = refilled(sets, [best])
    assert found.told.value == pytest.approx(found.mean - 1 / 3, abs=0.033)


def test_a_response_depends_on_the_slot():
    """Of the second slot two in ten are clicked, whatever stands there, and eight of the first."""
    sets = small([0, 0, 0, 0], rank=(1, 2, 0, 0), users=200)
    second = np.tile(np.arange(4) == 1, 200)
    sets = sets._replace(by_newcomers=second & (sets.user % 20 < 10))
    clicked = np.full((200, 4), np.nan)
    clicked[:, 0], clicked[:, 1] = np.arange(200) % 10 < 8, np.arange(200) % 10 < 2
    (found,) = refilled(sets, [clicked.ravel()])
    assert found.mean == 0.5
    assert found.told.value == pytest.approx(0, abs=0.01)


def test_slots_that_nobody_looked_at_do_not_count():
    world = ChoiceWorld(4, users=100, slots=3)
    sets, of = world.log(world.feeds(without=False))
    unseen = np.where(sets.rank == 3, np.nan, of["clicks"])
    (found,) = refilled(sets, [unseen])
    assert found.slots == 200
    assert found.mean == pytest.approx(np.nanmean(unseen))


def test_looks_of_one_user_are_no_more_users():
    """The same looks once more tell nothing new."""
    world = ChoiceWorld(5, users=60, slots=2)
    sets, of = world.log(world.feeds(without=False))
    twice = Sets(*(np.concatenate([column, column]) for column in sets))
    twice = twice._replace(number=np.concatenate([sets.number, sets.number + 60]))
    for values in of.values():
        (once,) = refilled(sets, [values])
        (again,) = refilled(twice, [np.concatenate([values, values])])
        assert again.told == pytest.approx(once.told, rel=1e-3)
        assert again.slots == 2 * once.slots


def one_part_apart():
    """Of the users of the first part, every other one is shown a newcomer's post."""
    users, n = 400, 3
    user = np.repeat(np.arange(users), n)
    first = np.arange(users) % FOLDS == 0
    apart = first & (np.arange(users) % (2 * FOLDS) == 0)
    return users, user, first, apart


def test_scores_are_fitted_to_other_users():
    """In the first part posts are chosen that are not in English, in all others those that are."""
    users, user, first, apart = one_part_apart()
    shown = np.where(apart, 0, np.where(first, 2, 1))
    rank = (np.arange(3) == shown[:, None]).astype(int).ravel()
    english, new = (np.tile(np.arange(3) == which, users) for which in (1, 0))
    (found,) = refilled(Sets(user, user, rank, new, english[:, None] * 1.0), [english * 1.0])
    assert found.plug_in == pytest.approx(-apart.mean(), rel=0.1)


def test_responses_are_fitted_to_other_users():
    """Those of the first part click whatever they see, and the others nothing."""
    users, user, first, apart = one_part_apart()
    shown = np.where(apart, 0, 1)
    rank = (np.arange(3) == shown[:, None]).astype(int).ravel()
    new = np.tile(np.arange(3) == 0, users)
    clicked = np.where(rank > 0, np.repeat(first, 3), np.nan)
    (found,) = refilled(Sets(user, user, rank, new, np.zeros((user.size, 1))), [clicked])
    assert found.plug_in == pytest.approx(apart.mean(), rel=0.1)


# Frames


def kept(world):
    """The frame of a world's candidates."""
    sets, of = world.log(world.feeds(without=False))
    columns = {f"f{i}": column for i, column in enumerate(sets.features.T)}
    return pl.DataFrame(
        {
            "user_id": [f"u{user}" for user in sets.user],
            "look": np.zeros(sets.user.size, dtype=int),
            "rank": sets.rank,
            "by_newcomer": sets.by_newcomers,
            "english": of["english"].astype(bool),
            "clicked": of["clicks"],
            **columns,
        }
    ).with_columns(
        pl.col("rank").replace(0, None), clicked=pl.col("clicked").fill_nan(None).cast(pl.Boolean)
    )


FEATURES = [f"f{i}" for i in range(5)]


def test_a_frame_tells_what_its_arrays_do():
    world = ChoiceWorld(2, users=100, slots=3)
    frame = kept(world)
    found = chosen(frame, FEATURES, of=["english", "clicked"])
    assert found["what"].to_list() == ["displaced", "english", "clicked"]
    assert found["slots"].to_list() == [300] * 3
    rank = frame["rank"].fill_null(0).to_numpy()
    number = frame["user_id"].rank("dense").to_numpy().astype(int) - 1
    sets = Sets(
        number, number, rank, frame["by_newcomer"].to_numpy(), frame.select(FEATURES).to_numpy()
    )
    clicked = frame["clicked"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    english, clicks = refilled(sets, [frame["english"].cast(pl.Float64).to_numpy(), clicked])
    for row, one in enumerate((english, clicks), start=1):
        assert found.row(row)[2:] == (one.mean, one.told.value, one.told.se, one.plug_in)


def test_looks_and_sources_have_sets_of_their_own():
    """The newcomer's slot is fresh, and only a fresh candidate, not in English, may fill it."""
    look = pl.DataFrame(
        {
            "rank": [1, 2, None, None],
            "by_newcomer": [True, False, False, False],
            "english": [True, True, False, True],
            "source": ["fresh", "personal", "fresh", "personal"],
        }
    )
    frame = pl.concat(
        [
            look.with_columns(user_id=pl.lit(user), look=pl.lit(number))
            for user in range(10)
            for number in range(2)
        ]
    )
    by_source = chosen(frame, ["english"], of=["english"]).row(1, named=True)
    assert by_source["change"] == pytest.approx(0.5)
    later = pl.col("look") == 1  # then nothing is by a newcomer, and all is in English
    apart = frame.with_columns(
        by_newcomer=pl.col("by_newcomer") & ~later, english=pl.col("english") | later
    )
    by_look = chosen(apart, ["english"], of=["english"]).row(1, named=True)
    assert by_look["plug_in"] == pytest.approx(0.25)
    of_any = chosen(frame.drop("source"), ["english"], of=["english"]).row(1, named=True)
    assert 0 < of_any["change"] < 0.49


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": pl.lit(1)}, "two posts at one rank"),
        ({"f0": pl.when(pl.col("f0") > 0).then("f0")}, "column 'f0' has"),
        ({"look": pl.lit(None)}, "column 'look' has"),
    ],
)
def test_frames_that_do_not_fit_are_refused(change, message):
    frame = kept(ChoiceWorld(2, users=20))
    with pytest.raises(LogError, match=message):
        chosen(frame.with_columns(**change), FEATURES)


def test_a_missing_column_is_named():
    with pytest.raises(LogError, match="no column 'taste'"):
        chosen(kept(ChoiceWorld(2, users=20)), ["taste"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.col("rank") - 1, "ranks begin at 1; got 0"),
        (pl.col("rank").cast(pl.Float64), "ranks are whole numbers"),
        (pl.col("by_newcomer").cast(pl.Int8), "'by_newcomer' is true or false; got Int8"),
        (pl.col("f0").replace(pl.col("f0").first(), float("nan")), "'f0' holds a value that is no"),
        (pl.col("f0").cast(pl.String), "'f0' holds numbers, or true and false; got String"),
        (pl.col("clicked").cast(pl.Float64) * 55, "'clicked' is null for .* response: 0 or 1"),
        (pl.col("english").alias("displaced"), "'displaced' is told anyway"),
    ],
)
def test_what_would_be_misread_is_refused(change, words):
    frame = kept(ChoiceWorld(2, users=40, slots=3)).with_columns(change)
    of = ["english", "clicked", *(["displaced"] if "displaced" in frame.columns else [])]
    with pytest.raises(LogError, match=words):
        chosen(frame, FEATURES, of=of)


def test_users_without_a_slot_teach_nothing_and_are_not_counted():
    """Five users have slots; with four nothing is told, however many others have candidates."""
    for with_slots, known in ((5, True), (4, False)):
        user = np.repeat(np.arange(12), 4)
        place = np.tile(np.arange(4), 12)
        rank = np.where((place == 0) & (user < with_slots), 1, 0)
        new = (place == 0) & (user % 2 == 0)
        sets = Sets(user, user, rank, new, (place == 1)[:, None].astype(float))
        (found,) = refilled(sets, [new.astype(float)])
        assert found.slots == (5 if known else 0)
        assert np.isnan(found.told.value) != known
        if known:
            assert found.told.df == 4


def test_a_response_is_0_or_1():
    sets = Sets(*(np.arange(20) // 2,) * 2, np.tile([1, 0], 10), np.arange(20) % 4 == 0, np.eye(20))
    with pytest.raises(ValueError, match="a response, 0 or 1"):
        refilled(sets, [np.where(sets.rank > 0, 2.0, np.nan)])
