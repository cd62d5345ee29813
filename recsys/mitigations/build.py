"""Makes recommenders and mitigations from the specs of a config."""

import json
from collections.abc import Mapping
from importlib import import_module
from inspect import isabstract
from typing import TypeVar

from pydantic import ValidationError

from recsys.config import Chain, MitigationSpec, Part, RecommenderSpec
from recsys.config.explain import explain
from recsys.core.errors import ConfigError, nearest
from recsys.mitigations import MITIGATIONS, Mitigation, WarmStart, mitigated
from recsys.mitigations.base import Place
from recsys.recommenders import RECOMMENDERS, Recommender

ORACLE = "oracle"
"""Kind of a study's upper bound; it is no recommender, since it knows what none can know."""

P = TypeVar("P", bound=Part)


def make_recommender(
    spec: RecommenderSpec, chain: Chain | None = None, *, anew: bool = False
) -> Recommender:
    """The recommender that a spec names, under the mitigations of a chain, with options checked.

    Args:
        spec: `kind` is a key of `RECOMMENDERS`, or `package.module:Class` for one of your own.
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
    if spec.kind == ORACLE:
        raise ConfigError("recommenders: the oracle knows worlds, and learns nothing from a log")
    plain = made(_class(spec.kind, RECOMMENDERS, Recommender), spec)  # type: ignore[type-abstract]
    if chain is None or not chain.parts:
        return plain
    try:
        parts = [make_mitigation(part) for part in chain.parts]
        goes_on = any(part.place in (Place.START, Place.FACTORS) for part in parts)
        cold = [WarmStart(enabled=False)] if anew and plain.warm_starts and not goes_on else []
        return mitigated(plain, [*cold, *parts])
    except ConfigError as error:
        raise refused(spec, chain, error) from error


def refused(spec: RecommenderSpec, chain: Chain, why: object) -> ConfigError:
    """The error of a chain that cannot act on a recommender, with what to do.

    Args:
        spec, chain: which recommender and which mitigations, from a config.
        why: such as "the oracle is the upper bound and takes no mitigation".
    """
    hint = "; {parts: [...], only: [...]} tries a chain on some recommenders"
    return ConfigError(f"mitigations: {spec.name} + {chain.name}: {why}{hint}")


def make_mitigation(spec: MitigationSpec) -> Mitigation:
    """The mitigation that a spec names, with its options checked; see `make_recommender`.

    >>> make_mitigation(MitigationSpec(kind="cap", name="cap", options={"share": 0.1})).share
    0.1
    """
    return made(_class(spec.kind, MITIGATIONS, Mitigation), spec)  # type: ignore[type-abstract]


def made(kind: type[P], spec: RecommenderSpec | MitigationSpec) -> P:
    """A part with the options of a spec, checked.

    Args:
        kind: the class of the part, such as `Trending`.
        spec: its name and options, from a config.

    Raises:
        ConfigError: options that the class does not take.
    """
    try:
        return kind.model_validate_json(json.dumps(dict(spec.options)))
    except ValidationError as error:
        what = "mitigation" if isinstance(spec, MitigationSpec) else "recommender"
        lines = (f"{what} {spec.name}: {line}" for line in explain(error, kind))
        raise ConfigError("\n".join(lines)) from error


def _class(kind: str, registry: Mapping[str, type[P]], base: type[P]) -> type[P]:
    """The class of a kind: a key of `registry`, or `package.module:Class`."""
    where = f"{base.__name__.lower()}s"
    if ":" not in kind:
        if kind not in registry:
            raise ConfigError(f"{where}: no kind {kind!r}; {nearest(kind, registry)}")
        return registry[kind]
    module, _, name = kind.partition(":")
    try:
        loaded = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(f"{where}: cannot load {kind!r}: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, base)) or isabstract(loaded):
        own = "a fit of its own" if base is Recommender else "a place of its own"
        raise ConfigError(f"{where}: {kind!r} is no subclass of recsys.{base.__name__} with {own}")
    return loaded
