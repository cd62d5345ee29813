"""Presets: every platform and influx loads and runs, and each is what its name says."""

import numpy as np
import pytest

from recsys import load_study
from recsys.config import INFLUXES, PLATFORMS
from recsys.core.errors import ConfigError
from recsys.logs.schema import SOURCES
from recsys.recommenders import Random
from recsys.statistics.click_rates import newness
from recsys.study.arms.policy import RecommenderPolicy
from recsys.world.arms import Arm, Audience
from recsys.world.day.serving import serve_audience
from recsys.world.people.behaviour import Conditions, examination, logits
from recsys.world.people.population import FORMATS
from recsys.world.people.posts import first_day
from recsys.world.platform.blend import PERSONAL
from recsys.world.run import Run
from recsys.world.simulate import simulate

SHORT_VIDEO, IMAGES = FORMATS.index("short video"), FORMATS.index("image-text")
AUDIENCE = Audience(np.arange(300), (1,), 50)


def load(**world):
    """A world of 300 people from a study's config."""
    sizes = {"incumbents": 300, "days_before": 4, "days_after": 3, "burn_in_days": 2}
    influx = world.pop("influx", "step")
    influx = {"kind": influx} if isinstance(influx, str) else influx
    config = {
        "name": "platforms",
        "world": {**sizes, "influx": {"newcomers": 60, **influx}, **world},
        "recommenders": ["trending"],
        "evaluation": {"days": [1], "panel": 50},
    }
    return load_study(config).world


@pytest.fixture(scope="module")
def served():
    """A platform with much to choose from, its day without newcomers, and what it served."""
    made = {}

    def of(name):
        if name not in made:
            world = load(platform=name, posts={"per_creator_day": 2.0})
            policy = RecommenderPolicy(Random(), training_days=3)
            made[name] = simulate(world, "control", 1, policy, audience=AUDIENCE)
        return made[name]

    return of


def run_to(world, arm, day, seed=1):
    """The platform as it is on the evening of a day."""
    run = Run.start(world, seed)
    list(run.run_days(first_day(world), 0))
    run = run.fork(Arm(arm))
    list(run.run_days(0, day + 1))
    return run


# All of them


@pytest.mark.parametrize("influx", INFLUXES)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_meets_every_influx(platform, influx):
    world = load(platform=platform, influx=influx)
    assert world.platform.kind == platform
    assert world.influx.kind == influx
    arm = simulate(world, "influx", seed=1)
    assert arm.people.n == 360
    assert arm.days[-1].day == 2
    last = np.concatenate([day.user for day in arm.days if day.day >= 0])
    assert (last < 300).any()
    assert (last >= 300).any()
    assert np.concatenate([day.is_click for day in arm.days]).any()


def test_rednote_is_the_default():
    assert load().platform == load(platform="rednote").platform
    assert load(platform={"half_life_days": 1.0}).platform.columns == 2


def test_a_presets_values_can_be_overruled():
    platform = load(platform={"kind": "tiktok", "half_life_days": 9.0}).platform
    assert platform.half_life_days == 9
    assert platform.columns == 1


# Each is what its name says


