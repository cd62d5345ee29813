"""Runs a proof: can the tool's figures be trusted, and what can a platform learn from its log?

There are five claims (`CLAIMS`). Four are held against worlds: intervals hold the truth; planted
causes are found; leaving newcomers out of a log tells what they changed; and published facts are
seen here, too. The fifth is held against a real log: random groups of its incumbents are seldom
accused. The work is divided into parts that can run alone.
"""

import json
from collections.abc import MutableMapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import polars as pl

from recsys.checks.proof.alarms import alarms, run_alarms
from recsys.checks.proof.claims import Figure, judge
from recsys.checks.proof.coverage import coverage, run_block
from recsys.checks.proof.estimators import compare_estimators, composition_of
from recsys.checks.proof.facts import facts, run_facts
from recsys.checks.proof.joined import worlds_of
from recsys.checks.proof.luck import LAWS, SEEDS, luck, run_luck
from recsys.checks.proof.offline import CELL, DRAWS, SIZES, compare, run_cell
from recsys.checks.proof.planted import DOSES, PLANTS, dose_response, planted, run_dose, run_plant
from recsys.checks.proof.told import ROW, held_against_twin
from recsys.config import OwnLog, RecommenderSpec, Study
from recsys.core.errors import ConfigError
from recsys.core.jobs import Progress, run_all
from recsys.core.threads import single_threaded_blas
from recsys.engines import engine_of
from recsys.mitigations.build import make_recommender

OF_WORLD = ("coverage", "luck", "offline", "planted", "dose", "facts")
OF_LOG = ("alarms",)
KINDS = (*OF_WORLD, *OF_LOG)
"""The kinds of parts, in the order in which they run."""


@dataclass(frozen=True)
class Effort:
    """How much is run.

    Attributes:
        blocks: number of blocks of seeds for claim 1; see `recsys.checks.proof.coverage`.
        block_seeds: number of seeds in each block.
        block_studies: number of studies that draw their seeds from each block.
        lucky_studies: number of studies for each law of luck and number of seeds, for claim 1; see
            `recsys.checks.proof.luck`.
        seeds: number of seeds of claims 2 to 4.
        sizes: sizes of the influx for claim 3, in newcomers for each incumbent who comes on a day.
        draws: number of matched groups of incumbents for claim 3, which decide on alarms; 0 leaves
            alarms out, and holds the estimators alone against the truth.
        batches: number of batches of random groups, for claim 5; see `recsys.checks.proof.alarms`.
        batch_groups: number of groups that are accused in each batch.
        batch_draws: number of placebo groups that each is held against.
    """

    blocks: int = 20
    block_seeds: int = 200
    block_studies: int = 100
    lucky_studies: int = 20_000
    seeds: int = 8
    sizes: tuple[float, ...] = SIZES
    draws: int = DRAWS
    batches: int = 10
    batch_groups: int = 20
    batch_draws: int = 39


FULL = Effort()
SHORT = Effort(
    blocks=2,
    block_seeds=12,
    block_studies=20,
    lucky_studies=40,
    seeds=2,
    batches=2,
    batch_groups=4,
    batch_draws=20,
)
"""Enough to see that a proof runs, too little to see whether its claims hold."""


