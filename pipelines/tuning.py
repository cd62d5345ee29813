"""A search for hyper-parameters with Optuna, which keeps its trials and continues if stopped.

The suggestion for a trial depends only on the config's seed, on the number of the trial and on the
values of the trials in rounds before it; a round has `tune.at_once` trials. So a resumed search
makes the same trials as one that never stopped. A setting that cannot be trained or judged counts
as a failed trial, and the search goes on.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.storage.digests import tuning_digest
from pipelines.storage.files import explained, whole, written_in
from pipelines.storage.locks import locked
from pipelines.storage.results import TUNINGS, config_text
from pipelines.trial import Trial
from recsys.config import Range, Training
from recsys.core.errors import ConfigError
from recsys.core.jobs import Engine, run_all
from recsys.core.noise import integer_seed

if TYPE_CHECKING:
    import optuna


Figures = Mapping[str, float]

_HOPELESS = 10
"""Trials after which a search ends if none has worked."""
_WHY = "error"
"""Attribute of a trial with the reason why it failed; one that was cut off has none."""


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
        judge: Callable[[Trial], Figures | str],
        progress: Callable[[int, int, str], None],
        engine: Engine,
    ) -> None:
        """Runs the trials that are not done yet, `tune.at_once` at a time.

        Args:
            judge: such as a `Bench`.
            progress: is called with the trials done, the trials in all, and the last trial as text.
            engine: what runs trials.
        """
        import optuna

        study = self._study()
        while (done := len(self._ended(study))) < self.tune.trials:
            self._check_hope(study)
            begun = self._begun(self._ended(study))
            trials = [
                Trial(done + place, trial.params, self._spec(trial.params))
                for place, trial in enumerate(begun)
            ]
            outcomes = run_all(trials, judge, engine)
            for shown, trial, outcome in zip(trials, begun, outcomes, strict=True):
                if isinstance(outcome, str):
                    ended: dict[str, Any] = {
                        "state": optuna.trial.TrialState.FAIL,
                        "user_attrs": {_WHY: outcome},
                    }
                    said = f"failed ({outcome})"
                else:
                    value = outcome[self.tune.metric]
                    ended = {"value": value, "user_attrs": {"figures": dict(outcome)}}
                    said = f"{value:.4f}"
                study.add_trial(
                    optuna.trial.create_trial(
                        params=trial.params, distributions=trial.distributions, **ended
                    )
                )
                progress(shown.number + 1, self.tune.trials, f"{shown.name}: {said}")

    def _begun(self, ended: Sequence["optuna.trial.FrozenTrial"]) -> list["optuna.Trial"]:
        """The next trials: those of a round that are not done, suggested from earlier rounds."""
        import optuna

        size = self.tune.at_once
        first = len(ended) // size * size
        before = optuna.create_study(direction="maximize")
        before.add_trials(ended[:first])
        if not first:
            before.enqueue_trial(self._configured())
        begun = []
        for number in range(first, min(first + size, self.tune.trials)):
            before.sampler = _sampler(integer_seed(self.training.seed, number))
            trial = before.ask()
            for name, choices in self.tune.space.items():
                _suggested(trial, name, choices)
            begun.append(trial)
        return begun[len(ended) - first :]

    def _configured(self) -> dict[str, Any]:
        """The config's own options, as far as the space holds them."""
        options = {name: self.training.recommender.option(name) for name in self.tune.space}
        space = self.tune.space.items()
        return {name: options[name] for name, choices in space if _holds(choices, options[name])}

    @property
    def trials(self) -> pl.DataFrame:
        """A row for each trial, in order, with columns trial · options of the space · figures.

        If a trial failed, its figures are null, and the column `failed` says why.
        """
        ended = self._ended(self._study())[: self.tune.trials]
        failed = any(_WHY in trial.user_attrs for trial in ended)
        names = list(dict.fromkeys(n for t in ended for n in t.user_attrs.get("figures", {})))
        rows = []
        for number, trial in enumerate(ended):
            figures = trial.user_attrs.get("figures", {})
            row = {"trial": number, **{name: trial.params[name] for name in self.tune.space}}
            row |= {name: figures.get(name) for name in names}
            rows.append({**row, "failed": trial.user_attrs.get(_WHY)} if failed else row)
        return pl.DataFrame(rows, infer_schema_length=None)

    @property
    def done(self) -> int:
        """The number of trials that worked or failed; one that was cut off does not count."""
        return len(self._ended(self._study()))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lets in one program at a time.

        Raises:
            ConfigError: if another program is at this search.
        """
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.folder / ".lock", 0):
                yield
        except TimeoutError as error:
            raise ConfigError(
                f"{self.training.name}: another program is at this search ({self.folder}); wait "
                "until it is done, and the same command shows what it found"
            ) from error

    def best(self) -> Training:
        """The training config with the best options; the first of several equal trials."""
        row = best_first(self.trials, self.tune.metric).row(0, named=True)
        spec = self._spec({name: row[name] for name in self.tune.space})
        return self.training.model_copy(update={"recommender": spec, "tune": None})

    def save(self) -> None:
        """Writes trials.csv, and best.yaml: the training config with the best options."""
        self._check_hope(self._study(), 1)
        best = self.best()
        with written_in(self.folder):
            with whole(self.folder / "trials.csv") as part:
                self.trials.write_csv(part)
            with whole(self.folder / "best.yaml") as part:
                text = config_text(best, self.folder, "train")
                part.write_text(text.replace("/config.yaml", "/best.yaml", 1), encoding="utf-8")

    def _spec(self, options: Mapping[str, Any]) -> Any:
        return self.training.recommender.with_options(options)

    def _study(self) -> "optuna.Study":
        """The search so far; a trial that was cut off counts as failed."""
        import optuna
        from optuna.storages import JournalStorage

        from pipelines.storage.journal import Journal

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        journal = Journal(self.folder / "journal.log")
        if journal.dropped:
            print(
                f"{self.folder}/journal.log was cut off or damaged: its last {journal.dropped} "
                "lines are set aside, and the search goes on from before them.",
                file=sys.stderr,
            )
        storage = JournalStorage(journal)
        study = optuna.create_study(
            storage=storage, study_name="search", direction="maximize", load_if_exists=True
        )
        for trial in study.get_trials(deepcopy=False):
            if trial.state == optuna.trial.TrialState.RUNNING:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return study

    def _ended(self, study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
        """The trials that worked or failed, but not those that were cut off."""
        trials = study.get_trials(deepcopy=False)
        return [t for t in trials if _WHY in t.user_attrs or t.state.name == "COMPLETE"]

    def _check_hope(self, study: "optuna.Study", least: int = _HOPELESS) -> None:
        """Raises if so many trials have failed and none has worked."""
        ended = self._ended(study)
        if len(ended) >= least and all(_WHY in trial.user_attrs for trial in ended):
            raise ConfigError(
                f"{self.training.name}: all {len(ended)} trials failed; narrow tune.space (the "
                f"last one: {ended[-1].user_attrs[_WHY]})"
            )


def best_first(trials: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Trials sorted by a metric, the first of equal ones first and those that failed last."""
    return trials.sort(metric, descending=True, nulls_last=True, maintain_order=True)


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