def test_layouts_are_examined_by_their_rows():
    rednote, tiktok, pinterest = (examination(load(platform=name).platform) for name in PLATFORMS)
    row = np.arange(100)
    np.testing.assert_array_equal(tiktok, np.ones(100))
    np.testing.assert_allclose(rednote, (row // 2 + 1) ** -0.4)
    np.testing.assert_allclose(pinterest, (row // 4 + 1) ** -0.4)


@pytest.mark.parametrize(("name", "rate"), [("rednote", 0.086), ("tiktok", 0.49)])
def test_people_click_as_often_as_on_their_platform(name, rate):
    world = load(platform=name, incumbents=1500)
    days = [day for day in simulate(world, "control", 1).days if day.day < 0]
    shown, clicks = (sum(int((day.kind == kind).sum()) for day in days) for kind in (0, 1))
    # a day hangs on the few posts at its top: over four days of a small world, within a fifth
    assert abs(clicks / shown / rate - 1) < 0.2


@pytest.mark.parametrize("name", PLATFORMS)
def test_sources_fill_their_share_of_slots(name, served):
    """50 ranks: rounding moves a source by a slot at most, which is .02; shortage by another."""
    simulation = served(name)
    feeds, sources = simulation.morning(1).served[1:]
    assert (feeds >= 0).all()
    shares = np.bincount(sources.ravel(), minlength=len(SOURCES.categories)) / sources.size
    for source, share in zip(SOURCES.categories, shares, strict=True):
        expected = getattr(simulation.world.platform.slots, source, 0.0)
        assert abs(share - expected) <= 0.04, source


def test_people_post_in_the_formats_of_their_platform(served):
    for name in PLATFORMS:
        simulation = served(name)
        shares = np.bincount(simulation.posts.format, minlength=3) / simulation.posts.n
        expected = np.array(simulation.world.platform.formats)
        # binomial over some 2,900 posts: 4 standard deviations
        sd = np.sqrt(expected * (1 - expected) / simulation.posts.n)
        assert (abs(shares - expected) <= 4 * sd).all()
    assert load(platform="tiktok").platform.formats[SHORT_VIDEO] > 0.8
    assert load(platform="pinterest").platform.formats[IMAGES] > 0.9


def test_people_like_the_formats_of_the_platform_that_formed_them():
    run = run_to(load(platform="rednote", influx="step"), "influx", 0)
    likes = run.people.format_pull
    newcomers, incumbents = likes[300:].mean(axis=0), likes[:300].mean(axis=0)
    assert newcomers[SHORT_VIDEO] - newcomers[IMAGES] > incumbents[SHORT_VIDEO] - incumbents[IMAGES]
    assert newcomers.argmax() == SHORT_VIDEO
    assert incumbents.argmax() == IMAGES


def test_freshness_falls_at_the_pace_of_the_platform():
    age = np.linspace(0.1, 20, 50)
    tiktok, rednote, pinterest = (
        newness(age, platform.half_life_days, platform.tail)
        for platform in (
            load(platform=name).platform for name in ("tiktok", "rednote", "pinterest")
        )
    )
    assert (tiktok < rednote).all()
    assert (rednote < pinterest).all()


def ages_on(name, seed):
    """Mean age of the posts that the house serves: in personal slots, and in all."""
    run = run_to(load(platform=name, posts={"per_creator_day": 2.0}), "nobody", 1, seed)
    audience = Audience(np.arange(300), (2,), 20)
    _, feeds, sources = serve_audience(
        run.scene, run.states, run._views(2, 0), audience, 2, ranked=None
    )
    age = 2 - run.posts.published[feeds]
    return age[(sources == PERSONAL) & (feeds >= 0)].mean(), age[feeds >= 0].mean()


def test_posts_served_are_younger_where_they_age_sooner():
    """Where there is much to choose from; pairs of one seed.

    Trending posts are some days old, and tiktok gives them three slots in ten; so over all slots
    only pinterest stands apart.
    """
    tiktok, rednote, pinterest = (
        np.array([ages_on(name, seed) for seed in range(3)])
        for name in ("tiktok", "rednote", "pinterest")
    )
    assert (tiktok[:, 0] < rednote[:, 0]).all()
    assert (rednote < pinterest).all()
    assert (tiktok < pinterest).all()


def test_buzz_pulls_most_where_trends_drive():
    gains = {}
    for name in PLATFORMS:
        run = run_to(load(platform=name), "nobody", 0)
        conditions = Conditions.on(run.world, run.intercept, 0, influx=False)
        users, feeds = np.arange(300), np.zeros((300, 1), np.int32)
        x = [
            logits(
                run.people,
                run.states,
                run.posts,
                np.full(run.posts.n, buzz, "f4"),
                conditions,
                users,
                feeds,
            )[:, 0]
            for buzz in (0, 1)
        ]
        gains[name] = x[1] - x[0]
        expected = run.world.platform.drive.trend * run.people.trend
        np.testing.assert_allclose(gains[name], expected, atol=1e-5)
    assert gains["tiktok"].mean() > gains["rednote"].mean() > gains["pinterest"].mean() > 0


# From one to the other


def test_a_migration_is_written_as_from_and_to():
    world = load(influx={"arrivals": [1.0], "from": "tiktok", "to": "rednote"})
    assert world.platform == load(platform="rednote").platform
    assert world.influx.origin == load(platform="tiktok").platform
    back = load(influx={"kind": "step", "from": "rednote", "to": "tiktok"})
    assert back.platform.kind == "tiktok"
    assert back.influx.origin.kind == "rednote"
    own = load(influx={"kind": "step", "from": {"kind": "tiktok", "formats": [1.0, 0.0, 0.0]}})
    assert own.influx.origin.formats == (1.0, 0.0, 0.0)
    assert load(influx={"kind": "step", "from": None}).influx.origin is None
    assert simulate(world, "influx", seed=1).people.foreign.sum() == 60
    assert simulate(world, "placebo", seed=1).people.foreign.sum() == 0


@pytest.mark.parametrize("platform", ["rednote", {"kind": "rednote", "half_life_days": 1.0}])
def test_to_may_repeat_the_platform(platform):
    world = load(influx={"kind": "step", "to": "rednote"}, platform=platform)
    assert world.platform == load(platform=platform).platform


def test_to_may_repeat_the_default_platform():
    world = load(influx={"kind": "step", "to": "rednote"}, platform={"half_life_days": 1.0})
    assert world.platform.kind == "rednote"
    assert world.platform.half_life_days == 1


def test_to_may_be_written_out_like_from():
    there = {"kind": "tiktok", "half_life_days": 3.0}
    assert load(influx={"kind": "step", "to": there}).platform.half_life_days == 3


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (
            {"influx": {"kind": "step", "to": "rednote"}, "platform": "tiktok"},
            r"world\.influx\.to: 'rednote' is not world\.platform, 'tiktok'; leave one of them out",
        ),
        (
            {"influx": {"kind": "step", "to": "rednoet"}},
            r"world\.influx\.to: no kind 'rednoet'; did you mean 'rednote'\?",
        ),
        (
            {"influx": {"kind": "step", "from": "tiktk"}},
            r"world\.influx\.from: no kind 'tiktk'; did you mean 'tiktok'\?",
        ),
        ({"influx": "trikle"}, r"world\.influx: no kind 'trikle'; did you mean 'trickle'\?"),
        ({"platform": "pintrest"}, r"world\.platform: no kind 'pintrest'; did you mean 'pinterest"),
        (
            {"influx": {"kind": "step", "from": {"kind": "tiktok", "colums": 1}}},
            r"world\.influx\.origin\.colums: unknown key; did you mean 'columns'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_is_near(world, message):
    with pytest.raises(ConfigError, match=message):
        load(**world)


def test_newcomers_are_less_content_than_at_home():
    """Formed on tiktok, on rednote: a language they cannot read, and a place they do not know."""
    abroad = load(influx={"kind": "step", "from": "tiktok", "to": "rednote"})
    for seed in range(2):
        there = run_to(abroad, "influx", 1, seed).states.satisfaction[300:]
        at_home = run_to(load(platform="tiktok"), "nobody", 1, seed).states.satisfaction
        assert not np.isnan(there).any()
        assert there.mean() < np.nanmean(at_home) - 0.1


def test_unfamiliarity_costs_newcomers_their_satisfaction_and_fades():
    """The same run with and without: nothing but satisfaction differs, and at first by .1."""
    steep = {"unfamiliarity": 0.1, "familiar_visits": 2.0}
    strangers, natives = (
        run_to(load(behaviour={**settings, "leaving_slope": 0.0}, days_after=10), "influx", 9)
        for settings in (steep, {**steep, "unfamiliarity": 0.0})
    )
    np.testing.assert_array_equal(strangers.states.visits, natives.states.visits)
    lacking = natives.states.satisfaction - strangers.states.satisfaction
    known = ~np.isnan(lacking[:300])
    assert (lacking[:300][known] == 0).all()
    visits = strangers.states.visits[300:]
    once, often = lacking[300:][visits == 1], lacking[300:][visits >= 8]
    np.testing.assert_allclose(once, 0.1, atol=1e-6)
    assert often.size > 5
    assert 0 <= often.max() < 0.05


# Influxes of one size in other shapes


def test_influxes_bring_as_many_by_other_curves():
    arrivals = {}
    for name in INFLUXES:
        world = load(influx={"kind": name, "newcomers": 600})
        run = Run.start(world, 1).fork(Arm("influx"))
        assert run.people.n == 900
        arrivals[name] = run.people.arrival[300:]
    assert (arrivals["step"] == 0).all()
    days = np.bincount(arrivals["trickle"], minlength=60)
    # 600 over 60 days: Poisson(10), 5 standard deviations
    assert abs(days - 10).max() < 5 * np.sqrt(10)
    wave = np.bincount(arrivals["wave"], minlength=22)
    assert set(np.flatnonzero(wave)) == {0, 1, 7, 8, 14, 15, 21}
    shape = np.bincount(arrivals["rednote_2025"], minlength=5) / 600
    expected = np.array([0.14, 0.59, 0.20, 0.04, 0.03])
    assert (abs(shape - expected) < 4 * np.sqrt(expected * (1 - expected) / 600)).all()


def test_only_the_calibrated_influx_is_reversed():
    stays = {name: load(influx=name).influx.reversal_day is None for name in INFLUXES}
    assert stays == {"rednote_2025": False, "step": True, "trickle": True, "wave": True}


@pytest.mark.parametrize("size", [0.006, 0.03, 0.10, 0.25])
def test_influxes_of_all_sizes_run(size):
    world = load(influx={"kind": "rednote_2025", "newcomers": round(300 * size)})
    arm = simulate(world, "influx", seed=1)
    assert arm.people.n == 300 + round(300 * size)
    assert max(day.user.max() for day in arm.days) >= 300
