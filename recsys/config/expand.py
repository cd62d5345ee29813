"""Writes out the short forms of a config: `als` becomes `{kind: als, name: als, options: {}}`."""

from collections.abc import Mapping
from typing import Any

from recsys.config.overrides import PRESETS
from recsys.config.presets import PLATFORMS
from recsys.config.world import Population
from recsys.core.errors import ConfigError, nearest


def expand(raw: dict[str, Any]) -> dict[str, Any]:
    """The content of a config with presets filled in and short forms written out."""
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
        raw["recommenders"] = [spec_of(entry) for entry in raw["recommenders"]]
    if isinstance(raw.get("mitigations"), list):
        raw["mitigations"] = [_chain(entry) for entry in raw["mitigations"]]
    return raw


def _whole_cohorts(population: dict[str, Any]) -> dict[str, Any]:
    """Fills in the fields of a cohort that a config leaves out with that cohort's own defaults."""
    default = Population()
    defaults = {"incumbents": default.incumbents, "newcomers": default.newcomers}
    return {
        name: {**defaults[name].model_dump(mode="json"), **value}
        if name in defaults and isinstance(value, dict)
        else value
        for name, value in population.items()
    }


def _preset(entry: Any, presets: Mapping[str, Mapping[str, Any]], where: str) -> Any:
    """Fills a preset's values into `rednote`, or `{kind: rednote, half_life_days: 1}`."""
    if isinstance(entry, str):
        entry = {"kind": entry}
    if not isinstance(entry, dict):
        return entry
    kind = str(entry.get("kind", "custom"))
    if kind not in presets and kind != "custom":
        raise ConfigError(f"{where}: no kind {kind!r}; {nearest(kind, presets)}")
    return {**presets.get(kind, {}), **entry}


def _migration(world: dict[str, Any]) -> dict[str, Any]:
    """Turns `influx: {from: tiktok, to: rednote}` into `influx.origin` and `platform`."""
    influx = dict(world["influx"])
    origin = influx.pop("from", None)
    if origin is not None and "origin" not in influx:
        influx["origin"] = _preset(origin, PLATFORMS, "world.influx.from")
    if "to" in influx:
        destination = _preset(influx.pop("to"), PLATFORMS, "world.influx.to")
        platform = world.setdefault("platform", destination)
        to, at = _kind_of(destination), _kind_of(platform)
        if to != at:
            raise ConfigError(
                f"world.influx.to: {to!r} is not world.platform, {at!r}; leave one of them out"
            )
    return {**world, "influx": influx}


def _kind_of(platform: Any) -> Any:
    return platform.get("kind", "rednote") if isinstance(platform, dict) else platform


def spec_of(entry: Any) -> Any:
    """A recommender or mitigation: `als`, or `{kind: als, factors: 32}`, with its options apart."""
    if isinstance(entry, str):
        entry = {"kind": entry}
    if not isinstance(entry, dict) or "options" in entry:
        return entry
    kind = entry.get("kind")
    options = {key: value for key, value in entry.items() if key not in ("kind", "name")}
    return {"kind": kind, "name": entry.get("name", kind), "options": options}


def _chain(entry: Any) -> Any:
    """A chain of mitigations: `cap`, `[anchor, cap]`, or `{parts: [anchor], only: [als]}`."""
    if isinstance(entry, dict) and "parts" in entry:
        parts = entry["parts"]
        return {**entry, "parts": [spec_of(p) for p in parts] if isinstance(parts, list) else parts}
    return {"parts": [spec_of(part) for part in (entry if isinstance(entry, list) else [entry])]}
