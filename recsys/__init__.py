"""recsys: how much do the feeds of those who were there drift when newcomers arrive, and why.

The public names load on first use, so that `import recsys` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys import drift
    from recsys.config import Study, Training
    from recsys.drift import MEASURES
    from recsys.errors import ConfigError, LogError, ModelError, UserError
    from recsys.load import load_studies, load_study, load_training
    from recsys.log import InteractionLog
    from recsys.mitigations import MITIGATIONS, Mitigation
    from recsys.recommenders import RECOMMENDERS, Model, Recommender
    from recsys.served import FeedComparison, compare_feeds
    from recsys.store import load_model, save_model
    from recsys.study import StudyResult, run
    from recsys.training import TrainingResult, train
    from recsys.world.simulate import simulate

__version__ = "0.1.0"

__all__ = [
    "MEASURES",
    "MITIGATIONS",
    "RECOMMENDERS",
    "ConfigError",
    "FeedComparison",
    "InteractionLog",
    "LogError",
    "Mitigation",
    "Model",
    "ModelError",
    "Recommender",
    "Study",
    "StudyResult",
    "Training",
    "TrainingResult",
    "UserError",
    "compare_feeds",
    "drift",
    "load_model",
    "load_studies",
    "load_study",
    "load_training",
    "run",
    "save_model",
    "simulate",
    "train",
]

_HOME = {
    "MEASURES": "recsys.drift",
    "MITIGATIONS": "recsys.mitigations",
    "RECOMMENDERS": "recsys.recommenders",
    "ConfigError": "recsys.errors",
    "FeedComparison": "recsys.served",
    "InteractionLog": "recsys.log",
    "LogError": "recsys.errors",
    "Mitigation": "recsys.mitigations",
    "Model": "recsys.recommenders",
    "ModelError": "recsys.errors",
    "Recommender": "recsys.recommenders",
    "Study": "recsys.config",
    "StudyResult": "recsys.study",
    "Training": "recsys.config",
    "TrainingResult": "recsys.training",
    "UserError": "recsys.errors",
    "compare_feeds": "recsys.served",
    "load_model": "recsys.store",
    "load_studies": "recsys.load",
    "load_study": "recsys.load",
    "load_training": "recsys.load",
    "run": "recsys.study",
    "save_model": "recsys.store",
    "simulate": "recsys.world.simulate",
    "train": "recsys.training",
}


def __getattr__(name: str) -> Any:
    if name == "drift":
        return import_module("recsys.drift")
    if name not in _HOME:
        raise AttributeError(f"module 'recsys' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
