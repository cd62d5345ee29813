"""From a YAML file, or a mapping, to a checked `Study`, one for each variant, or a `Training`.

`recsys.variants` reads the file and merges overrides. pydantic checks what comes out; recommenders
check their own options.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from inspect import isabstract
from os import PathLike
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from recsys.arms.oracle import ORACLE, OracleRow
from recsys.config import (
    PLATFORMS,
    Chain,
    MitigationSpec,
    Part,
    Population,
    Range,
    RecommenderSpec,
    Study,
    Training,
)
from recsys.errors import ConfigError, nearest
from recsys.metrics import METRICS
from recsys.mitigations import MITIGATIONS, Mitigation, WarmStart, mitigated
from recsys.mitigations.base import Place
from recsys.recommenders import RECOMMENDERS, Recommender
from recsys.variants import PRESETS, contents

__all__ = ["load_studies", "load_study", "load_training", "make_mitigation", "make_recommender"]

P = TypeVar("P", bound=Part)

_TEST_SHARE = 0.2
"""Held out by a training run that does not say."""


def load_study(
    source: str | PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()
) -> Study:
    """Reads a study and checks it whole.

    Args:
        source: path of a YAML file, or its content as a mapping.
        overrides: `key=value` with dots for nested keys, such as `evaluation.k=10` or `seeds=2`.

    Returns:
        The study, with every default filled in, the recommenders' too.

    Raises:
        ConfigError: names each wrong key by its path in the file, and the nearest known ones; or
            the file has several variants and `variants=NAME` chooses none of them.

    >>> load_study({"name": "tiny", "world": {"influx": "rednote_2025"},
    ...     "recommenders": ["trending"]}, ["world.influx.newcomers=5"]).world.influx.newcomers
    5
    """
    where = _name_of(source)
    found = contents(source, overrides, where)
    if len(found) > 1:
        raise ConfigError(
            f"{where}: holds {len(found)} studies, its variants {_join(list(found))}; the "
            "override variants=NAME chooses one, recsys.load_studies reads all"
        )
    return _studies(found, where)[0]


def load_studies(
    source: str | PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()
) -> tuple[Study, ...]:
    """Reads each variant of a study as a study of its own, called NAME-VARIANT.

    `variants` maps names to what they change, in nested keys or as a list of `key=value`.

    Args:
        source: path of a YAML file, or its content as a mapping.
        overrides: `key=value` changes all variants, in what none of them sets itself;
            `variants.NAME.key=value` changes one, `variants=[NAME,NAME]` chooses some.

    Returns:
        The variants in their order, or the one study of a file without any.

    Raises:
        ConfigError: as `load_study`, and names the variants that a mistake is in.

    >>> waves = {"name": "waves", "recommenders": ["trending"], "variants": {
    ...     "small": {"world": {"influx": {"kind": "wave", "newcomers": 5}}},
    ...     "large": ["world.influx=wave", "world.influx.newcomers=500"]}}
    >>> [(study.name, study.world.influx.newcomers) for study in load_studies(waves, ["seeds=8"])]
    [('waves-small', 5), ('waves-large', 500)]
    """
    where = _name_of(source)
    return _studies(contents(source, overrides, where), where)


def load_training(
    source: str | PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()
) -> Training:
    """Reads a training run and checks it whole.

    Args:
        source: path of a YAML file, or its content as a mapping.
        overrides: `key=value` with dots for nested keys, such as `recommender.factors=64`.

    Returns:
        The training run, with every default filled in, the recommender's too.

    Raises:
        ConfigError: names each wrong key by its path in the file, and the nearest known ones.

    >>> tiny = {"name": "tiny", "world": {"influx": {"kind": "wave", "newcomers": 5}}}
    >>> run = load_training({**tiny, "recommender": {"kind": "als"}}, ["recommender.factors=8"])
    >>> run.recommender.options["factors"]
    8
    """
    where = _name_of(source)
    found = contents(source, overrides, where)
    if None not in found:
        raise ConfigError(
            f"{where}: variants: a training run has none; give each recommender a file of its own"
        )
    try:
        return _training(found[None])
    except ConfigError as error:
        lines = str(error).splitlines()
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from error


def make_recommender(
    spec: RecommenderSpec, chain: Chain | None = None, *, anew: bool = False
) -> Recommender:
    """The recommender that a spec names, under the mitigations of a chain, with options checked.

    Args:
        spec: `kind` is a key of `RECOMMENDERS`, `package.module:Class` for one of your own, or
            `oracle`, the upper bound in a world.
        chain: mitigations; None for none.
        anew: whether fits start anew even where a mitigation is given an earlier model, unless one
            goes on from its parameters: so it is in an open loop.

    Raises:
        ConfigError: an unknown kind, options that it does not take, or a mitigation that cannot
            act on it.

    >>> from recsys.config import RecommenderSpec
    >>> make_recommender(RecommenderSpec(kind="als", name="als", options={"factors": 8})).factors
    8
    """
    known: dict[str, type[Recommender]] = {**RECOMMENDERS, ORACLE: OracleRow}
    plain = _made(_class(spec.kind, known, Recommender), spec)  # type: ignore[type-abstract]
    if chain is None or not chain.parts:
        return plain
    try:
        if isinstance(plain, OracleRow):
            raise ConfigError("the oracle is the upper bound and takes no mitigation")
        parts = [make_mitigation(part) for part in chain.parts]
        goes_on = any(part.place in (Place.START, Place.FACTORS) for part in parts)
        cold = [WarmStart(enabled=False)] if anew and plain.warm_starts and not goes_on else []
        return mitigated(plain, [*cold, *parts])
    except ConfigError as error:
        hint = "; {parts: [...], only: [...]} tries a chain on some recommenders"
        raise ConfigError(f"mitigations: {spec.name} + {chain.name}: {error}{hint}") from error


def make_mitigation(spec: MitigationSpec) -> Mitigation:
    """The mitigation that a spec names, with its options checked; see `make_recommender`.

    >>> make_mitigation(MitigationSpec(kind="cap", name="cap", options={"share": 0.1})).share
    0.1
    """
    return _made(_class(spec.kind, MITIGATIONS, Mitigation), spec)  # type: ignore[type-abstract]


def _made(kind: type[P], spec: RecommenderSpec | MitigationSpec) -> P:
    try:
        return kind.model_validate_json(json.dumps(dict(spec.options)))
    except ValidationError as error:
        what = "mitigation" if isinstance(spec, MitigationSpec) else "recommender"
        lines = (f"{what} {spec.name}: {line}" for line in _explain(error, kind))
        raise ConfigError("\n".join(lines)) from error


def _class(kind: str, known: Mapping[str, type[P]], base: type[P]) -> type[P]:
    """The class of a kind: a key of `known`, or `package.module:Class`."""
    where = f"{base.__name__.lower()}s"
    if ":" not in kind:
        if kind not in known:
            raise ConfigError(f"{where}: no kind {kind!r}; {nearest(kind, known)}")
        return known[kind]
    module, _, name = kind.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(f"{where}: cannot load {kind!r}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, base)) or isabstract(found):
        own = "a fit of its own" if base is Recommender else "a place of its own"
        raise ConfigError(f"{where}: {kind!r} is no subclass of recsys.{base.__name__} with {own}")
    return found


def _name_of(source: str | PathLike[str] | Mapping[str, Any]) -> str:
    return "config" if isinstance(source, Mapping) else str(source)


def _studies(found: Mapping[str | None, dict[str, Any]], where: str) -> tuple[Study, ...]:
    """Raises with all mistakes of all variants; one that they share is told once."""
    studies: list[Study] = []
    mistakes: dict[str, list[str | None]] = {}
    for variant, content in found.items():
        try:
            studies.append(_study(content))
        except ConfigError as error:
            for line in str(error).splitlines():
                mistakes.setdefault(line, []).append(variant)
    if not mistakes:
        _check_reference(studies, where)
        return tuple(studies)
    lines = []
    for line, names in mistakes.items():
        shared = len(names) == len(found) > 1 or names == [None]
        lines.append(f"{where}: {'' if shared else f'variant {_join(names)}: '}{line}")
    raise ConfigError("\n".join(lines))


def _check_reference(studies: Sequence[Study], where: str) -> None:
    """Raises unless the variant that others are held against is among them."""
    names, reference = [str(study.variant) for study in studies], studies[0].reference
    if reference is not None and len(studies) > 1 and reference not in names:
        raise ConfigError(
            f"{where}: reference: {reference!r} is none of the variants that run; "
            f"{nearest(reference, names)}"
        )


def _join(names: Sequence[str | None]) -> str:
    return ", ".join(str(name) for name in names)


def _study(content: dict[str, Any]) -> Study:
    try:
        expanded = _expand(content)
        if "log" in expanded:
            expanded.setdefault("seeds", 1)
        raw = json.dumps(expanded, default=str)
        return _with_options(Study.model_validate_json(raw))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, Study))) from error


def _training(content: dict[str, Any]) -> Training:
    raw = _expand(content)
    if raw.get("test_days") is None and raw.get("test_share") is None:
        raw["test_share"] = _TEST_SHARE
    if "recommender" in raw:
        raw["recommender"] = _spec(raw["recommender"])
    try:
        training = Training.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, Training))) from error
    names = training.metrics or _metrics_of(training)
    for name in names:
        _check_metric(training, name, "metrics", METRICS)
    options = make_recommender(training.recommender).model_dump(mode="json")
    spec = training.recommender.model_copy(update={"options": options})
    training = training.model_copy(update={"recommender": spec, "metrics": names})
    _check_tuning(training)
    return training


def _metrics_of(training: Training) -> tuple[str, ...]:
    """All metrics that a training run can compute."""
    knows = training.world is not None and training.test_days is not None
    return tuple(name for name in METRICS if name != "utility" or knows)


def _check_metric(training: Training, name: str, key: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ConfigError(f"{key}: there is no {name!r}; {nearest(name, known)}")
    if name not in _metrics_of(training):
        raise ConfigError(
            f"{key}: {name} is the truth of a world whose last test_days are held out; "
            "give world and test_days, or leave it out"
        )


def _check_tuning(training: Training) -> None:
    """Raises unless every end and every choice of the space is an option that can be."""
    tune, spec = training.tune, training.recommender
    if tune is None:
        return
    by_user = [name for name, metric in METRICS.items() if metric.kind == "user"]
    _check_metric(training, tune.metric, "tune.metric", by_user)
    for option, choices in tune.space.items():
        if option not in spec.options:
            known = nearest(option, spec.options) if spec.options else "it has none"
            raise ConfigError(f"tune.space.{option}: no option of {spec.kind}; {known}")
        ends = (choices.low, choices.high) if isinstance(choices, Range) else choices
        for value in ends:
            try:
                make_recommender(
                    spec.model_copy(update={"options": {**spec.options, option: value}})
                )
            except ConfigError as error:
                raise ConfigError(f"tune.space.{option}: {error}") from error


def _expand(raw: dict[str, Any]) -> dict[str, Any]:
    """Presets and short forms written out."""
    raw = dict(raw)
    if isinstance(raw.get("world"), dict):
        world = dict(raw["world"])
        for where, presets in PRESETS.items():
            key = where.removeprefix("world.")
            if key in world:
                world[key] = _preset(world[key], presets, where)
        if isinstance(world.get("influx"), dict):
            world = _migration(world)
        if isinstance(world.get("population"), dict):
            world["population"] = _whole_cohorts(world["population"])
        raw["world"] = world
    if isinstance(raw.get("recommenders"), list):
        raw["recommenders"] = [_spec(entry) for entry in raw["recommenders"]]
    if isinstance(raw.get("mitigations"), list):
        raw["mitigations"] = [_chain(entry) for entry in raw["mitigations"]]
    return raw


def _whole_cohorts(population: dict[str, Any]) -> dict[str, Any]:
    """Cohorts of which only some fields are said have the defaults of the others."""
    known = Population()
    defaults = {"incumbents": known.incumbents, "newcomers": known.newcomers}
    return {
        name: {**defaults[name].model_dump(mode="json"), **value}
        if name in defaults and isinstance(value, dict)
        else value
        for name, value in population.items()
    }


def _preset(entry: Any, presets: Mapping[str, Mapping[str, Any]], where: str) -> Any:
    """`rednote`, or `{kind: rednote, half_life_days: 1}`, with the preset's values filled in."""
    if isinstance(entry, str):
        entry = {"kind": entry}
    if not isinstance(entry, dict):
        return entry
    kind = str(entry.get("kind", "custom"))
    if kind not in presets and kind != "custom":
        raise ConfigError(f"{where}: no kind {kind!r}; {nearest(kind, presets)}")
    return {**presets.get(kind, {}), **entry}


