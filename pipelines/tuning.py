"""A search for hyper-parameters with Optuna, which keeps its trials and continues if stopped.

The suggestion for a trial depends only on the config's seed, on the number of the trial and on the
values of the trials before it. So a resumed search makes the same trials as one that never stopped.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.storage.digests import tuning_digest
from pipelines.storage.files import explained, whole
from pipelines.storage.results import TUNINGS, config_text
from recsys.config import Range, Training
from recsys.core.errors import ConfigError
from recsys.core.noise import integer_seed
from recsys.mitigations.build import make_recommender
from recsys.recommenders import Recommender

if TYPE_CHECKING:
    import optuna


Figures = Mapping[str, float]


class Search:
    """A search and its trials on disk.

    Args:
        training: a training config whose `tune` has the space, the metric and the number of trials.
        root: the folder of all searches.

    Raises:
        ConfigError: if the config has no `tune`.
    """

    def __init__(self, training: Training, root: Path = TUNINGS) -> None:
        if training.tune is None:
            raise ConfigError(
                f"{training.name}: tune: is missing; name what to search, such as "
                "tune: {space: {factors: [32, 64]}}"
            )
        self.training, self.tune = training, training.tune
        self.folder = root / f"{training.name}-{tuning_digest(training)[:12]}"

    def run(
        self,
        evaluate: Callable[[Recommender], Figures],
        progress: Callable[[int, int, str], None],
    ) -> None:
        """Runs the trials that are not done yet.

        Args:
            evaluate: gives figures of a recommender on the validation part, by name: metrics, and
                the seconds `fit_s`.
            progress: is called with the trials done, the trials in all, and the last trial as text.
        """
        study = self._study()
        while (done := len(self._complete(study))) < self.tune.trials:
            study.sampler = _sampler(integer_seed(self.training.seed, done))
            trial = study.ask()
            options = {name: _suggested(trial, name, c) for name, c in self.tune.space.items()}
            figures = evaluate(make_recommender(self._spec(options)))
            trial.set_user_attr("figures", dict(figures))
            study.tell(trial, figures[self.tune.metric])
            trial_name = ", ".join(f"{name}={_short(value)}" for name, value in options.items())
            progress(done + 1, self.tune.trials, f"{trial_name}: {figures[self.tune.metric]:.4f}")

    @property
    def trials(self) -> pl.DataFrame:
        """A row for each trial, in order, with columns trial · options of the space · figures."""
        rows = [
            {"trial": number, **trial.params, **trial.user_attrs["figures"]}
            for number, trial in enumerate(self._complete(self._study())[: self.tune.trials])
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    @property
    def done(self) -> int:
        """The number of finished trials."""
        return len(self._complete(self._study()))

    def best(self) -> Training:
        """The training config with the best options; the first of several equal trials."""
        trials = self.trials.sort(self.tune.metric, descending=True, maintain_order=True)
        row = trials.row(0, named=True)
        spec = self._spec({name: row[name] for name in self.tune.space})
        return self.training.model_copy(update={"recommender": spec, "tune": None})

    def save(self) -> None:
        """Writes trials.csv, and best.yaml: the training config with the best options."""
        best = self.best()
        with explained(self.folder):
            with whole(self.folder / "trials.csv") as part:
                self.trials.write_csv(part)
            with whole(self.folder / "best.yaml") as part:
                text = config_text(best, self.folder, "train")
                part.write_text(text.replace("/config.yaml", "/best.yaml", 1), encoding="utf-8")

    def _spec(self, options: Mapping[str, Any]) -> Any:
        spec = self.training.recommender
        return spec.model_copy(update={"options": {**spec.options, **options}})

    def _study(self) -> "optuna.Study":
        """The search so far; a trial that was cut off counts as failed."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            storage = JournalStorage(JournalFileBackend(str(self.folder / "journal.log")))
        study = optuna.create_study(
            storage=storage, study_name="search", direction="maximize", load_if_exists=True
        )
        for trial in study.get_trials(deepcopy=False):
            if trial.state == optuna.trial.TrialState.RUNNING:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
        if not self._complete(study) and not waiting:
            configured = {
                name: self.training.recommender.options[name]
                for name, choices in self.tune.space.items()
                if _holds(choices, self.training.recommender.options[name])
            }
            study.enqueue_trial(configured)
        return study

    def _complete(self, study: "optuna.Study") -> list[Any]:
        import optuna

        return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _sampler(seed: int) -> "optuna.samplers.BaseSampler":
    """Tree-structured Parzen estimators (Bergstra et al. 2011), after ten random trials."""
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed % 2**32, constant_liar=False)


def _suggested(trial: "optuna.Trial", name: str, choices: Any) -> Any:
    if not isinstance(choices, Range):
        return trial.suggest_categorical(name, list(choices))
    if choices.whole:
        return trial.suggest_int(name, int(choices.low), int(choices.high), log=choices.log)
    return trial.suggest_float(name, choices.low, choices.high, log=choices.log)


def _holds(choices: Any, value: Any) -> bool:
    if isinstance(choices, Range):
        return isinstance(value, int | float) and choices.low <= value <= choices.high
    return value in choices


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