@dataclass(frozen=True)
class Part:
    """A part of the proof that can run alone.

    Attributes:
        study: the study whose world and recommenders claims 3 and 4 use, or whose log claim 5 uses.
        kind: one of `KINDS`.
        what: name of the recommender, of the planted channel or of the law of luck; empty for other
            kinds.
        number: number of newcomers for the kind `dose`, and of seeds for the kind `luck`; else 0.
        size: size of the influx, in newcomers for each incumbent who comes on a day; for the kind
            `offline`, else 0.
        seed: world seed; the first of a block of seeds; number of a batch.
        effort: how much is run.
    """

    study: Study
    kind: str
    what: str = ""
    number: int = 0
    size: float = 0.0
    seed: int = 0
    effort: Effort = FULL

    @property
    def name(self) -> str:
        """Name of the part for people, unique in its proof."""
        chosen = [self.kind, self.what, str(self.number or ""), f"{self.size or ''}"]
        return "-".join([word for word in chosen if word] + [f"seed-{self.seed}"])

    @property
    def identity(self) -> str:
        """JSON of everything that the part's figures depend on, apart from the code."""
        where: dict[str, Any] = {name: getattr(self, name) for name in _WHERE}
        if self.kind in ("offline", "facts"):
            where |= self.study.model_dump(mode="json", include={"world_", "evaluation"})
            where["recommender"] = self.recommender.model_dump(mode="json")
        if self.kind == "offline":
            where["draws"] = self.effort.draws
        if self.kind == "alarms":
            where |= self.study.model_dump(
                mode="json", include={"log_", "evaluation", "first_seed", "mitigations", "loop"}
            )
            where["recommenders"] = [s.model_dump(mode="json") for s in self.study.recommenders]
        if self.kind in ("coverage", "luck", "alarms"):
            where["effort"] = asdict(self.effort)
        return json.dumps(where, sort_keys=True)

    @property
    def recommender(self) -> RecommenderSpec:
        """The recommender that serves, in claims 3 and 4."""
        return next(spec for spec in self.study.recommenders if spec.name == self.what)


_WHERE = ("kind", "what", "number", "size", "seed")


class Proof(NamedTuple):
    """The result of a proof."""

    verdicts: pl.DataFrame
    """Verdicts on the claims, from `judge`."""
    tables: dict[str, pl.DataFrame]
    """Figures behind the verdicts: coverage, luck, agreement, offline, cells, estimators,
    estimates, planted, doses, facts, accused and alarms."""


def plan(study: Study, effort: Effort = FULL, kinds: Sequence[str] = ()) -> list[Part]:
    """The parts of a proof.

    Args:
        study: a study of a world, whose recommenders serve in claims 3 and 4; or one of a log, for
            claim 5.
        effort: how much to run, such as `SHORT`.
        kinds: the kinds of parts to run, such as ("planted",); all that the study's source has, if
            empty.

    Raises:
        ConfigError: there is no such kind, or none for a study of this source.
    """
    of_log = isinstance(study.source, OwnLog)
    known = OF_LOG if of_log else OF_WORLD
    kinds = kinds or known
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ConfigError(f"no part {unknown[0]!r} of the proof; known: {', '.join(KINDS)}")
    misplaced = [kind for kind in kinds if kind not in known]
    if misplaced:
        source, other = ("a log", "a world") if of_log else ("a world", "a log")
        raise ConfigError(
            f"{study.name}: the part {misplaced[0]!r} of the proof needs {other}, and this is a "
            f"study of {source}; its parts are: {', '.join(known)}"
        )
    if of_log:
        return [Part(study, "alarms", seed=batch, effort=effort) for batch in range(effort.batches)]
    names = [spec.name for spec in study.recommenders]
    seeds = range(study.first_seed, study.first_seed + effort.seeds)
    starts = range(
        study.first_seed, study.first_seed + effort.blocks * effort.block_seeds, effort.block_seeds
    )
    parts = {
        "coverage": [Part(study, "coverage", seed=start, effort=effort) for start in starts],
        "luck": [
            Part(study, "luck", law, number=n_seeds, effort=effort)
            for law in LAWS
            for n_seeds in SEEDS
        ],
        "offline": [
            Part(study, "offline", name, size=size, seed=seed, effort=effort)
            for seed in seeds
            for name in names
            for size in effort.sizes
        ],
        "planted": [Part(study, "planted", name, seed=seed) for seed in seeds for name in PLANTS],
        "dose": [Part(study, "dose", number=n, seed=seed) for seed in seeds for n in DOSES],
        "facts": [Part(study, "facts", name, seed=seed) for seed in seeds for name in names],
    }
    return [part for kind in OF_WORLD if kind in kinds for part in parts[kind]]


