"""Makes recommenders and mitigations from the specs of a config."""

import json
from collections.abc import Iterable, Mapping
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
"""Kind of the oracle in a config. It is not in `RECOMMENDERS`, since it knows the world."""

P = TypeVar("P", bound=Part)


def make_recommender(
    spec: RecommenderSpec, chain: Chain | None = None, *, anew: bool = False
) -> Recommender:
    """Makes the recommender that a config names, with its mitigations around it.

    Args:
        spec: the recommender; `kind` is a key of `RECOMMENDERS` such as "als", or
            `package.module:Class` for a class of your own.
        chain: the mitigations; None for none.
        anew: True for an open loop, in which every fit starts anew, even if it is given an earlier
            model. The exception are mitigations that go on from the earlier model's parameters.

    Raises:
        ConfigError: there is no such kind, it does not take these options, or a mitigation cannot
            act on it.

    >>> from recsys.config import RecommenderSpec
    >>> make_recommender(RecommenderSpec(kind="als", name="als", options={"factors": 8})).factors
    8
    """
    if spec.kind == ORACLE:
        raise ConfigError(
            "recommenders: the oracle knows worlds, and learns nothing from a log; take it out here"
        )
    plain = made(_class(spec.kind, RECOMMENDERS, Recommender), spec)  # type: ignore[type-abstract]
    if chain is None or not chain.parts:
        return plain
    try:
        parts = [make_mitigation(part) for part in chain.parts]
        has_start = any(part.place in (Place.START, Place.FACTORS) for part in parts)
        cold = [WarmStart(enabled=False)] if anew and plain.warm_starts and not has_start else []
        return mitigated(plain, [*cold, *parts])
    except ConfigError as error:
        raise refused(spec, chain, error) from error


def refused(spec: RecommenderSpec, chain: Chain, why: object) -> ConfigError:
    """The error for mitigations that cannot act on a recommender; it says what to do.

    Args:
        spec: the recommender.
        chain: the mitigations.
        why: the reason, such as "the oracle is the upper bound and takes no mitigation".
    """
    hint = "; {parts: [...], only: [...]} tries a chain on some recommenders"
    return ConfigError(f"mitigations: {spec.name} + {chain.name}: {why}{hint}")


def make_mitigation(spec: MitigationSpec) -> Mitigation:
    """Makes the mitigation that a config names.

    Args:
        spec: `kind` is a key of `MITIGATIONS`, or `package.module:Class` for a class of your own.

    Raises:
        ConfigError: there is no such kind, or it does not take these options.

    >>> make_mitigation(MitigationSpec(kind="cap", name="cap", options={"share": 0.1})).share
    0.1
    """
    return made(_class(spec.kind, MITIGATIONS, Mitigation), spec)  # type: ignore[type-abstract]


def made(kind: type[P], spec: RecommenderSpec | MitigationSpec) -> P:
    """Makes an instance of a class with the options of a config.

    Args:
        kind: the class, such as `Trending`.
        spec: name and options.

    Raises:
        ConfigError: the class does not take these options.
    """
    try:
        return kind.model_validate_json(json.dumps(dict(spec.options)))
    except ValidationError as error:
        what = "mitigation" if isinstance(spec, MitigationSpec) else "recommender"
        lines = (f"{what} {spec.name}: {line}" for line in explain(error, kind))
        raise ConfigError("\n".join(lines)) from error


def check_trusted(specs: Iterable[RecommenderSpec | MitigationSpec], *, trust: bool) -> None:
    """Refuses classes from elsewhere before their modules are imported, which runs code.

    Args:
        specs: recommenders and mitigations of a config.
        trust: whether the config may name classes from elsewhere.

    Raises:
        ConfigError: a kind is `package.module:Class`, and the config is not trusted.
    """
    for spec in specs:
        if ":" in spec.kind and not trust:
            module = spec.kind.partition(":")[0]
            raise ConfigError(
                f"{_where(spec)}: kind {spec.kind!r} runs the code of the module {module}; if you "
                "trust this config and that module, give --trust-config (in Python: trust=True)"
            )


def _where(spec: RecommenderSpec | MitigationSpec) -> str:
    return "mitigations" if isinstance(spec, MitigationSpec) else "recommenders"


def _class(kind: str, registry: Mapping[str, type[P]], base: type[P]) -> type[P]:
    """The class of a kind, which is a key of the registry or `package.module:Class`."""
    where = f"{base.__name__.lower()}s"
    if ":" not in kind:
        if kind not in registry:
            raise ConfigError(
                f"{where}: no kind {kind!r}; {nearest(kind, registry)}; module:Class loads one of "
                "yours, whose code then runs"
            )
        return registry[kind]
    module, _, name = kind.partition(":")
    try:
        home = import_module(module)
    except (Exception, SystemExit) as error:  # whatever the code of the module raises
        said = str(error) or type(error).__name__
        raise ConfigError(f"{where}: cannot load {kind!r}: {said}") from error
    loaded = getattr(home, name, None)
    if loaded is None:
        classes = [key for key, value in vars(home).items() if _fits(value, base)]
        hint = (
            nearest(name, classes) if classes else f"it has no subclass of recsys.{base.__name__}"
        )
        raise ConfigError(
            f"{where}: cannot load {kind!r}: module {module!r} has no attribute {name!r}; {hint}"
        )
    if not _fits(loaded, base):
        own = "a fit of its own" if base is Recommender else "a place of its own"
        raise ConfigError(f"{where}: {kind!r} is no subclass of recsys.{base.__name__} with {own}")
    return loaded  # type: ignore[no-any-return]


def _fits(value: object, base: type[P]) -> bool:
    return isinstance(value, type) and issubclass(value, base) and not isabstract(value)
