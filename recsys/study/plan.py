"""A study: plan its cells, run each alone, combine them. `run` does the three.

A cell is what can run on its own, anywhere and in any order: a recommender on one seed of a world,
or on a log without some of its placebo groups.
"""

from collections.abc import Sequence

from recsys.config import Chain, RecommenderSpec, Study, World
from recsys.core.errors import ConfigError, LogError
from recsys.mitigations.build import make_recommender
from recsys.study.arms.gated import COALITIONS
from recsys.study.arms.rankings import make_rankings
from recsys.study.cell import Cell
from recsys.study.sources import Sources
from recsys.study.tables.groups import groups_of_users

_DRAWS_PER_CELL = 25


_COALITIONS_PER_CELL = 8


_Pair = tuple[RecommenderSpec, Chain]


def plan(study: Study, sources: Sources | None = None) -> list[Cell]:
    """The cells of a study, after checking what can be checked before the work starts.

    Args:
        study: from `load_study`.
        sources: what its cells share, such as a log that is then read once; None reads it here.

    Raises:
        ConfigError, LogError: what would otherwise fail later.
    """
    sources = Sources(study) if sources is None else sources
    make = _cells_of_world if isinstance(study.source, World) else _cells_of_log
    pairs = [(spec, chain) for spec in study.recommenders for chain in study.chains_for(spec.name)]
    return make(study, sources, pairs)


def _cells_of_log(study: Study, sources: Sources, pairs: Sequence[_Pair]) -> list[Cell]:
    """Each recommender without some of the placebo groups."""
    for spec, chain in pairs:
        if make_rankings(spec, chain).needs_previous:
            raise ConfigError(
                f"mitigations: {spec.name} + {chain.name} goes on from the model of the day before "
                "the influx, which a study of a log does not have"
            )
    sources.log.check()
    for spec in study.recommenders:
        try:
            make_recommender(spec).check(sources.log.train)
        except LogError as error:
            raise ConfigError(f"recommenders: {spec.name}: {error}") from error
    groups_of_users(sources.users, study.evaluation.groups, "evaluation.groups")
    draws = range(1, study.log.placebo_draws + 1)
    chunks = [draws[i : i + _DRAWS_PER_CELL] for i in range(0, len(draws), _DRAWS_PER_CELL)]
    return [
        Cell(study, spec, study.first_seed, chunk, chain)
        for spec, chain in pairs
        for chunk in chunks
    ]


def _cells_of_world(study: Study, sources: Sources, pairs: Sequence[_Pair]) -> list[Cell]:
    """Each recommender on each seed; with channels, some of the sets of gates apart."""
    for spec, chain in pairs:
        make_rankings(spec, chain)  # raises where the two do not go together
    _check_pool(study)
    groups_of_users(sources.users, study.evaluation.groups, "evaluation.groups")
    every = range(1, COALITIONS)
    parts = [
        every[i : i + _COALITIONS_PER_CELL] for i in range(0, len(every), _COALITIONS_PER_CELL)
    ]
    return [
        Cell(study, spec, seed, chain=chain, coalitions=part)
        for seed in study.seed_range()
        for spec, chain in pairs
        for part in (range(0), *(parts if study.channels else ()))
    ]


def _check_pool(study: Study) -> None:
    """Raises if a feed is deeper than the posts that can be served."""
    from recsys.world.people.population import draw_incumbents
    from recsys.world.people.posts import draw_incumbents_posts

    people = draw_incumbents(study.world)
    for seed in study.seed_range():
        posts = draw_incumbents_posts(study.world, people, seed)
        for day in study.evaluation.days:
            pool = int(posts.live(day, study.world.posts.window_days).sum())
            if study.evaluation.k > pool:
                raise ConfigError(
                    f"evaluation.k: {study.evaluation.k} is more than the {pool} posts that can be "
                    f"served on day {day} (seed {seed}); lower k, or let more be posted"
                )