def _migration(world: dict[str, Any]) -> dict[str, Any]:
    """`influx: {from: tiktok, to: rednote}` as the newcomers' origin and the world's platform."""
    influx = dict(world["influx"])
    formed_on = influx.pop("from", None)
    if formed_on is not None and "origin" not in influx:
        influx["origin"] = _preset(formed_on, PLATFORMS, "world.influx.from")
    if "to" in influx:
        there = _preset(influx.pop("to"), PLATFORMS, "world.influx.to")
        here = world.setdefault("platform", there)
        to, at = _kind_of(there), _kind_of(here)
        if to != at:
            raise ConfigError(
                f"world.influx.to: {to!r} is not world.platform, {at!r}; leave one of them out"
            )
    return {**world, "influx": influx}


def _kind_of(platform: Any) -> Any:
    return platform.get("kind", "rednote") if isinstance(platform, dict) else platform


def _spec(entry: Any) -> Any:
    if isinstance(entry, str):
        entry = {"kind": entry}
    if not isinstance(entry, dict) or "options" in entry:
        return entry
    kind = entry.get("kind")
    own = {key: value for key, value in entry.items() if key not in ("kind", "name")}
    return {"kind": kind, "name": entry.get("name", kind), "options": own}


def _chain(entry: Any) -> Any:
    """`[anchor, calibrated]`, or `{parts: [anchor], only: [als]}`; one name is a chain too."""
    if isinstance(entry, dict) and "parts" in entry:
        parts = entry["parts"]
        return {**entry, "parts": [_spec(p) for p in parts] if isinstance(parts, list) else parts}
    return {"parts": [_spec(part) for part in (entry if isinstance(entry, list) else [entry])]}


