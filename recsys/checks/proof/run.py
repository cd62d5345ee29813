"""Proof: are the tool's own figures to be trusted, and what can a platform's log tell of the truth?

Four claims (`CLAIMS`): intervals cover; planted causes are found; what leaving newcomers out of a
log says, held against the truth; published facts. Each is cut into parts that run alone.
"""

import json
from collections.abc import MutableMapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import polars as pl

from recsys.checks.proof.claims import Found, judge
from recsys.checks.proof.coverage import coverage, run_block
from recsys.checks.proof.facts import facts, run_facts
from recsys.checks.proof.offline import SIZES, compare, run_cell
from recsys.checks.proof.planted import DOSES, PLANTS, dose_response, planted, run_dose, run_plant
from recsys.config import OwnLog, RecommenderSpec, Study
from recsys.core.errors import ConfigError
from recsys.core.jobs import Progress, run_all
from recsys.core.threads import single_threaded_blas
from recsys.mitigations.build import make_recommender

KINDS = ("coverage", "offline", "planted", "dose", "facts")
"""What parts there are, in the order in which they run."""


@dataclass(frozen=True)
class Effort:
    """How much is run.

    Attributes:
        blocks: of seeds, for coverage; studies draw from one of them.
        block_seeds: seeds in each.
        block_studies: studies that draw from each.
        seeds: of everything else.
    """

    blocks: int = 20
    block_seeds: int = 200
    block_studies: int = 100
    seeds: int = 8


FULL = Effort()
SHORT = Effort(blocks=2, block_seeds=12, block_studies=20, seeds=2)
"""Whether it runs, not whether it holds."""


@dataclass(frozen=True)
class Part:
    """A part of the proof that can run alone.

    Attributes:
        study: gives the platform and the recommenders of claims 3 and 4.
        kind: one of `KINDS`.
        what: a recommender, a planted channel; empty where there is no choice.
        number: of a block of seeds, or how many newcomers; 0 where there is no choice.
        size: of an influx, in newcomers for each incumbent who comes on a day.
        seed: world seed; of a block the first.
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
        """What people call it, unique in its proof."""
        chosen = [self.kind, self.what, str(self.number or ""), f"{self.size or ''}"]
        return "-".join([word for word in chosen if word] + [f"seed-{self.seed}"])

    @property
    def identity(self) -> str:
        """JSON of all that its figures depend on, besides the code."""
        where: dict[str, Any] = {name: getattr(self, name) for name in _WHERE}
        if self.kind in ("offline", "facts"):
            where |= self.study.model_dump(mode="json", include={"world_", "evaluation"})
            where["recommender"] = self.recommender.model_dump(mode="json")
        if self.kind == "coverage":
            where["effort"] = asdict(self.effort)
        return json.dumps(where, sort_keys=True)

    @property
    def recommender(self) -> RecommenderSpec:
        """Who serves, of claims 3 and 4."""
        return next(spec for spec in self.study.recommenders if spec.name == self.what)


_WHERE = ("kind", "what", "number", "size", "seed")


class Proof(NamedTuple):
    """What a proof found."""

    verdicts: pl.DataFrame
    """As `judge` gives them."""
    tables: dict[str, pl.DataFrame]
    """What they rest on, by name: coverage, agreement, offline, cells, planted, doses, facts."""


def plan(study: Study, effort: Effort = FULL, kinds: Sequence[str] = KINDS) -> list[Part]:
    """The parts of a proof.

    Args:
        study: of a world; its recommenders serve in claims 3 and 4.
        effort: how much to run.
        kinds: which parts.

    Raises:
        ConfigError: a study of a log, or a kind that is not known.
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
    every = {
        "coverage": [Part(study, "coverage", seed=start, effort=effort) for start in starts],
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
    return [part for kind in KINDS if kind in kinds for part in every[kind]]


def run_part(part: Part) -> pl.DataFrame:
    """The rows of one part."""
    world, evaluation = part.study.world, part.study.evaluation
    with single_threaded_blas():
        if part.kind == "coverage":
            return run_block(part.seed, part.effort.block_seeds, part.effort.block_studies)
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
    """Runs all parts in `study.workers` threads, and judges the claims.

    Args:
        study: of a world; its recommenders serve in claims 3 and 4.
        effort: how much to run.
        kinds: which parts.
        progress: called with parts done, parts in all, and the name of the part just done.
        store: rows by `Part.identity`; what it holds already is not run again.

    Raises:
        ConfigError: before any part runs.
    """
    parts = plan(study, effort, kinds)
    rows: dict[str, list[pl.DataFrame]] = {kind: [] for kind in KINDS}
    for part, frame in zip(
        parts, run_all(parts, run_part, study.workers, progress, store), strict=True
    ):
        rows[part.kind].append(frame)
    tables, found = _combined(rows)
    return Proof(judge(found), tables)


def _combined(
    rows: dict[str, list[pl.DataFrame]],
) -> tuple[dict[str, pl.DataFrame], list[Found]]:
    """Tables and claimed figures of the parts that were run."""
    tables: dict[str, pl.DataFrame] = {}
    found: list[Found] = []
    if rows["coverage"]:
        tables["coverage"], more = coverage(rows["coverage"])
        found += more
    if rows["offline"]:
        tables["cells"] = pl.concat(rows["offline"])
        tables["agreement"], tables["offline"], more = compare(tables["cells"])
        found += more
    for kind, name, summed in (
        ("planted", "planted", planted),
        ("dose", "doses", dose_response),
        ("facts", "facts", facts),
    ):
        if rows[kind]:
            tables[name], more = summed(pl.concat(rows[kind]))
            found += more
    return tables, found
