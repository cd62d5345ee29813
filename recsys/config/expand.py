"""Short forms of a config are written out: `als` becomes `{kind: als, name: als, options: {}}`."""

from collections.abc import Mapping
from typing import Any

from recsys.config import (
    PLATFORMS,
    Population,
)
from recsys.config.overrides import PRESETS
from recsys.core.errors import ConfigError, nearest


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
