"""Runs a proof: can the tool's figures be trusted, and what can a platform learn from its log?

There are four claims (`CLAIMS`): intervals hold the truth; planted causes are found; leaving
newcomers out of a log tells what they changed; and published facts are seen here, too. The work is
divided into parts that can run alone.
"""

import json
from collections.abc import MutableMapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import polars as pl

from recsys.checks.proof.claims import Figure, judge
from recsys.checks.proof.coverage import coverage, run_block
from recsys.checks.proof.facts import facts, run_facts
from recsys.checks.proof.luck import LAWS, SEEDS, luck, run_luck
from recsys.checks.proof.offline import SIZES, compare, run_cell
from recsys.checks.proof.planted import DOSES, PLANTS, dose_response, planted, run_dose, run_plant
from recsys.config import OwnLog, RecommenderSpec, Study
from recsys.core.errors import ConfigError
from recsys.core.jobs import Progress, run_all
from recsys.core.threads import single_threaded_blas
from recsys.engines import engine_of
from recsys.mitigations.build import make_recommender

KINDS = ("coverage", "luck", "offline", "planted", "dose", "facts")
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
        seeds: number of seeds of all other claims.
    """

    blocks: int = 20
    block_seeds: int = 200
    block_studies: int = 100
    lucky_studies: int = 20_000
    seeds: int = 8


FULL = Effort()
SHORT = Effort(blocks=2, block_seeds=12, block_studies=20, lucky_studies=40, seeds=2)
"""Enough to see that a proof runs, too little to see whether its claims hold."""


@dataclass(frozen=True)
class Part:
    """A part of the proof that can run alone.

    Attributes:
        study: the study whose world and recommenders claims 3 and 4 use.
        kind: one of `KINDS`.
        what: name of the recommender, of the planted channel or of the law of luck; empty for other
            kinds.
        number: number of newcomers for the kind `dose`, and of seeds for the kind `luck`; else 0.
        size: size of the influx, in newcomers for each incumbent who comes on a day; for the kind
            `offline`, else 0.
        seed: world seed; the first of a block of seeds.
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
        if self.kind in ("coverage", "luck"):
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
    """Figures behind the verdicts: coverage, luck, agreement, offline, cells, planted, doses and
    facts."""


def plan(study: Study, effort: Effort = FULL, kinds: Sequence[str] = KINDS) -> list[Part]:
    """The parts of a proof.

    Args:
        study: a study of a world; its recommenders serve in claims 3 and 4.
        effort: how much to run, such as `SHORT`.
        kinds: the kinds of parts to run, such as ("planted",).

    Raises:
        ConfigError: the study is of a log, or there is no such kind.
    """
    if isinstance(study.source, OwnLog):
        raise ConfigError(f"{study.name}: a proof needs a world; this is a study of a log")
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ConfigError(f"no part {unknown[0]!r} of the proof; known: {', '.join(KINDS)}")
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
            Part(study, "offline", name, size=size, seed=seed)
            for seed in seeds
            for name in names
            for size in SIZES
        ],
        "planted": [Part(study, "planted", name, seed=seed) for seed in seeds for name in PLANTS],
        "dose": [Part(study, "dose", number=n, seed=seed) for seed in seeds for n in DOSES],
        "facts": [Part(study, "facts", name, seed=seed) for seed in seeds for name in names],
    }
    return [part for kind in KINDS if kind in kinds for part in parts[kind]]


def run_part(part: Part) -> pl.DataFrame:
    """The rows of one part."""
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
            rows = run_cell(world, evaluation, recommender, part.size, part.seed)
        else:
            rows = run_facts(world, evaluation, recommender, part.seed)
        return rows.with_columns(recommender=pl.lit(part.what))


def prove(
    study: Study,
    effort: Effort = FULL,
    kinds: Sequence[str] = KINDS,
    progress: Progress | None = None,
    store: MutableMapping[str, pl.DataFrame] | None = None,
) -> Proof:
    """Runs all parts on the study's engine, and judges the claims.

    Args:
        study: a study of a world; its recommenders serve in claims 3 and 4.
        effort: how much to run, such as `SHORT`.
        kinds: the kinds of parts to run, such as ("planted",).
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
        tables["cells"] = pl.concat(rows["offline"])
        tables["agreement"], tables["offline"], more = compare(tables["cells"])
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
