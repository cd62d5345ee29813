"""The people: incumbents and newcomers, drawn from the law of a cohort, one array per attribute.

Each attribute of a person is drawn at the person's own address, so that nobody changes when others
are added, removed or renumbered.
"""
# mypy: disallow-untyped-decorators=False

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsys.config.world import Cohort, Platform, Population, World
from recsys.core.noise import Stream, integer_seed, normals, philox4x32, stable_keys, uniforms, unit
from recsys.world.people.influx import Schedule, draw_schedule

LANGUAGES = ("zh", "en")
FORMATS = ("short video", "long video", "image-text")
MAX_FOLLOWS = 16
"""Most creators that a person follows."""

NEWCOMER_ADDRESS = 2**31
"""First address of a newcomer. It does not depend on how many incumbents there are."""


class People(NamedTuple):
    """All people, one row each: incumbents first, then newcomers."""

    address: NDArray[np.uint32]
    """Address of the person's random draws (the entity of `recsys.core.noise.philox`)."""
    key: NDArray[np.uint64]
    """Stable key in logs."""
    taste: NDArray[np.float32]
    """(n, topics), sums to 1."""
    latent: NDArray[np.float32]
    """(n, latent_factors)."""
    format_pull: NDArray[np.float32]
    """(n, 3) logits by format."""
    skill: NDArray[np.float32]
    """(n, 2) reading skill in zh and en, 0 to 1."""
    app_language: NDArray[np.uint8]
    """Language of the app, 0 zh or 1 en. A platform knows it and `declared`, but no skill."""
    declared: NDArray[np.int8]
    """The language that the person has declared to read beside it, 0 zh or 1 en; -1 for none."""
    visits: NDArray[np.float32]
    """Mean number of visits on a day on which the person uses this platform at all."""
    presence: NDArray[np.float32]
    """Share of such days: 1, or .5 for a person who also stays on another platform."""
    trend: NDArray[np.float32]
    """Logits of a click per unit of log-buzz."""
    commerce: NDArray[np.float32]
    """Logits of a click for a product tag."""
    outward: NDArray[np.float32]
    """Logits of a click on a post that is not in the app's language, times comprehension."""
    curious: NDArray[np.bool_]
    """Whether the person is curious about newcomers' posts."""
    foreign: NDArray[np.bool_]
    """Whether the person comes from another platform, so that this one is unfamiliar at first."""
    arrival: NDArray[np.int32]
    """First day on the platform; long before the influx for incumbents."""
    departure: NDArray[np.int32]
    """First day on which the person is gone."""

    @property
    def n(self) -> int:
        """Number of people."""
        return int(self.address.size)


def draw_incumbents(world: World) -> People:
    """Draws the people who are there before the influx.

    >>> from recsys.config import Influx, World
    >>> draw_incumbents(World(incumbents=5, influx=Influx(newcomers=0, arrivals=(1.0,)))).n
    5
    """
    address = np.arange(world.incumbents, dtype=np.uint32)
    always = Schedule.always(address.size)
    curious = _uniform(world, Stream.HABIT, address, 1)[:, 2] < world.population.curious
    law, formats = world.population.incumbents, world.platform.formats
    return _draw(world, address, law, formats, always, curious, variant=0)


def draw_newcomers(
    world: World, law: Cohort, seed: int, variant: int = 0, *, origin: Platform | None = None
) -> People:
    """Draws the people who arrive from a cohort's law.

    Each world seed draws its own people. Their arrivals, visits and departures are the same under
    every law and variant.

    Args:
        world: the world. `world.influx.newcomers` people are drawn; a larger number draws the same
            people and more.
        law: the cohort whose law is used: newcomers', or incumbents' for a placebo.
        seed: world seed, such as 0.
        variant: a number below 2^16; another one draws other people from the same law.
        origin: the platform that they come from: they like its formats, react to trends as its
            people do, and find this platform unfamiliar. None for people who are used to this one.
    """
    world = world.model_copy(
        update={"population_seed": integer_seed(world.population_seed, 2, seed)}
    )
    address = NEWCOMER_ADDRESS + np.arange(world.influx.newcomers, dtype=np.uint32)
    formats = law.formats or world.platform.formats
    if origin is not None:
        formats = origin.formats
    schedule, curious = draw_schedule(world, address), np.zeros(address.size, dtype=np.bool_)
    people = _draw(world, address, law, formats, schedule, curious, variant)
    if origin is None:
        return people
    trend = people.trend * np.float32(origin.drive.trend)
    return people._replace(foreign=np.ones(address.size, dtype=np.bool_), trend=trend)


