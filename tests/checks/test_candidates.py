"""The candidates of looks: what a platform knew of them that morning, and no more."""

import numpy as np
import pytest

from recsys.checks.candidates import KEPT, candidates_of, told_by_choices
from recsys.checks.proof.joined import worlds_of
from recsys.checks.shown import CLICKS
from recsys.config import Evaluation, Influx, World
from recsys.estimates import refilled
from recsys.recommenders import Trending
from recsys.study.arms.closed_loop import served_worlds
from recsys.study.arms.rankings import Learned
from recsys.world.people.behaviour import examination

WORLD = World(
    incumbents=150,
    days_before=4,
    days_after=4,
    burn_in_days=1,
    influx=Influx(newcomers=40, arrivals=(1.0,), reversal_day=None),
)
EVALUATION = Evaluation(days=(3,), panel=50, k=10, training_days=7, nudges=1)


@pytest.fixture(scope="module")
def worlds():
    return worlds_of(WORLD, EVALUATION, Trending(), 0.4, 1, placebos=False)


@pytest.fixture(scope="module")
def simulation(worlds):
    return worlds.simulations["influx"]


@pytest.fixture(scope="module")
def candidates(worlds, simulation):
    return candidates_of(simulation, (3,), worlds.panel, EVALUATION.k)


def kept_of(simulation, user):
    """A user's ranking of that morning: posts and sources."""
    served = simulation.morning(3).served
    row = np.searchsorted(served.users, user)
    return served.feeds[row], served.sources[row]


def test_what_is_kept_is_shown_or_not(worlds, simulation, candidates):
    sets, of, _ = candidates
    assert (sets.rank == 0).sum() > EVALUATION.panel
    assert set(of) == {"displaced", "english", "short video", CLICKS}
    for user in worlds.panel:
        posts, _ = kept_of(simulation, user)
        mine = sets.user == user
        assert mine.sum() == (posts >= 0).sum() <= KEPT * EVALUATION.k
        slots = min(mine.sum(), EVALUATION.k)
        assert sets.rank[mine][:slots].tolist() == list(range(1, slots + 1))
        assert not sets.rank[mine][slots:].any()
        new = simulation.posts.creator[posts[posts >= 0]] >= WORLD.incumbents
        np.testing.assert_array_equal(sets.by_newcomers[mine], new)
        np.testing.assert_array_equal(of["displaced"][mine], new)


def test_each_source_of_a_look_has_a_set(worlds, simulation, candidates):
    sets = candidates.sets
    for user in worlds.panel[:10]:
        posts, sources = kept_of(simulation, user)
        numbers = sets.number[sets.user == user]
        source = sources[posts >= 0]
        pairs = set(zip(numbers, source, strict=True))
        assert len(pairs) == np.unique(source).size == np.unique(numbers).size
        assert not np.isin(numbers, sets.number[sets.user != user]).any()


def test_clicks_are_of_that_day_and_unknown_where_nobody_looked(worlds, simulation, candidates):
    sets, of, _ = candidates
    (day,) = (day for day in simulation.days if day.day == 3)
    looks = set(zip(day.user.tolist(), day.item.tolist(), day.kind.tolist(), strict=True))
    seen = clicked = 0
    for user in worlds.panel:
        posts, _ = kept_of(simulation, user)
        mine = of[CLICKS][sets.user == user]
        for post, click in zip(posts[: EVALUATION.k], mine, strict=False):
            assert np.isnan(click) == ((user, post, 0) not in looks)
            if not np.isnan(click):
                assert click == ((user, post, 1) in looks)
                seen, clicked = seen + 1, clicked + click
        assert np.isnan(mine[EVALUATION.k :]).all()
    assert seen > clicked > 0


def test_nothing_of_the_day_itself_is_known(worlds, simulation, candidates):
    """Counts of clicks and looks are those of the days before."""
    sets = candidates.sets
    before = [day for day in simulation.days if day.day < 3]
    item, kind = (
        np.concatenate([getattr(day, name) for day in before]) for name in ("item", "kind")
    )
    posts, _ = kept_of(simulation, worlds.panel[0])
    mine = sets.features[sets.user == worlds.panel[0]]
    for row, post in zip(mine, posts[posts >= 0], strict=True):
        assert row[2] == pytest.approx(np.log1p((item[kind == 1] == post).sum()))
        assert row[3] == pytest.approx(np.log1p((item[kind == 0] == post).sum()))


def test_mornings_have_sets_of_their_own(worlds):
    evaluation = EVALUATION.model_copy(update={"days": (2, 3)})
    simulation = served_worlds(
        WORLD, evaluation, ("influx",), 1, Learned(Trending()), impressions=True, kept=30
    ).simulations["influx"]
    both = candidates_of(simulation, (2, 3), worlds.panel, EVALUATION.k)
    first, second = (candidates_of(simulation, (d,), worlds.panel, EVALUATION.k) for d in (2, 3))
    n = first.sets.user.size
    np.testing.assert_array_equal(both.sets.features[:n], first.sets.features)
    np.testing.assert_array_equal(both.sets.features[n:], second.sets.features)
    np.testing.assert_array_equal(both.of[CLICKS][n:], second.of[CLICKS])
    assert not np.isin(both.sets.number[:n], both.sets.number[n:]).any()
    assert both.sets.number.max() + 1 == np.unique(both.sets.number).size


def test_clicks_are_told_per_look(worlds):
    """A change of clicks per slot, over the mean probability of a look at a slot that was shown."""
    simulation = worlds.simulations["influx"]
    sets, of, look = candidates_of(simulation, (3,), worlds.panel, EVALUATION.k)
    per_slot, share = refilled(sets, [of[CLICKS], of["english"]])
    told = told_by_choices(simulation, (3,), worlds.panel, EVALUATION.k)
    asked = per_slot.counted
    assert (sets.rank[asked] > 0).all()
    assert not np.isnan(of[CLICKS][asked]).any()
    looked = examination(WORLD.platform, EVALUATION.k)[sets.rank[asked] - 1].mean()
    assert 0.1 < looked < 0.95
    assert told[CLICKS].value == pytest.approx(per_slot.told.value / looked)
    assert told[CLICKS].se == pytest.approx(per_slot.told.se / looked)
    assert told["english"] == share.told
    assert told[CLICKS].df == np.unique(sets.user[asked]).size - 1
    assert np.isnan(look[sets.rank == 0]).all()
