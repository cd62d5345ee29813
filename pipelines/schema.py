"""The JSON schema of config files, for editors: `python -m pipelines.schema [study|training]`.

A file may say less than what it becomes: presets fill in values, and names stand for parts.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from recsys.config import Study, Training
from recsys.mitigations import MITIGATIONS
from recsys.recommenders import RECOMMENDERS

_MODELS: dict[str, type[BaseModel]] = {"study": Study, "training": Training}
_ELSEWHERE = {"type": "string", "pattern": r"^[\w.]+:\w+$", "description": "package.module:Class"}
_ANY = {"type": ["object", "string", "null"]}
_VARIANTS = {
    "type": "object",
    "description": "By name, what each changes of the rest: nested keys or a list of key=value.",
    "additionalProperties": {"type": ["object", "array", "null"]},
}


def schema(of: str = "study") -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a config file.

    Args:
        of: study or training.

    >>> schema()["properties"]["seeds"]["description"][:34]
    'How many times a world is run, eac'
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
        whole["required"] = ["name"]  # the rest may stand in variants
    return whole


def _spec(known: Mapping[str, type[BaseModel]], *more: str) -> dict[str, Any]:
    """A kind, or a mapping with its options beside it; options of kinds elsewhere are not known."""
    named = {"name": {"type": "string"}, "options": {"type": "object"}}
    own = [
        {
            **(model := kind.model_json_schema()),
            "required": ["kind"],
            "additionalProperties": False,
            "properties": {"kind": {"const": name}, **named, **model.get("properties", {})},
        }
        for name, kind in known.items()
    ]
    free = {"anyOf": [{"enum": list(more)}, _ELSEWHERE]}
    mapping = {"type": "object", "properties": {"kind": free}, "required": ["kind"]}
    return {"anyOf": [{"enum": [*known, *more]}, _ELSEWHERE, *own, mapping]}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the schema; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.schema", description="Print the JSON schema of config files."
    )
    parser.add_argument("of", nargs="?", choices=list(_MODELS), default="study")
    print(json.dumps(schema(parser.parse_args(argv).of), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