def _draw(
    world: World,
    address: NDArray[np.uint32],
    law: Cohort,
    formats: tuple[float, float, float],
    schedule: Schedule,
    curious: NDArray[np.bool_],
    variant: int,
) -> People:
    """People at these addresses; arguments as in `draw_newcomers`."""
    laws = world.population
    interest = np.array(list(law.topics.values()))
    concentration = laws.taste_concentration * interest / interest.sum()
    seed = np.uint64(world.population_seed)
    habit = _normal(world, Stream.HABIT, address, 0, variant)
    skill = _skill(world, address, law, variant)
    return People(
        address=address,
        key=stable_keys(Stream.USER_KEY, address),
        taste=_dirichlet(seed, address, concentration, variant),
        latent=latent_factors(world, world.population_seed, Stream.LATENT, address, variant),
        format_pull=_format_pull(world, address, formats, variant),
        skill=skill,
        app_language=np.full(address.size, LANGUAGES.index(law.language), dtype=np.uint8),
        declared=_declared(world, address, law, skill, variant),
        visits=_visits(laws, world, address).astype(np.float32),
        presence=schedule.presence,
        trend=_positive_part(laws.trend, habit[:, 0]),
        commerce=_positive_part(laws.commerce, habit[:, 1]),
        outward=_positive_part(
            law.outward, _normal(world, Stream.HABIT, address, 3, variant)[:, 0]
        ),
        curious=curious,
        foreign=np.zeros(address.size, dtype=np.bool_),
        arrival=schedule.arrival,
        departure=schedule.departure,
    )


def _uniform(
    world: World, stream: Stream, address: NDArray[np.uint32], draw: int, variant: int = 0
) -> NDArray[np.float64]:
    return uniforms(world.population_seed, stream, address, draw, variant)


def _normal(
    world: World, stream: Stream, address: NDArray[np.uint32], draw: int, variant: int = 0
) -> NDArray[np.float64]:
    return normals(world.population_seed, stream, address, draw, variant)


