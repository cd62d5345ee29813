"""The text of a config as plain values: YAML in which what looks like a name stays a name.

YAML 1.1, as PyYAML reads it, takes `on` and `no` for true and false, `010` for 8, `1:30` for 90 and
`2025-01-12` for a date. Here, as in YAML 1.2, only `true` and `false` are truth values, whole
numbers are decimal, and all else is text. Keys are always text. A config is bounded, so that a file
which is none is refused before it takes time and memory.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import date
from enum import Enum
from numbers import Integral, Real
from os import PathLike
from typing import Any

from recsys.core.errors import ConfigError

MOST_BYTES = 256 * 1024
"""Largest text of a config. The largest that recsys writes has 30 kB; reading takes 10 s a MB."""
MOST_LEVELS = 32
"""Deepest nesting of a config; the deepest key of a study lies at level 7."""
MOST_VALUES = 50_000
"""Most values in a config, counting again what YAML's aliases repeat."""
MOST_DIGITS = 64
"""Longest number in a config; a number of 64 bits has at most 20 digits."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OF_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_PLAIN, _TEXT, _MERGE = "plain", "tag:yaml.org,2002:str", "<<"


def parsed(text: str, where: str) -> Any:
    """The values in a text of YAML.

    Args:
        text: such as "seeds: 2", or the part of an override behind its "=".
        where: what messages call the text, such as "configs/demo.yaml".

    Raises:
        ConfigError: the text is no YAML, or exceeds a bound of this module.

    >>> parsed("{name: on, first_seed: 010, half_life: 1e-3, date: 2025-01-12, zone: 1:30}", "text")
    {'name': 'on', 'first_seed': 10, 'half_life': 0.001, 'date': '2025-01-12', 'zone': '1:30'}
    """
    import yaml

    if len(text) > MOST_BYTES:
        raise ConfigError(
            f"{where}: holds {len(text):,} characters, and a config may hold {MOST_BYTES:,}; "
            "long tables belong into the files of a log"
        )

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(""))]}  # noqa: RUF012
        level = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.level += 1
            if self.level > MOST_LEVELS:
                raise _too_deep(where)
            node = super().compose_node(parent, index)
            self.level -= 1
            return node

    try:
        node = Loader(text).get_single_node()
        return None if node is None else _Values(where).of_node(node, 1)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{where}: cannot be read as YAML{place}: {said}") from error
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{where}: cannot be read as YAML: {said}") from error


def plain(source: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """A mapping as a config file would hold it: with text as keys, and plain values.

    Args:
        source: the content of a config, such as `{"name": "x", "seeds": 2}`. Tuples count as lists;
            dates, paths and members of an Enum as text.
        where: what messages call it.

    Raises:
        ConfigError: a value is of another type, or a bound of this module is exceeded.

    >>> plain({"days": (1, 2), "start": date(2025, 1, 12), 1: None}, "config")
    {'days': [1, 2], 'start': '2025-01-12', '1': None}
    """
    content: dict[str, Any] = _Values(where).of(source, 1)
    return content


class _Values:
    """Makes values plain, and counts them."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._count = 0

    def _counted(self, level: int) -> None:
        self._count += 1
        if level > MOST_LEVELS:
            raise _too_deep(self._where)
        if self._count > MOST_VALUES:
            raise ConfigError(
                f"{self._where}: holds more than {MOST_VALUES:,} values, and no study needs as "
                "many; long tables belong into the files of a log"
            )

    def of(self, value: Any, level: int) -> Any:
        """A value of Python as a plain one."""
        self._counted(level)
        if isinstance(value, Mapping):
            content: dict[str, Any] = {}
            for key, inner in value.items():
                if (name := self._key(key)) in content:
                    raise ConfigError(
                        f"{self._where}: the keys {key!r} and {name!r} are the same in a config"
                    )
                content[name] = self.of(inner, level + 1)
            return content
        if isinstance(value, list | tuple):
            return [self.of(inner, level + 1) for inner in value]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str | PathLike | date | Enum):
            return self._text(str(value.value if isinstance(value, Enum) else value))
        if isinstance(value, Integral):
            return self._whole(int(value))
        if isinstance(value, Real):
            return float(value)
        raise ConfigError(
            f"{self._where}: holds a {type(value).__name__}, and a config holds texts, numbers, "
            f"true, false, null, lists and mappings alone: {_short(repr(value))}"
        )

    def of_node(self, node: Any, level: int) -> Any:
        """A node of YAML as a plain value."""
        import yaml

        self._counted(level)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, level)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.of_node(inner, level + 1) for inner in node.value]
        if node.tag == _TEXT:
            return self._text(node.value)
        if node.tag != _PLAIN:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._misplaced(node, f"the tag {tag!r} is not read; leave it out")
        return self._scalar(node.value)

    def _mapping(self, node: Any, level: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag not in (_PLAIN, _TEXT):
                raise self._misplaced(key_node, "a key must be text")
            key = self._text(key_node.value)
            value = self.of_node(value_node, level + 1)
            if key == _MERGE and key_node.tag == _PLAIN:
                for part in reversed(value if isinstance(value, list) else [value]):
                    if not isinstance(part, dict):
                        raise self._misplaced(value_node, "<<: takes a mapping, or a list of some")
                    merged.update(part)
            elif key in own:
                raise self._misplaced(key_node, f"the key {_short(key)!r} stands there twice")
            else:
                own[key] = value
        return {**merged, **own}

    def _scalar(self, text: str) -> Any:
        """A text without quotes: a number, a truth value, null, or a name."""
        if text in _WORDS:
            return _WORDS[text]
        is_whole, is_of_base = _INTEGER.fullmatch(text), _OF_BASE.fullmatch(text)
        if not (is_whole or is_of_base or _REAL.fullmatch(text)):
            return self._text(text)
        if len(text) > MOST_DIGITS:
            raise self._too_long(len(text))
        if is_whole:
            return int(text, 10)
        return int(text, 0) if is_of_base else float(text)

    def _key(self, key: Any) -> str:
        if isinstance(key, str | Integral):
            return self._text(str(key))
        raise ConfigError(
            f"{self._where}: a key must be text, but one is a {type(key).__name__}: "
            f"{_short(repr(key))}"
        )

    def _whole(self, value: int) -> int:
        if abs(value) >= 10**MOST_DIGITS:
            raise self._too_long(value.bit_length() * 3 // 10)
        return value

    def _text(self, text: str) -> str:
        """A text, if it can be written to a file and name one."""
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ConfigError(
                f"{self._where}: {_short(ascii(text))} holds a character that no text has (NUL, or "
                "half of a pair); write it in UTF-8"
            )
        return text

    def _too_long(self, digits: int) -> ConfigError:
        return ConfigError(
            f"{self._where}: holds a number of {digits:,} digits, and no field takes more than 20; "
            "put it in quotes if it is a name"
        )

    def _misplaced(self, node: Any, problem: str) -> ConfigError:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        place = f"in line {line}, column {column}"
        return ConfigError(f"{self._where}: cannot be read as YAML {place}: {problem}")


def nested(keys: str, value: Any, where: str) -> dict[str, Any]:
    r"""A value below dotted keys; a backslash takes a dot as part of a key.

    Args:
        keys: such as "world.influx.newcomers".
        value: the value of the last of them.
        where: what messages call the config.

    Raises:
        ConfigError: more keys than a config has levels, or an empty one.

    >>> nested(r"log.columns.item\.id", "video", "config")
    {'log': {'columns': {'item.id': 'video'}}}
    """
    path = [key.replace("\\.", ".") for key in re.split(r"(?<!\\)\.", keys)]
    if len(path) > MOST_LEVELS:
        raise _too_deep(where)
    if not all(path):
        raise ConfigError(f"{where}: override {_short(keys)!r}: a key between the dots is empty")
    for key in reversed(path):
        value = {key: value}
    content: dict[str, Any] = value
    return content


def merged(base: Mapping[str, Any], change: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Two contents key by key; where both have a value that is no mapping, the change's is taken.

    Args:
        base, change: plain contents.
        path: the dotted keys above them, each with its dot, for messages.

    Raises:
        ConfigError: a list meets a mapping.

    >>> merged({"world": {"incumbents": 5, "ticks": 1}}, {"world": {"ticks": 2}, "seeds": 1})
    {'world': {'incumbents': 5, 'ticks': 2}, 'seeds': 1}
    """
    content = dict(base)
    for key, value in change.items():
        before = content.get(key)
        if {type(before), type(value)} == {dict, list}:
            whole = next(leaves({key: value}, path), f"{path}{key}")
            raise ConfigError(
                f"{whole}: does not fit the value in the file; a list is replaced as a whole, "
                "such as recommenders=[trending,{kind: als, factors: 3}]"
            )
        if isinstance(before, dict) and isinstance(value, dict):
            value = merged(before, value, f"{path}{key}.")
        content[key] = value
    return content


def leaves(content: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Dotted paths of all values, such as "world.influx.newcomers"; a list counts as one value."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def _too_deep(where: str) -> ConfigError:
    return ConfigError(
        f"{where}: is nested more than {MOST_LEVELS} levels deep, and no study has more than 7"
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
