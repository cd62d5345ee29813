"""Configs: frozen, strict pydantic models. Files are read by `recsys.load_study`."""

from recsys.config.base import Part
from recsys.config.engine import Engine
from recsys.config.presets import INFLUXES, PLATFORMS
from recsys.config.study import (
    AUTO,
    Chain,
    Evaluation,
    FirstSeen,
    MitigationSpec,
    Newcomers,
    OwnLog,
    RecommenderSpec,
    Study,
    Tracking,
)
from recsys.config.training import Range, Rolling, Testing, Training, Tuning
from recsys.config.world import Behaviour, Influx, Platform, Population, Posts, World

__all__ = [
    "AUTO",
    "INFLUXES",
    "PLATFORMS",
    "Behaviour",
    "Chain",
    "Engine",
    "Evaluation",
    "FirstSeen",
    "Influx",
    "MitigationSpec",
    "Newcomers",
    "OwnLog",
    "Part",
    "Platform",
    "Population",
    "Posts",
    "Range",
    "RecommenderSpec",
    "Rolling",
    "Study",
    "Testing",
    "Tracking",
    "Training",
    "Tuning",
    "World",
]