def _positive_part(law: tuple[float, float], z: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.maximum(law[0] + law[1] * z, 0).astype(np.float32)


def _visits(laws: Population, world: World, address: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Mean visits a day of each person: lognormal with the configured mean, for both cohorts."""
    sigma = laws.visits_sigma
    z = _normal(world, Stream.HABIT, address, 2)[:, 0]
    return np.asarray(laws.visits_per_day * np.exp(sigma * z - sigma**2 / 2))


def latent_factors(
    world: World, seed: int, stream: Stream, address: NDArray[Any], variant: int = 0
) -> NDArray[np.float32]:
    """Draws the latent factors p of people, or q of posts.

    They are scaled so that the standard deviation of p·q is `latent_scale`: with d dimensions of
    variance s² on both sides it is sqrt(d)·s².

    Args:
        world: its population gives the number of dimensions and the scale.
        seed: a population seed or a world seed, such as 0.
        stream: `Stream.LATENT` for people, `Stream.POST_LATENT` for posts.
        address: (n,), addresses of their draws.
        variant: another number draws other factors.

    Returns:
        float32 (n, latent_factors).
    """
    laws = world.population
    blocks = np.arange(math.ceil(laws.latent_factors / 4))
    z = normals(seed, stream, address[:, None], blocks, variant)
    scale = math.sqrt(laws.latent_scale) / max(laws.latent_factors, 1) ** 0.25
    factors = z.reshape(address.size, 4 * blocks.size)[:, : laws.latent_factors]
    return np.asarray(scale * factors, dtype=np.float32)


def _format_pull(
    world: World,
    address: NDArray[np.uint32],
    formats: tuple[float, float, float],
    variant: int,
) -> NDArray[np.float32]:
    """Logits for each format: people like the formats of the platform that they are used to."""
    laws = world.population
    shares = np.maximum(np.array(formats), 1e-3)
    common = laws.format_pull * np.log(shares * len(FORMATS))
    personal = laws.format_scale * _normal(world, Stream.FORMAT, address, 0, variant)[:, :3]
    return np.asarray(common + personal, dtype=np.float32)


def _skill(
    world: World, address: NDArray[np.uint32], law: Cohort, variant: int
) -> NDArray[np.float32]:
    """Reading skills: 1 in the cohort's language, uniform within the law's bounds in the other."""
    u = _uniform(world, Stream.LANGUAGE, address, 0, variant)
    if_bilingual = law.skill_bilingual + (1 - law.skill_bilingual) * u[:, 1]
    other = np.where(u[:, 0] < law.bilingual, if_bilingual, law.skill_others * u[:, 1])
    skill = np.ones((address.size, len(LANGUAGES)), dtype=np.float32)
    skill[:, 1 - LANGUAGES.index(law.language)] = other
    return skill


def _declared(
    world: World,
    address: NDArray[np.uint32],
    law: Cohort,
    skill: NDArray[np.float32],
    variant: int,
) -> NDArray[np.int8]:
    """What people have declared, int8 (n,): see `People.declared` and `Population.undeclared`."""
    other = 1 - LANGUAGES.index(law.language)
    lot = _uniform(world, Stream.LANGUAGE, address, 1, variant)[:, 0]
    undeclared = world.population.undeclared
    wrong = (lot >= undeclared / 2) & (lot < undeclared)
    declares = (skill[:, other] >= np.float32(law.skill_bilingual)) != wrong
    return np.where(declares & (lot >= undeclared / 2), other, -1).astype(np.int8)


@njit(nogil=True, cache=True)
def _dirichlet(seed, address, concentration, variant):  # type: ignore[no-untyped-def]
    """Dirichlet tastes as normalised gammas, float32 (n, topics)."""
    out = np.empty((address.size, concentration.size), dtype=np.float32)
    for person in range(address.size):
        total = 0.0
        gammas = np.empty(concentration.size)
        for topic in range(concentration.size):
            gammas[topic] = _gamma(seed, address[person], topic, variant, concentration[topic])
            total += gammas[topic]
        for topic in range(concentration.size):
            out[person, topic] = gammas[topic] / total
    return out


@njit(nogil=True, cache=True)
def _gamma(seed, entity, item, variant, shape):  # type: ignore[no-untyped-def]
    """A gamma variate (Marsaglia & Tsang 2000); shapes below 1 by Gamma(a + 1)·U^(1/a)."""
    d = shape + 2.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    boost = 1.0
    for attempt in range(256):
        words = philox4x32(
            np.uint64(_TASTE),
            np.uint64(entity),
            np.uint64(item),
            np.uint64(variant * 256 + attempt),
            seed,
        )
        if attempt == 0:
            boost = unit(words[3]) ** (1.0 / shape)
        z = math.sqrt(-2.0 * math.log(unit(words[0]))) * math.cos(2.0 * math.pi * unit(words[1]))
        v = (1.0 + c * z) ** 3
        if v > 0 and math.log(unit(words[2])) < 0.5 * z * z + d - d * v + d * math.log(v):
            return d * v * boost + 1e-12
    return d * boost + 1e-12


_TASTE = int(Stream.TASTE)


def sample_by_weight(cumulative: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draws indices with probability proportional to weights.

    Args:
        cumulative: float64 (m,), cumulative sums of the weights.
        u: float64 (n,), a uniform for each draw.

    Returns:
        int64 (n,), indices below m.

    >>> sample_by_weight(np.array([1.0, 1.0, 4.0]), np.array([0.1, 0.9])).tolist()
    [0, 2]
    """
    index = np.searchsorted(cumulative, u * cumulative[-1], side="right")
    return np.asarray(np.minimum(index, cumulative.size - 1), dtype=np.int64)
