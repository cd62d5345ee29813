"""Reads a config file and merges overrides into it: one study, or one for each variant.

A variant is a set of overrides with a name: `variants: {tiktok: {world: {platform: tiktok}}}`.
`recsys.config.text` reads; no environment variable is, so that a config means the same on every
machine. Only the names of variants are checked here; `recsys.study.load` checks the rest.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from recsys.config.presets import INFLUXES, PLATFORMS
from recsys.config.text import MOST_BYTES, leaves, merged, nested, parsed, plain
from recsys.core.errors import ConfigError, nearest

MOST_OVERRIDES = 1000
"""Most overrides of a config; each is read and merged by itself."""


def name_of(source: str | PathLike[str] | Mapping[str, Any]) -> str:
    """What messages call a source: its path, or "config" for a mapping."""
    return "config" if isinstance(source, Mapping) else str(source)


PRESETS = {"world.platform": PLATFORMS, "world.influx": INFLUXES}
"""Presets by the key whose value may be the name of one, as in `platform: tiktok`."""

_KEY = "variants"
"""Key of a file that holds the variants."""

_FIXED = ("name", "group", _KEY)
"""Keys that a variant cannot change."""

Content = dict[str, Any]
"""The content of a config file, nested as in YAML."""


def contents(
    source: str | PathLike[str] | Mapping[str, Any], overrides: Sequence[str], where: str
) -> dict[str | None, Content]:
    """The content of each study in a file, by the name of the variant; by None without variants.

    Args:
        source: path of a YAML file, such as "configs/demo.yaml", or its content as a mapping.
        overrides: texts such as "seeds=2". `variants=NAME` and `variants=[NAME,NAME]` choose among
            the variants; `variants.NAME.key=value` changes one variant; any other text changes all.
        where: what messages call the source, such as "configs/demo.yaml".

    Raises:
        ConfigError: the file cannot be read; there is no such variant; or an override for all
            variants changes a key that a variant sets, so that variants would no longer differ.

    >>> file = {"name": "both", "variants": {"few": {"seeds": 2}, "many": ["seeds=8"]}}
    >>> contents(file, ["workers=1"], "file")["many"]
    {'name': 'both-many', 'seeds': 8, 'workers': 1, 'group': 'both'}
    """
    base = _file(source, where)
    _check_size(overrides, where)
    made = [_dotted(text, where) for text in overrides]
    changes = [part for part in made if _KEY not in part]
    on_variants = [part[_KEY] for part in made if _KEY in part]
    if _KEY not in base:
        if on_variants:
            raise ConfigError(f"{where}: variants: the file has none to choose from")
        return {None: _merge(where, base, *changes)}
    variants = _variants(base.pop(_KEY), on_variants, where)
    own = {name: _merge(where, *parts) for name, parts in variants.items()}
    _check_not_overruled(own, changes, where)
    return {
        name: _named(_merge(where, base, *parts, *changes), name)
        for name, parts in variants.items()
    }


def _named(content: Content, variant: str) -> Content:
    """The content with the variant's own name: file "both", variant "few" make "both-few".

    A name that is no text is left as it is; `recsys.study.load` refuses it.
    """
    group = content.get("name")
    if not isinstance(group, str):
        return content
    return {**content, "name": f"{group}-{variant}", "group": group}


def _variants(entries: Any, overrides: Sequence[Any], where: str) -> dict[str, list[Content]]:
    """The chosen variants, each with a list of changes to make one after the other.

    Args:
        entries: what the file holds under `variants`.
        overrides: values of overrides of that key: a dict changes variants by name; a name or a
            list of names chooses among them.
        where: what messages call the source.
    """
    if not isinstance(entries, dict) or not entries:
        raise ConfigError(
            f"{where}: variants: must hold names, each with the keys that it changes, "
            f"but it is {entries!r}"
        )
    variants = {str(name): _parts(entry, str(name), where) for name, entry in entries.items()}
    chosen = list(variants)
    for value in overrides:
        if isinstance(value, dict):
            for name, entry in value.items():
                variant = _checked(str(name), variants, where)
                variants[variant].extend(_parts(entry, variant, where))
        else:
            names = value if isinstance(value, list) else [value] if value is not None else []
            chosen = [_checked(str(name), variants, where) for name in names]
    if not chosen:
        raise ConfigError(f"{where}: variants: none is chosen; known: {', '.join(variants)}")
    return {name: variants[name] for name in chosen}


def _parts(entry: Any, name: str, where: str) -> list[Content]:
    """The changes of a variant, given as nested keys, as a list of key=value, or as nothing."""
    here = f"{where}: variant {name}"
    parts = entry if isinstance(entry, list) else [{} if entry is None else entry]
    if isinstance(entry, list):
        parts = [_dotted(t, here) if isinstance(t, str) and "=" in t else None for t in entry]
    for part in parts:
        if not isinstance(part, dict):
            raise ConfigError(
                f"{here}: must hold the keys that it changes, or a list of key=value, "
                f"but it is {entry!r}"
            )
        for key in _FIXED:
            if key in part:
                raise ConfigError(
                    f"{here}: {key}: cannot be changed; the name of a study with variants is the "
                    "file's name and the variant's"
                )
    return parts


def _checked(name: str, variants: Iterable[str], where: str) -> str:
    """The name of a variant, if there is such a variant."""
    if name not in variants:
        raise ConfigError(f"{where}: variants: there is no {name!r}; {nearest(name, variants)}")
    return name


def _check_not_overruled(
    variants: Mapping[str, Content], changes: Sequence[Content], where: str
) -> None:
    """Raises if a change for all variants touches a key that some of them set themselves."""
    for path in (path for change in changes for path in leaves(change)):
        touched = {name: list(_within(path, leaves(content))) for name, content in variants.items()}
        setting = [name for name in touched if touched[name]]
        if setting:
            key = touched[setting[0]][0]
            raise ConfigError(
                f"{where}: override {path}: the variants {', '.join(setting)} set {key} "
                f"themselves; variants.{setting[0]}.{key}=… changes it in one, "
                f"variants=NAME or variants=[NAME,NAME] chooses among {', '.join(variants)}"
            )


def _within(path: str, leaves: Iterable[str]) -> Iterator[str]:
    """The dotted paths that a change at `path` would touch."""
    for leaf in leaves:
        if f"{leaf}.".startswith(f"{path}.") or f"{path}.".startswith(f"{leaf}."):
            yield leaf


def _file(source: str | PathLike[str] | Mapping[str, Any], where: str) -> Content:
    content = plain(source, where) if isinstance(source, Mapping) else _read(Path(source), where)
    return _merge(where, content)


def _read(path: Path, where: str) -> Content:
    """The content of a file."""
    try:
        if not path.is_file():
            raise ConfigError(f"{where}: there is no such file; configs/ holds ready-made ones")
        with path.open("rb") as file:
            data = file.read(4 * MOST_BYTES)  # of which no more than MOST_BYTES characters are read
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{where}: cannot be read as YAML: byte {error.start:,} is not of a text in UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise ConfigError(f"{where[:200]}: cannot be read: {said}") from error
    content = parsed(text, where)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: must hold keys and values, not a {type(content).__name__}")
    return content


def _check_size(overrides: Sequence[str], where: str) -> None:
    """Raises where overrides would take long to read."""
    size = sum(map(len, overrides))
    if len(overrides) > MOST_OVERRIDES or size > MOST_BYTES:
        raise ConfigError(
            f"{where}: {len(overrides):,} overrides of {size:,} characters are more than "
            f"{MOST_OVERRIDES:,} overrides or {MOST_BYTES:,} characters; write them into the file"
        )


def _dotted(text: str, where: str) -> Content:
    """`world.influx.newcomers=5` as nested keys."""
    keys, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"override {text!r} is not of the form key=value")
    return nested(keys.strip(), parsed(value, f"{where}: override {keys[:60]}"), where)


def _merge(where: str, *parts: Mapping[str, Any]) -> Content:
    """Merges contents key by key; later ones win.

    `platform: tiktok` counts as `platform: {kind: tiktok}`, so that later parts can add keys.
    """
    content: Content = {}
    for part in parts:
        try:
            content = merged(content, part)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        for key in (*PRESETS, "recommender"):
            content = _with_kind(content, key.split("."))
    return content


def _with_kind(content: Content, path: Sequence[str]) -> Content:
    """The content with `{kind: tiktok}` for a name such as `tiktok` at a path."""
    key, *below = path
    value = content.get(key)
    if below:
        return {**content, key: _with_kind(value, below)} if isinstance(value, dict) else content
    return {**content, key: {"kind": value}} if isinstance(value, str) else content
