"""Configs: frozen, strict pydantic models. Files are read by `recsys.load_study`."""

from recsys.config.base import Part
from recsys.config.presets import INFLUXES, PLATFORMS
from recsys.config.study import Evaluation, LogSource, RecommenderSpec, Study, Tracking
from recsys.config.training import Range, Training, Tuning
from recsys.config.world import Behaviour, Influx, Notes, Platform, Population, World

__all__ = [
    "INFLUXES",
    "PLATFORMS",
    "Behaviour",
    "Evaluation",
    "Influx",
    "LogSource",
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
