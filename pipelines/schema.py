"""The JSON schema of config files, for editors: `recsys schema [study|training]`.

A config file may leave out what presets and defaults fill in, and may give a name for a part.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from pipelines.program import way_in
from recsys.config import Study, Training
from recsys.mitigations import MITIGATIONS
from recsys.recommenders import RECOMMENDERS

_MODELS: dict[str, type[BaseModel]] = {"study": Study, "training": Training}
_ELSEWHERE = {"type": "string", "pattern": r"^[\w.]+:\w+$", "description": "package.module:Class"}
_ANY = {"type": ["object", "string", "null"]}
_VARIANTS = {
    "type": "object",
    "description": "What each variant changes, by its name: nested keys or a list of key=value.",
    "additionalProperties": {"type": ["object", "array", "null"]},
}


def schema(of: str = "study") -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a config file.

    Args:
        of: the kind of config, `study` or `training`.

    >>> schema()["required"], schema()["properties"]["seeds"]["type"]
    (['name'], 'integer')
    """
    whole = _MODELS[of].model_json_schema()
    parts = whole["$defs"]
    for name in ("Platform", "Influx", "Cohort"):  # presets and defaults fill in the rest
        parts[name].pop("required", None)
    parts["Influx"]["properties"] |= {"from": _ANY, "to": _ANY}
    for name in ("Platform", "Influx"):
        parts[name] = {"anyOf": [{"type": "string"}, parts[name]]}
    parts["RecommenderSpec"] = _spec(RECOMMENDERS, "oracle")
    if of == "study":
        parts["MitigationSpec"] = part = _spec(MITIGATIONS)
        parts["Chain"] = {"anyOf": [parts["Chain"], {"type": "array", "items": part}, part]}
        whole["properties"]["variants"] = _VARIANTS
        whole["required"] = ["name"]  # variants may hold the other keys
    return whole


def _spec(registry: Mapping[str, type[BaseModel]], *more: str) -> dict[str, Any]:
    """The schema of a kind, or of a mapping with the kind and its options.

    The options of a class from elsewhere, `package.module:Class`, are not checked.
    """
    named = {"name": {"type": "string"}, "options": {"type": "object"}}
    kinds = [
        {
            **(model := _unnested(kind.model_json_schema())),
            "required": ["kind"],
            "additionalProperties": False,
            "properties": {"kind": {"const": name}, **named, **model.get("properties", {})},
        }
        for name, kind in registry.items()
    ]
    free = {"anyOf": [{"enum": list(more)}, _ELSEWHERE]}
    mapping = {"type": "object", "properties": {"kind": free}, "required": ["kind"]}
    return {"anyOf": [{"enum": [*registry, *more]}, _ELSEWHERE, *kinds, mapping]}


def _unnested(model: dict[str, Any]) -> dict[str, Any]:
    """A schema with the schemas that it refers to in their places, for use within another one."""
    parts = model.pop("$defs", {})

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            rest = {key: one for key, one in value.items() if key != "$ref"}
            return {**filled(parts[value["$ref"].removeprefix("#/$defs/")]), **rest}
        return {key: filled(one) for key, one in value.items()}

    found: dict[str, Any] = filled(model)
    return found


main = way_in("schema")


def execute(of: str) -> int:
    """Prints the schema of a `study` or a `training`; returns the exit code."""
    print(json.dumps(schema(of), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
