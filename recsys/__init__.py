"""recsys measures how far the feeds of long-time users drift when newcomers arrive, and why.

The public names load on first use, so that `import recsys` stays quick.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.core.compiled import keep_compiled_code

if TYPE_CHECKING:
    from recsys import measures
    from recsys.config import Study, Training
    from recsys.core.errors import ConfigError, LogError, ModelError, UserError
    from recsys.logs import InteractionLog
    from recsys.measures import MEASURES
    from recsys.mitigations import MITIGATIONS, Mitigation
    from recsys.recommenders import RECOMMENDERS, Model, Recommender
    from recsys.recommenders.store import load_model, save_model
    from recsys.served import FeedComparison, compare_feeds
    from recsys.study import StudyResult, load_studies, load_study, run
    from recsys.study.verdicts.verdict import verdict
    from recsys.training import TrainingResult, load_training, train
    from recsys.world.simulate import simulate

__version__ = "0.1.0"

keep_compiled_code(Path(__file__).parent)

_HOME = {
    "MEASURES": "recsys.measures",
    "MITIGATIONS": "recsys.mitigations",
    "RECOMMENDERS": "recsys.recommenders",
    "ConfigError": "recsys.core.errors",
    "FeedComparison": "recsys.served",
    "InteractionLog": "recsys.logs",
    "LogError": "recsys.core.errors",
    "Mitigation": "recsys.mitigations",
    "Model": "recsys.recommenders",
    "ModelError": "recsys.core.errors",
    "Recommender": "recsys.recommenders",
    "Study": "recsys.config",
    "StudyResult": "recsys.study",
    "Training": "recsys.config",
    "TrainingResult": "recsys.training",
    "UserError": "recsys.core.errors",
    "compare_feeds": "recsys.served",
    "load_model": "recsys.recommenders.store",
    "load_studies": "recsys.study",
    "load_study": "recsys.study",
    "load_training": "recsys.training",
    "measures": "recsys.measures",
    "run": "recsys.study",
    "save_model": "recsys.recommenders.store",
    "simulate": "recsys.world.simulate",
    "train": "recsys.training",
    "verdict": "recsys.study.verdicts.verdict",
}
"""For each public name, the module that holds it; for a name that is itself a module, that module.
The imports above repeat this for type checkers. A test checks that the two are equal."""

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recsys' has no attribute {name!r}")
    home = import_module(_HOME[name])
    return home if home.__name__ == f"recsys.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