def _with_options(study: Study) -> Study:
    """The study with all parts' defaults written out, so that a record of it is complete."""
    if study.log is not None and any(spec.kind == ORACLE for spec in study.recommenders):
        raise ConfigError(
            "recommenders: the oracle knows worlds only; of a log nobody has the truth"
        )
    specs = tuple(
        spec.model_copy(update={"options": make_recommender(spec).model_dump(mode="json")})
        for spec in study.recommenders
    )
    chains = tuple(
        chain.model_copy(update={"parts": tuple(_with_its_options(part) for part in chain.parts)})
        for chain in study.mitigations
    )
    for spec in specs:
        for chain in study.chains_for(spec.name):
            make_recommender(spec, chain)
    return study.model_copy(update={"recommenders": specs, "mitigations": chains})


def _with_its_options(spec: MitigationSpec) -> MitigationSpec:
    return spec.model_copy(update={"options": make_mitigation(spec).model_dump(mode="json")})


def _explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """All that is wrong, a line each: path, what is wrong, what is known or expected."""
    lines = []
    problems = error.errors()
    inside = {problem["loc"][:-1] for problem in problems} | {p["loc"][:-2] for p in problems}
    for problem in problems:
        if problem["type"] == "too_short" and problem["loc"] in inside:
            continue  # what is in it is wrong, not how much
        loc = [part for part in problem["loc"] if part not in ("[key]", "condition", "rule")]
        path = ".".join(str(part) for part in loc)
        if problem["type"] == "extra_forbidden":
            owner = _model_at(model, loc[:-1])
            hint = nearest(str(loc[-1]), _keys(owner)) if owner else "unknown"
            lines.append(f"{path}: unknown key; {hint}")
        elif problem["type"] == "missing":
            lines.append(f"{path}: is missing; it has no default")
        elif problem["type"] == "value_error":
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{path}: {message}" if path else message)
        else:
            message = problem["msg"][0].lower() + problem["msg"][1:]
            lines.append(f"{path}: {message}, but it is {problem['input']!r}")
    return lines


def _keys(model: type[BaseModel]) -> list[str]:
    """What may stand in a file: a study's variants are resolved before it is a study."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [*names, "variants"] if model is Study else names


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel] | None:
    """The model that a path into a config leads to."""
    for part in loc:
        if isinstance(part, int):
            continue
        if part not in model.model_fields:
            return None
        found = _models_in(model.model_fields[part].annotation)
        if not found:
            return None
        model = found[0]
    return model


def _models_in(annotation: Any) -> list[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
