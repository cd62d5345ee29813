"""Configs: frozen, strict pydantic models. Files are read by `recsys.load_study`."""

from recsys.config.base import Part
from recsys.config.presets import INFLUXES, PLATFORMS
from recsys.config.study import (
    Chain,
    Evaluation,
    LogSource,
    MitigationSpec,
    RecommenderSpec,
    Study,
    Tracking,
)
from recsys.config.training import Range, Training, Tuning
from recsys.config.world import Behaviour, Influx, Notes, Platform, Population, World

__all__ = [
    "INFLUXES",
    "PLATFORMS",
    "Behaviour",
    "Chain",
    "Evaluation",
    "Influx",
    "LogSource",
    "MitigationSpec",
    "Notes",
    "Part",
    "Platform",
    "Population",
    "Range",
    "RecommenderSpec",
    "Study",
    "Tracking",
    "Training",
    "Tuning",
    "World",
]
