"""Reads studies: from a YAML file or a mapping to a checked `Study`, or to one for each variant.

`recsys.config.overrides` reads the file and merges the overrides. pydantic then checks the content,
and recommenders and mitigations check their own options.
"""

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from pydantic import ValidationError

from recsys.config import (
    MitigationSpec,
    OwnLog,
    Study,
)
from recsys.config.engine import check_trusted_engine
from recsys.config.expand import expand
from recsys.config.explain import explain
from recsys.config.overrides import contents, name_of
from recsys.core.errors import ConfigError, nearest
from recsys.mitigations.build import ORACLE, check_trusted, make_mitigation
from recsys.study.arms.rankings import make_rankings


def load_study(
    source: str | PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    trust: bool = True,
) -> Study:
    """Reads a study and checks all of it.

    Args:
        source: path of a YAML file, or its content as a mapping.
        overrides: `key=value` with dots for nested keys, such as `evaluation.k=10` or `seeds=2`.
        trust: whether `kind: module:Class` may load that module, which runs its code. Programs
            load it only with `--trust-config`.

    Returns:
        The study. All defaults are filled in, also those of recommenders and mitigations.

    Raises:
        ConfigError: the content has mistakes; the message names each wrong key by its path in the
            file, and the key that was probably meant. Or the file has several variants, and the
            override `variants=NAME` does not choose one.

    >>> load_study({"name": "tiny", "world": {"influx": "rednote_2025"},
    ...     "recommenders": ["trending"]}, ["world.influx.newcomers=5"]).world.influx.newcomers
    5
    """
    where = name_of(source)
    variants = contents(source, overrides, where)
    if len(variants) > 1:
        raise ConfigError(
            f"{where}: holds {len(variants)} studies, its variants {_join(list(variants))}; the "
            "override variants=NAME chooses one, recsys.load_studies reads all"
        )
    return _studies(variants, where, trust)[0]


def load_studies(
    source: str | PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    trust: bool = True,
) -> tuple[Study, ...]:
    """Reads each variant of a study as a study of its own, named NAME-VARIANT.

    The key `variants` maps the name of each variant to its changes: nested keys, or a list of
    `key=value`.

    Args:
        source: path of a YAML file, or its content as a mapping.
        overrides: `key=value` changes all variants that do not set the key themselves,
            `variants.NAME.key=value` changes one, and `variants=[NAME,NAME]` chooses some.
        trust: as in `load_study`.

    Returns:
        The variants in the order of the file, or the only study of a file without variants.

    Raises:
        ConfigError: the content has mistakes; the message also says in which variants.

    >>> waves = {"name": "waves", "recommenders": ["trending"], "variants": {
    ...     "small": {"world": {"influx": {"kind": "wave", "newcomers": 5}}},
    ...     "large": ["world.influx=wave", "world.influx.newcomers=500"]}}
    >>> [(study.name, study.world.influx.newcomers) for study in load_studies(waves, ["seeds=8"])]
    [('waves-small', 5), ('waves-large', 500)]
    """
    where = name_of(source)
    return _studies(contents(source, overrides, where), where, trust)


def _studies(
    variants: Mapping[str | None, dict[str, Any]], where: str, trust: bool
) -> tuple[Study, ...]:
    """The checked studies; the error lists the mistakes of all variants, each of them once."""
    studies: list[Study] = []
    mistakes: dict[str, list[str | None]] = {}
    for variant, content in variants.items():
        try:
            studies.append(_study(content, trust))
        except ConfigError as error:
            for line in str(error).splitlines():
                mistakes.setdefault(line, []).append(variant)
    if not mistakes:
        _check_reference(studies, where)
        return tuple(studies)
    lines = []
    for line, names in mistakes.items():
        shared = len(names) == len(variants) > 1 or names == [None]
        lines.append(f"{where}: {'' if shared else f'variant {_join(names)}: '}{line}")
    raise ConfigError("\n".join(lines))


def _check_reference(studies: Sequence[Study], where: str) -> None:
    """Raises unless the variant with which the others are compared is among them."""
    names, reference = [str(study.variant) for study in studies], studies[0].reference
    if reference is not None and len(studies) > 1 and reference not in names:
        raise ConfigError(
            f"{where}: reference: {reference!r} is not among the variants that run; "
            f"{nearest(reference, names)}"
        )


def _join(names: Sequence[str | None]) -> str:
    return ", ".join(str(name) for name in names)


def _study(content: dict[str, Any], trust: bool) -> Study:
    try:
        expanded = expand(content)
        if "log" in expanded:
            expanded.setdefault("seeds", 1)
        raw = json.dumps(expanded, default=str)
        return _with_options(Study.model_validate_json(raw), trust)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, Study))) from error


def _with_options(study: Study, trust: bool) -> Study:
    """The study with the defaults of all its parts written out, so that its record is complete."""
    parts = (part for chain in study.mitigations for part in chain.parts)
    check_trusted_engine(study.engine, trust=trust)
    check_trusted((*study.recommenders, *parts), trust=trust)
    if isinstance(study.source, OwnLog) and any(spec.kind == ORACLE for spec in study.recommenders):
        raise ConfigError(
            "recommenders: the oracle knows worlds only: it ranks by their true utility. Take it "
            "out of a study of a log"
        )
    specs = tuple(
        spec.model_copy(update={"options": make_rankings(spec).options})
        for spec in study.recommenders
    )
    chains = tuple(
        chain.model_copy(update={"parts": tuple(_with_its_options(part) for part in chain.parts)})
        for chain in study.mitigations
    )
    for spec in specs:
        for chain in study.chains_for(spec.name):
            make_rankings(spec, chain)
    return study.model_copy(update={"recommenders": specs, "mitigations": chains})


def _with_its_options(spec: MitigationSpec) -> MitigationSpec:
    return spec.model_copy(update={"options": make_mitigation(spec).model_dump(mode="json")})
