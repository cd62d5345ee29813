"""Plans a study: divides it into cells, and checks what can be checked before they run.

A cell can run alone, on any machine and in any order. It is one recommender on one seed of a world,
or on a log with a share of its placebo groups. `run` runs the cells, `combine` joins their results.
"""

from collections.abc import Sequence

from recsys.config import AUTO, Chain, RecommenderSpec, Study, World
from recsys.core.errors import ConfigError, LogError
from recsys.core.steps import MEASURING, SIMULATING
from recsys.mitigations.build import make_recommender
from recsys.study.arms.gated import COALITIONS
from recsys.study.arms.open_loop import arms_for
from recsys.study.arms.rankings import make_rankings
from recsys.study.cell import Cell
from recsys.study.sources import Sources
from recsys.study.tables.groups import groups_of_users
from recsys.world.arms import draws_of
from recsys.world.people.posts import first_day

_DRAWS_PER_CELL = 25
"""Placebo groups of a log in one cell."""
_COALITIONS_PER_CELL = 8
"""Sets of open gates in one cell."""

_Pair = tuple[RecommenderSpec, Chain]


def plan(study: Study, sources: Sources | None = None) -> list[Cell]:
    """The cells of a study.

    Args:
        study: from `load_study`.
        sources: what the cells share, such as the log. Give the same `Sources` with which the cells
            will run, so that the log is read only once. With None, this call reads the log itself.

    Raises:
        ConfigError: the study cannot run, such as with a panel larger than its population.
        LogError: its log cannot be used.
    """
    sources = Sources(study) if sources is None else sources
    make = _cells_of_world if isinstance(study.source, World) else _cells_of_log
    pairs = [(spec, chain) for spec in study.recommenders for chain in study.chains_for(spec.name)]
    return make(study, sources, pairs)


def steps_of(cell: Cell) -> dict[str, float]:
    """How many steps of each phase a cell takes, so that the time left can be estimated.

    The cells of a seed share its worlds in an open loop, and so their simulated days.

    Args:
        cell: from `plan`.

    Returns:
        Number of steps by phase of `recsys.core.steps`: simulated days, and measured arms by day.
    """
    study = cell.study
    if not isinstance(study.source, World):
        by_time = not isinstance(study.log.newcomers, str) or study.log.newcomers == AUTO
        first = 3 if cell.draws.start == 1 else 1
        return {MEASURING: float(len(cell.draws) * (1 + by_time) + first)}
    world, evaluation = study.world, study.evaluation
    before, days = -first_day(world), len(evaluation.days)
    if cell.coalitions:
        worlds = 2 * len(cell.coalitions)
        return {SIMULATING: worlds * world.days_after, MEASURING: worlds * days}
    arms = len(arms_for(make_rankings(cell.recommender, cell.chain), study.arms, evaluation.nudges))
    if study.loop == "closed":
        return {SIMULATING: before + arms * world.days_after, MEASURING: arms * days}
    worlds = sum(len(draws_of(arm, evaluation.nudges)) for arm in study.arms if arm != "retrain")
    sharing = sum(len(study.chains_for(spec.name)) for spec in study.recommenders)
    simulated = (before + worlds * world.days_after) / sharing
    return {SIMULATING: simulated, MEASURING: arms * days}


def _cells_of_log(study: Study, sources: Sources, pairs: Sequence[_Pair]) -> list[Cell]:
    """A cell for each combination of recommender, mitigation and share of the placebo groups."""
    for spec, chain in pairs:
        if make_rankings(spec, chain).needs_previous:
            raise ConfigError(
                f"mitigations: {spec.name} + {chain.name} goes on from the model of the day before "
                "the influx, which a study of a log does not have; use it in a study of a world"
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
    """A cell for each combination of recommender, mitigation and seed.

    With `channels` there are further cells, each with a share of the sets of open gates.
    """
    for spec, chain in pairs:
        make_rankings(spec, chain)  # raises if the mitigation cannot act on the recommender
    _check_pool(study)
    groups_of_users(sources.users, study.evaluation.groups, "evaluation.groups")
    coalitions = range(1, COALITIONS)
    shares = [
        coalitions[i : i + _COALITIONS_PER_CELL]
        for i in range(0, len(coalitions), _COALITIONS_PER_CELL)
    ]
    return [
        Cell(study, spec, seed, chain=chain, coalitions=share)
        for seed in study.seed_range()
        for spec, chain in pairs
        for share in (range(0), *(shares if study.channels else ()))
    ]


def _check_pool(study: Study) -> None:
    """Raises if a feed has more slots than there are posts that can be served."""
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
