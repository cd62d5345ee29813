"""A trial of a search for hyper-parameters, and the bench on which trials are judged."""

import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.storage.digests import tuning_digest
from pipelines.storage.files import StorageError
from recsys.config import RecommenderSpec, Training
from recsys.core.errors import EngineError, UserError
from recsys.core.lazy import lazy
from recsys.logs.holdout import Split
from recsys.mitigations.build import make_recommender
from recsys.training.evaluate import Truth, evaluate, truth_of
from recsys.training.train import source_of, split_for_tuning

_FAILURES = (UserError, ArithmeticError, ValueError, MemoryError)
"""What a setting can end in that does not suit the log: factors that diverge, no memory …"""


@dataclass(frozen=True)
class Trial:
    """A setting that is tried.

    Attributes:
        number: of the trial in its search, from 0.
        options: what the search has suggested, by name.
        recommender: the recommender with these options.
    """

    number: int
    options: Mapping[str, Any]
    recommender: RecommenderSpec

    @property
    def name(self) -> str:
        """Name for people, such as "factors=32, alpha=1.5"."""
        shown = (
            (name, f"{v:.4g}" if isinstance(v, float) else v) for name, v in self.options.items()
        )
        return ", ".join(f"{name}={value}" for name, value in shown)

    @property
    def identity(self) -> str:
        """JSON of the number and the options."""
        return json.dumps([self.number, dict(self.options)], sort_keys=True)


@dataclass(frozen=True)
class Bench:
    """Judges settings on the validation part of a log, which is read or simulated once.

    Sent to another process, it is the config alone: a thread there makes one `Bench` for all trials
    of a search that come to it.

    Attributes:
        training: the config of the search.
    """

    training: Training

    def __reduce__(self) -> tuple[Callable[..., "Bench"], tuple[Training, str]]:
        return _in_this_thread, (self.training, tuning_digest(self.training))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that trials report: those of the config, and that of the search."""
        return tuple(dict.fromkeys((*self.training.metrics, self.metric)))

    @property
    def metric(self) -> str:
        """Name of the metric that the search maximises."""
        assert self.training.tune is not None
        return self.training.tune.metric

    @lazy
    def parts(self) -> tuple[Split, Truth | None]:
        """The parts of the log, and what a world knows."""
        log, simulation = source_of(self.training)
        split = split_for_tuning(self.training, log)
        return split, truth_of(self.training, simulation, split)

    def __call__(self, trial: Trial) -> dict[str, float] | str:
        """The figures of a setting, metrics and the seconds `fit_s`; or why it failed."""
        split, truth = self.parts
        judged_by = self.training.model_copy(update={"metrics": self.metrics})
        try:
            result = evaluate(judged_by, make_recommender(trial.recommender), split, truth)
            figures = {name: result.figure(name) for name in self.metrics}
            if not math.isfinite(figures[self.metric]):
                raise ValueError(f"{self.metric} is {figures[self.metric]}")
        except (EngineError, StorageError):
            raise
        except _FAILURES as error:
            return f"{error}".partition("\n")[0] or type(error).__name__
        return {**figures, "fit_s": result.timings.row(0, named=True)["fit_s"]}


_here = threading.local()
"""The bench of a thread of a cluster's process, and the config and files it was made for."""


def _in_this_thread(training: Training, digest: str) -> Bench:
    """The bench of this thread for a search that was sent here.

    Raises:
        EngineError: a file here is not that of the machine which sent the search.
    """
    sent = training.model_copy(update={"workers": 1})
    if tuning_digest(sent) != digest:
        raise EngineError(
            "engine: the log, or a class from elsewhere, is another file on a worker than on this "
            "machine; put the same files there under the same paths"
        )
    if getattr(_here, "made_for", None) != (sent, digest):
        _here.made_for, _here.bench = (sent, digest), Bench(sent)
    bench: Bench = _here.bench
    return bench
