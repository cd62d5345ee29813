"""The configuration reference of the documents' site, made from the models that read the configs.

Keys, types, bounds, defaults and what they mean are those of `recsys.config`, of `RECOMMENDERS` and
of `MITIGATIONS`, so that the page cannot say anything else than the programs do.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from recsys.config import Study, Training
from recsys.config.presets import INFLUXES, PLATFORMS
from recsys.mitigations import MITIGATIONS
from recsys.recommenders import RECOMMENDERS

_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_PLAIN = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "mapping",
    "array": "list",
}
_OPENING = """# Configuration reference

This page has every key of a config file, and is made from the models that read it. A study has the
keys of [Study](#study), a training run or a search those of [Training](#training); the others are
parts of these. Nested keys are changed on the command line with dots: `world.influx.newcomers=150`.
Where there is no default, the key must be given. Letters in brackets grade assumptions: A is
measured on real data, B is reported, C is assumed."""


def configuration() -> str:
    """The page, in Markdown.

    >>> "### als" in configuration() and "| `seeds` |" in configuration()
    True
    """
    study, training = Study.model_json_schema(), Training.model_json_schema()
    parts = {**study.pop("$defs"), **training.pop("$defs")}
    lines = [_OPENING, "## Study", *_model(study, parts), "## Training", *_model(training, parts)]
    lines += ["## Parts"]
    for name in _in_order([study, training], parts):
        lines += [f"### {name}", *_model(parts[name], parts)]
    lines += [
        "## Presets",
        f"`world.platform` takes the name of a platform: {_listed(PLATFORMS)}.",
        f"`world.influx` takes the name of an influx: {_listed(INFLUXES)}. Fields beside `kind` "
        "are taken instead of the preset's: `{kind: rednote_2025, newcomers: 80}`.",
        "## Recommenders",
        "Options stand beside `kind`: `{kind: als, factors: 32}`; a name alone takes all defaults.",
        *_kinds(RECOMMENDERS),
        "## Mitigations",
        "Options stand beside `kind`: `{kind: cap, share: 0.1}`; a name alone takes all defaults.",
        *_kinds(MITIGATIONS),
        *_parts_of(RECOMMENDERS, MITIGATIONS),
    ]
    return "\n\n".join(lines) + "\n"


def _kinds(registry: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    """A section for each entry of a registry."""
    for name, kind in registry.items():
        yield f"### {name}"
        yield _prose(inspect.getdoc(kind) or "")
        schema = kind.model_json_schema()
        if schema.get("properties"):
            yield _table(schema, schema.get("$defs", {}))
        else:
            yield "It has no options."


def _parts_of(*registries: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    """A section for each mapping that an option of an entry takes."""
    parts: dict[str, Any] = {}
    for registry in registries:
        for kind in registry.values():
            parts |= kind.model_json_schema().get("$defs", {})
    if parts:
        yield "## Parts of options"
    for name, schema in sorted(parts.items()):
        yield f"### {name}"
        yield from _model(schema, parts)


def _model(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """What a model is for, and a table of its fields."""
    if schema.get("description"):
        yield _prose(schema["description"])
    if schema.get("properties"):
        yield _table(schema, parts)


def _table(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in schema["properties"].items():
        default = "" if key in needed else _default(field)
        meaning = field.get("description") or _of_part(field, parts)
        cells = (f"`{key}`", _type(field), default, _text(meaning))
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows)


def _of_part(field: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """The first sentence of the part that a field holds, or a list of which it holds."""
    named = re.search(r"#/\$defs/(\w+)", json.dumps(field))
    told = parts.get(named[1], {}).get("description", "") if named else ""
    return told.split("\n\n")[0]


def _type(field: Mapping[str, Any]) -> str:
    """The type of a field in words, with its bounds."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return "any value" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "enum" in field:
        return _listed(field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(dict.fromkeys(_type(each) for each in field[several]))
    kind = field.get("type")
    if kind == "array":
        each = field.get("prefixItems") or ([field["items"]] if field.get("items") else [])
        of = ", ".join(dict.fromkeys(_type(item) for item in each))
        return f"list of {of}" if of else "list"
    if kind == "object":
        values = field.get("additionalProperties")
        return f"mapping to {_type(values)}" if isinstance(values, dict) and values else "mapping"
    bounds = [f"{sign} {_number(field[b])}" for b, sign in _BOUNDS.items() if b in field]
    return " ".join([_PLAIN.get(kind, "any value"), ", ".join(bounds)]).strip().replace("<", "&lt;")


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    if isinstance(default, dict) and default and "$ref" in field:
        return "its defaults"
    text = json.dumps(default, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 80 else "see `recsys schema`"


def _number(value: float) -> str:
    return f"2^{value.bit_length() - 1}" if value in (2**62, 2**63) else f"{value:,}"


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _in_order(tops: list[dict[str, Any]], parts: Mapping[str, Any]) -> list[str]:
    """Names of parts in the order in which they are first referred to, depth first."""
    found: list[str] = []

    def visit(schema: Any) -> None:
        for name in re.findall(r"#/\$defs/(\w+)", json.dumps(schema)):
            if name not in found and parts[name].get("properties"):
                found.append(name)
                visit(parts[name])

    for top in tops:
        visit(top)
    return found


def _prose(docstring: str) -> str:
    """A docstring without its examples, as paragraphs."""
    before = docstring.split("\n>>> ")[0].split("\n\n>>> ")[0]
    before = re.split(r"\n\n(?:Args|Attributes|Raises|Returns):", before)[0]
    return "\n\n".join(_text(paragraph) for paragraph in before.strip().split("\n\n"))


def _text(text: str) -> str:
    """A text in one line, in which signs of HTML outside of code are escaped."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)
