"""What MLflow is told of each kind of result, as a `Record`: values in, values out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.storage.digests import world_digest
from pipelines.storage.files import is_leftover
from pipelines.storage.models import MODEL
from pipelines.storage.provenance import git_tags, version_tags
from pipelines.storage.results import written_tables
from pipelines.tracking import figures, records, short
from pipelines.tracking.names import as_params
from pipelines.tracking.record import RECORD, SEED, Data, Record, Run, Value, finite
from recsys.config import Study, Training, World
from recsys.served.compare import FeedComparison
from recsys.study.result import StudyResult
from recsys.study.verdicts.verdict import verdict
from recsys.training.evaluate import TrainingResult

PAGES = ("report.html",)
"""Pages of a study, which become artifacts beside its config and tables if they exist."""
_PROGRAMS = {
    "comparison": "recsys compare",
    "evaluation": "recsys evaluate",
    "study": "recsys run",
    "training": "recsys train",
    "tuning": "recsys tune",
    "validation": "recsys validate",
    "proof": "recsys prove",
}
"""The command that makes runs of a role."""
_LONGEST_NOTE = 7000
_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6a3d9a", "#8c564b",
    "#4d4d4d", "#b2182b", "#7f9f00", "#17becf",
)  # fmt: skip
"""Colours of a study's recommenders in MLflow's charts, which would give some the same one. The
first six are those of Okabe and Ito, which people who see few colours can tell apart."""


def begun(study: Study | Training, role: str) -> Record:
    """The record of a program that has only begun: its run, without figures.

    Args:
        study: what it works on.
        role: the role of the run: `study`, `training`, `tuning`, `validation` or `proof`.
    """
    tags = {"world_digest": world_digest(study)[:32], "study": study.name}
    params = records.study_params(study)
    if isinstance(study, Training):
        tags |= {"recommender": study.recommender.name}
        params |= {"recommender": study.recommender.name, "mitigation": "none"}
    elif study.group is not None:
        tags |= {"group": study.group, "variant": str(study.variant)}
    run = Run(study.name, role, params=params)
    return _begun(study.tracking.experiment, run, tags)


def begun_as(name: str, role: str, experiment: str, digest: str) -> Record:
    """As `begun`, for a run that is not about a study.

    Args:
        name: its name.
        role: `evaluation` or `comparison`.
        experiment: the experiment of the run.
        digest: a hash of the data.
    """
    tags = {"world_digest": digest[:32], "study": name}
    return _begun(experiment, Run(name, role), tags)


def study_record(result: StudyResult, folder: Path) -> Record:
    """The runs of a study: a parent, and one for each recommender; with all detail, of each seed.

    Args:
        result: the finished study.
        folder: the folder of its files.
    """
    start, data = begun(result.study, "study"), _data_of(result.study)
    pages = [name for name in PAGES if (folder / name).exists()]
    variants = records.variants(result)
    values, least = short.study_values(result, variants)
    run = Run(
        result.study.name,
        "study",
        values,
        start.run.params,
        {
            **records.study_tags(result),
            **_note((*verdict(result).sentences, *result.notes)),
            "drifts_least": _name_of(*least),
            **short.left_out(result, *least),
        },
        data,
        tuple(
            _recommender(result, data, place, *variant) for place, variant in enumerate(variants)
        ),
        more=records.study_values(result) if _is_full(result.study) else (),
    )
    view = "world" if isinstance(result.study.source, World) else "log"
    return _ended(start, run, ("config.yaml", *artifacts_of(result), *pages), view=view)


def training_record(result: TrainingResult, folder: Path) -> Record:
    """The run of a training, and its model.

    Args:
        result: the finished training run.
        folder: the folder of its files, which all become artifacts.
    """
    training, spec = result.training, result.training.recommender
    start = begun(training, "training")
    run = Run(
        training.name,
        "training",
        short.training_values(result),
        start.run.params,
        _note(result.notes),
        _data_of(training, "training"),
        more=figures.training_values(result) if _is_full(training) else (),
        timings=figures.timings(result),
    )
    model = {"name": training.name, "kind": spec.kind, "options": spec.model_dump()["options"]}
    stored = (folder / MODEL).is_dir()
    return _ended(start, run, _files(folder), model if stored else None, view="training")


def tuning_record(training: Training, trials: pl.DataFrame) -> Record:
    """The run of a search, and below it a run for each trial.

    Args:
        training: the training config that was tuned.
        trials: the trials, as in `pipelines.tuning.Search.trials`.
    """
    assert training.tune is not None
    metric, options = training.tune.metric, list(training.tune.space)
    start = begun(training, "tuning")

    def trial(row: dict[str, Any]) -> Run:
        other = ("trial", "failed", *options)
        values = {name: value for name, value in row.items() if name not in other}
        name = f"{training.recommender.name} trial {row['trial']}"
        params = as_params({option: row[option] for option in options})
        return Run(
            name,
            "trial",
            short.trial_values(values),
            params,
            failed=row.get("failed") or "",
            timings=finite([Value("fit_s", values.get("fit_s"))]),
        )

    best = trials.sort(metric, descending=True, nulls_last=True, maintain_order=True)
    run = Run(
        training.name,
        "tuning",
        finite((Value(metric, best[metric][0]), Value("n_trials", trials.height))),
        {**start.run.params, **as_params({"best": {name: best[name][0] for name in options}})},
        data=_data_of(training, "training"),
        children=tuple(trial(row) for row in trials.iter_rows(named=True)),
    )
    return _ended(start, run, ("trials.csv", "best.yaml"))


def verdicts_record(study: Study, role: str, verdicts: pl.DataFrame, folder: Path) -> Record:
    """The run of a validation or a proof.

    Args:
        study: the study whose world was validated, or was the world of a proof.
        role: `validation` or `proof`.
        verdicts: the verdicts on each figure.
        folder: the folder of its files, which all become artifacts.
    """
    start = begun(study, role)
    run = Run(
        study.name,
        role,
        short.verdict_values(verdicts),
        start.run.params,
        data=_data_of(study),
        more=figures.verdict_values(verdicts) if _is_full(study) else (),
    )
    return _ended(start, run, _files(folder))


def feeds_record(
    result: FeedComparison, config: Mapping[str, Any], experiment: str, digest: str, folder: Path
) -> Record:
    """The run of a comparison of served feeds.

    Args:
        result: the result of `recsys.compare_feeds`.
        config: its files and arguments, by name.
        experiment: the experiment of the run.
        digest: the result of `files_digest`.
        folder: the folder of its files, which all become artifacts.
    """
    name, source = str(config["name"]), {"uri": str(Path(config["b"]).absolute())}
    run = Run(
        name,
        "evaluation",
        short.served_values(result),
        as_params(config),
        _note(result.notes),
        Data(f"{name} feeds", digest[:16], "local", source),
    )
    return _ended(begun_as(name, "evaluation", experiment, digest), run, _files(folder))


def comparison_record(
    start: Record,
    table: pl.DataFrame,
    sentences: Sequence[str],
    studies: tuple[Path, Path],
    folder: Path,
) -> Record:
    """The run of a comparison of two studies.

    Args:
        start: the result of `begun_as`.
        table: the result of `recsys.study.compare.compare_studies`.
        sentences: what is said of it.
        studies: the folders of the studies.
        folder: the folder of its files, which all become artifacts.
    """
    params = as_params({"first": str(studies[0]), "second": str(studies[1])})
    values = short.compared_values(table)
    run = Run(start.run.name, start.run.role, values, params, _note(sentences))
    return _ended(start, run, _files(folder))


def artifacts_of(result: StudyResult) -> list[str]:
    """The files of a study's tables that become artifacts: .csv if there is one, else .parquet.

    Args:
        result: the finished study.
    """
    uploaded = [table for table in written_tables(result) if table.uploaded]
    return [f"{table.name}.{'csv' if 'csv' in table.files else 'parquet'}" for table in uploaded]


def _begun(experiment: str, run: Run, tags: Mapping[str, str]) -> Record:
    program = {"mlflow.source.name": _PROGRAMS[run.role]}
    return Record(experiment, run, tags={**git_tags(), **version_tags(), **tags, **program})


def _ended(
    start: Record,
    run: Run,
    artifacts: tuple[str, ...],
    model: dict[str, Any] | None = None,
    view: str = "",
) -> Record:
    return Record(start.experiment, run, artifacts, start.tags, model, view)


def _is_full(config: Study | Training) -> bool:
    return config.tracking.detail == "full"


def _name_of(recommender: str, mitigation: str) -> str:
    return recommender if mitigation == "none" else f"{recommender} + {mitigation}"


def _recommender(
    result: StudyResult, data: Data, place: int, recommender: str, mitigation: str
) -> Run:
    spec = next(spec for spec in result.study.recommenders if spec.name == recommender)
    chains = result.study.chains_for(recommender)
    chain = next(chain for chain in chains if chain.name == mitigation)
    name = _name_of(recommender, mitigation)
    chosen = (pl.col("recommender") == recommender) & (pl.col("mitigation") == mitigation)
    is_full = _is_full(result.study)
    has_seeds = is_full and isinstance(result.study.source, World)
    return Run(
        name,
        "recommender",
        short.recommender_values(result, recommender, mitigation),
        records.child_params(spec, chain),
        {
            "mlflow.runColor": _COLOURS[place % len(_COLOURS)],
            **short.left_out(result, recommender, mitigation),
        },
        data=data,
        children=tuple(_seeds(result.per_user.filter(chosen), name)) if has_seeds else (),
        more=records.child_values(result, recommender, mitigation) if is_full else (),
    )


def _seeds(rows: pl.DataFrame, name: str) -> Iterator[Run]:
    for (seed,), group in rows.group_by("seed", maintain_order=True):
        yield Run(f"{name} seed {seed}", SEED, records.seed_values(group), {"seed": str(seed)})


def _data_of(study: Study | Training, purpose: str = "evaluation") -> Data:
    """The world or log of a run by our own digest."""
    source: dict[str, Any]
    if isinstance(study.source, World):
        word, kind, source = "world", "code", {"tags": {"mlflow.source.name": "recsys.simulate"}}
    else:
        word, kind, source = "log", "local", {"uri": str(Path(study.source.events).absolute())}
    return Data(f"{study.name} {word}", world_digest(study)[:16], kind, source, purpose)


def _files(folder: Path) -> tuple[str, ...]:
    """Names of the files of a result; not those that somebody is writing at this moment."""
    found = (path for path in folder.iterdir() if path.is_file() and not is_leftover(path))
    return tuple(sorted(path.name for path in found if path.name != RECORD))


def _note(notes: Sequence[str]) -> dict[str, str]:
    """The notes of a result, as the text above a run; MLflow takes no longer one."""
    text = "\n\n".join(notes)
    return {"mlflow.note.content": text[:_LONGEST_NOTE]} if notes else {}
