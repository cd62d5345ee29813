"""What a config file says once overrides are merged in: one study, or one for each variant.

A variant is a set of overrides with a name: `variants: {tiktok: {world: {platform: tiktok}}}`.
OmegaConf reads files safely and merges; interpolation stays off, so a config says the same on
every machine. Only variants' names are checked here, `recsys.study.load` checks the rest.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from recsys.config import (
    INFLUXES,
    PLATFORMS,
)
from recsys.core.errors import ConfigError, nearest


def _name_of(source: str | PathLike[str] | Mapping[str, Any]) -> str:
    return "config" if isinstance(source, Mapping) else str(source)


PRESETS = {"world.platform": PLATFORMS, "world.influx": INFLUXES}
"""Keys whose value may be the name of a preset alone."""


_KEY = "variants"


_NAMES = ("name", "group", _KEY)


Content = dict[str, Any]


def contents(
    source: str | PathLike[str] | Mapping[str, Any], overrides: Sequence[str], where: str
) -> dict[str | None, Content]:
    """The content of each study in a file: by variant, or one under None.

    Args:
        source: path of a YAML file, or its content as a mapping.
        overrides: `key=value`. `variants=NAME` and `variants=[NAME,NAME]` choose among the
            variants, `variants.NAME.key=value` changes one; any other changes all of them.
        where: what errors call the source.

    Raises:
        ConfigError: what cannot be read, a variant that is not there, or an override for all of
            what a variant sets itself: they would no longer differ in it.

    >>> file = {"name": "both", "variants": {"few": {"seeds": 2}, "many": ["seeds=8"]}}
    >>> contents(file, ["workers=1"], "file")["many"]
    {'name': 'both-many', 'seeds': 8, 'workers': 1, 'group': 'both'}
    """
    base = _file(source, where)
    wrong = [text for text in overrides if "=" not in text]
    if wrong:
        raise ConfigError(f"override {wrong[0]!r} is not of the form key=value")
    parsed = [_dotted(text, where) for text in overrides]
    changes = [part for part in parsed if _KEY not in part]
    ours = [part[_KEY] for part in parsed if _KEY in part]
    if _KEY not in base:
        if ours:
            raise ConfigError(f"{where}: variants: the file has none to choose from")
        return {None: _merge(where, base, *changes)}
    variants = _variants(base.pop(_KEY), ours, where)
    own = {name: _merge(where, *parts) for name, parts in variants.items()}
    _check_not_overruled(own, changes, where)
    return {
        name: _named(_merge(where, base, *parts, *changes), name)
        for name, parts in variants.items()
    }


def _named(content: Content, variant: str) -> Content:
    """With a name of its own; a name that is no text is left for the check to find."""
    group = content.get("name")
    if not isinstance(group, str):
        return content
    return {**content, "name": f"{group}-{variant}", "group": group}


def _variants(entries: Any, ours: Sequence[Any], where: str) -> dict[str, list[Content]]:
    """The variants that are chosen, each with what it changes, part by part.

    Args:
        entries: the file's.
        ours: values of overrides: changes by name, or else names that are chosen.
        where: what errors call the source.
    """
    if not isinstance(entries, dict) or not entries:
        raise ConfigError(
            f"{where}: variants: must be names, each with the keys that it changes, "
            f"but it is {entries!r}"
        )
    variants = {str(name): _parts(entry, str(name), where) for name, entry in entries.items()}
    chosen = list(variants)
    for value in ours:
        if isinstance(value, dict):
            for name, entry in value.items():
                known = _known(str(name), variants, where)
                variants[known].extend(_parts(entry, known, where))
        else:
            names = value if isinstance(value, list) else [value] if value is not None else []
            chosen = [_known(str(name), variants, where) for name in names]
    if not chosen:
        raise ConfigError(f"{where}: variants: none is chosen; known: {', '.join(variants)}")
    return {name: variants[name] for name in chosen}


def _parts(entry: Any, name: str, where: str) -> list[Content]:
    """What a variant changes: nested keys, or a list of key=value; nothing at all is allowed."""
    here = f"{where}: variant {name}"
    parts = entry if isinstance(entry, list) else [{} if entry is None else entry]
    if isinstance(entry, list):
        parts = [_dotted(t, here) if isinstance(t, str) and "=" in t else None for t in entry]
    for part in parts:
        if not isinstance(part, dict):
            raise ConfigError(
                f"{here}: must be the keys that it changes, or a list of key=value, "
                f"but it is {entry!r}"
            )
        for key in _NAMES:
            if key in part:
                raise ConfigError(
                    f"{here}: {key}: cannot be changed; a variant is called after the file's name "
                    "and its own"
                )
    return parts


def _known(name: str, variants: Iterable[str], where: str) -> str:
    if name not in variants:
        raise ConfigError(f"{where}: variants: there is no {name!r}; {nearest(name, variants)}")
    return name


def _check_not_overruled(
    variants: Mapping[str, Content], changes: Sequence[Content], where: str
) -> None:
    """Raises if a change for all is of what variants set themselves, wholly or in part."""
    for path in (path for change in changes for path in _leaves(change)):
        own = {name: list(_within(path, _leaves(content))) for name, content in variants.items()}
        theirs = [name for name in own if own[name]]
        if theirs:
            first = own[theirs[0]][0]
            raise ConfigError(
                f"{where}: override {path}: {first} is what the variants {', '.join(theirs)} set "
                f"themselves; variants.{theirs[0]}.{first}=… changes it in one, "
                f"variants=NAME or variants=[NAME,NAME] chooses among {', '.join(variants)}"
            )


def _within(path: str, leaves: Iterable[str]) -> Iterator[str]:
    """Those that a change at `path` would touch."""
    for leaf in leaves:
        if f"{leaf}.".startswith(f"{path}.") or f"{path}.".startswith(f"{leaf}."):
            yield leaf


def _leaves(content: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Dotted paths of all values; a list is one."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def _file(source: str | PathLike[str] | Mapping[str, Any], where: str) -> Content:
    from omegaconf import OmegaConf

    if isinstance(source, Mapping):
        return _merge(where, source)
    if not Path(source).is_file():
        raise ConfigError(
            f"{where}: there is no such file; configs/ holds the ones that come along"
        )
    with _readable(where):
        content: Any = OmegaConf.to_container(OmegaConf.load(Path(source)), resolve=False)
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: must hold keys and values, not a {type(content).__name__}")
    return _merge(where, content)


def _dotted(text: str, where: str) -> Content:
    """`world.influx.newcomers=5` as nested keys."""
    from omegaconf import OmegaConf

    with _readable(where):
        parsed: Any = OmegaConf.to_container(OmegaConf.from_dotlist([text]), resolve=False)
    return {str(key): value for key, value in parsed.items()}


def _merge(where: str, *parts: Mapping[str, Any]) -> Content:
    """Key by key, later ones win; what is named by a text alone counts as its `kind`."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    with _readable(where):
        merged: Any = OmegaConf.create({})
        for part in parts:
            try:
                merged = OmegaConf.merge(merged, dict(part))
            except (OmegaConfBaseException, TypeError) as error:
                raise ConfigError(
                    f"{where}: {_path(part)}: does not fit what stands there; a list is replaced "
                    "whole, such as recommenders=[trending,{kind: als, factors: 3}]"
                ) from error
            for key in (*PRESETS, "recommender"):
                named = OmegaConf.select(merged, key)
                if isinstance(named, str):
                    OmegaConf.update(merged, key, {"kind": named})
        content: Any = OmegaConf.to_container(merged, resolve=False)
    return {str(key): value for key, value in content.items()}


def _path(part: Mapping[str, Any]) -> str:
    """The keys down to where a part branches: of an override, what it changes."""
    path, inner = [], part
    while isinstance(inner, Mapping) and len(inner) == 1:
        ((key, inner),) = inner.items()
        path.append(str(key))
    return ".".join(path) or ", ".join(map(str, part))


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Turns what YAML and OmegaConf raise into a message."""
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        yield
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError, OSError) as error:
        raise ConfigError(f"{where}: cannot be read as YAML: {error}") from error