def run_part(part: Part) -> pl.DataFrame:
    """The rows of one part."""
    if part.kind == "alarms":
        effort = part.effort
        with single_threaded_blas():
            return run_alarms(part.study, part.seed, effort.batch_groups, effort.batch_draws)
    world, evaluation = part.study.world, part.study.evaluation
    with single_threaded_blas():
        if part.kind == "coverage":
            return run_block(part.seed, part.effort.block_seeds, part.effort.block_studies)
        if part.kind == "luck":
            return run_luck(part.what, part.number, part.effort.lucky_studies)
        if part.kind == "planted":
            return run_plant(part.what, part.seed)
        if part.kind == "dose":
            return run_dose(part.number, part.seed)
        recommender = make_recommender(part.recommender)
        if part.kind == "offline":
            groups = bool(part.effort.draws)
            worlds = worlds_of(
                world, evaluation, recommender, part.size, part.seed, placebos=groups
            )
            rows = held_against_twin(worlds, recommender, part.size)
            if groups:
                cell = run_cell(worlds, recommender, part.size, part.effort.draws)
                rows = pl.concat([cell, rows], how="diagonal")
        else:
            rows = run_facts(world, evaluation, recommender, part.seed)
        return rows.with_columns(recommender=pl.lit(part.what))


def prove(
    study: Study,
    effort: Effort = FULL,
    kinds: Sequence[str] = (),
    progress: Progress | None = None,
    store: MutableMapping[str, pl.DataFrame] | None = None,
) -> Proof:
    """Runs all parts on the study's engine, and judges the claims.

    Args:
        study, effort, kinds: see `plan`.
        progress: function that is called after each part with the number of finished parts, the
            number of all parts and the name of the part.
        store: rows by `Part.identity`; parts that it holds are not run again.

    Raises:
        ConfigError: see `plan`; raised before any part runs.
    """
    parts = plan(study, effort, kinds)
    rows: dict[str, list[pl.DataFrame]] = {kind: [] for kind in KINDS}
    for part, frame in zip(
        parts, run_all(parts, run_part, engine_of(study), progress, store), strict=True
    ):
        rows[part.kind].append(frame)
    tables, figures = _combined(rows)
    return Proof(judge(figures), tables)


def _combined(
    rows: dict[str, list[pl.DataFrame]],
) -> tuple[dict[str, pl.DataFrame], list[Figure]]:
    """The tables and the figures of claims from the parts that were run."""
    tables: dict[str, pl.DataFrame] = {}
    figures: list[Figure] = []
    if rows["coverage"]:
        tables["coverage"], more = coverage(rows["coverage"])
        figures += more
    if rows["offline"]:
        both = pl.concat(rows["offline"], how="diagonal")
        estimates = both.filter(pl.col("estimator").is_not_null()).select("recommender", *ROW)
        if "way" in both.columns:
            mine = [name for name in both.columns if name in CELL or name == "recommender"]
            tables["cells"] = both.filter(pl.col("way").is_not_null()).select(mine)
            tables["agreement"], tables["offline"], more = compare(tables["cells"])
            figures += more
            estimates = pl.concat([estimates, composition_of(tables["cells"])])
        tables["estimates"] = estimates
        tables["estimators"], more = compare_estimators(estimates)
        figures += more
    if rows["alarms"]:
        tables["accused"] = pl.concat(rows["alarms"])
        tables["alarms"], more = alarms(tables["accused"])
        figures += more
    for kind, name, summarise in (
        ("luck", "luck", luck),
        ("planted", "planted", planted),
        ("dose", "doses", dose_response),
        ("facts", "facts", facts),
    ):
        if rows[kind]:
            tables[name], more = summarise(pl.concat(rows[kind]))
            figures += more
    return tables, figures
