"""Turns pydantic's errors into plain messages: the path of a key, and what is wrong with it."""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from recsys.config.base import Part
from recsys.config.study import Study
from recsys.core.errors import nearest

_UNSAID = ("[key]", "[number]", "[auto]", "condition", "rule")
"""Parts of a path that pydantic adds, and that are no keys."""
_MOST_LINES, _MOST_SHOWN = 20, 200
"""Most mistakes that are told at once, and most characters of a value."""


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each mistake: the path of the key, what is wrong, and what is expected.

    Args:
        error: what pydantic raised.
        model: the model that the config was to fit, such as `Study`.
    """
    lines = []
    problems = error.errors()
    inside = {problem["loc"][:-1] for problem in problems} | {p["loc"][:-2] for p in problems}
    for problem in problems[:_MOST_LINES]:
        if problem["type"] == "too_short" and problem["loc"] in inside:
            continue  # an entry was refused and is reported itself; the length only follows from it
        loc = [part for part in problem["loc"] if part not in _UNSAID]
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
            lines.append(f"{path}: {message}, but it is {_shown(problem['input'])}{_hint(problem)}")
    if len(problems) > _MOST_LINES:
        lines.append(f"and {len(problems) - _MOST_LINES:,} more mistakes")
    return lines


def _shown(value: Any) -> str:
    """A value in a message; a long one is cut."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def _hint(problem: ErrorDetails) -> str:
    """What to do where YAML may have read a value otherwise than its author did."""
    value = problem["input"]
    if problem["type"] == "string_type" and isinstance(value, bool | int | float):
        return "; put it in quotes if it is a name"
    if problem["type"] == "bool_type" and isinstance(value, str):
        return "; write true or false"
    return ""


def _keys(model: type[BaseModel]) -> list[str]:
    """Keys that a file may hold. `variants` is no field of a study: they are resolved before."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [*names, "variants"] if model is Study else names


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel] | None:
    """The model that a path into a config leads to."""
    for part in loc:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if part not in fields:
            return None
        models = _models_in(fields[part].annotation)
        if not models:
            return None
        model = models[0]
    return model


def _models_in(annotation: Any) -> list[type[Part]]:
    """The config models that occur in a type, such as `World` in `World | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
