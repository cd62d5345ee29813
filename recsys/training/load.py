"""Reads the config of a training run and checks it: `recsys.load_training`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

from pydantic import ValidationError

from recsys.config import Range, Training, World
from recsys.config.engine import check_trusted_engine
from recsys.config.expand import expand, spec_of
from recsys.config.explain import explain
from recsys.config.overrides import contents, name_of
from recsys.core.errors import ConfigError, nearest
from recsys.measures.metrics.registry import METRICS
from recsys.mitigations.build import check_trusted, make_recommender

_TEST_SHARE = 0.2
"""Share of the likes that are held out if the config does not say what is tested."""


def load_training(
    source: str | PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    trust: bool = True,
) -> Training:
    """Reads the config of a training run and checks all of it.

    Args:
        source: path of a YAML file, such as "configs/train.yaml", or its content as a mapping.
        overrides: texts `key=value`, with dots for nested keys, such as `recommender.factors=64`.
        trust: as in `recsys.load_study`.

    Returns:
        The config with all defaults filled in, those of the recommender too.

    Raises:
        ConfigError: the config is wrong; the error gives the path of each wrong key in the file and
            the nearest known keys.

    >>> tiny = {"name": "tiny", "world": {"influx": {"kind": "wave", "newcomers": 5}}}
    >>> run = load_training({**tiny, "recommender": {"kind": "als"}}, ["recommender.factors=8"])
    >>> run.recommender.options["factors"]
    8
    """
    where = name_of(source)
    by_variant = contents(source, overrides, where)
    if None not in by_variant:
        raise ConfigError(
            f"{where}: variants: a training run has none; give each recommender a file of its own"
        )
    try:
        return _training(by_variant[None], trust)
    except ConfigError as error:
        lines = str(error).splitlines()
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from error


def _training(content: dict[str, Any], trust: bool) -> Training:
    """The checked config of a training run from the content of a file."""
    raw = expand(content)
    rolling = raw.get("evaluation") or {}
    is_rolling = isinstance(rolling, dict) and rolling.get("rolling") is not None
    if raw.get("test_days") is None and raw.get("test_share") is None and not is_rolling:
        raw["test_share"] = _TEST_SHARE
    if "recommender" in raw:
        raw["recommender"] = spec_of(raw["recommender"])
    try:
        training = Training.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, Training))) from error
    check_trusted_engine(training.engine, trust=trust)
    if training.engine.storage is not None:
        raise ConfigError(
            "engine.storage: a search keeps its trials here, in data/tuning; leave it out"
        )
    check_trusted([training.recommender], trust=trust)
    names = training.metrics or _metrics_of(training)
    for name in names:
        _check_metric(training, name, "metrics", METRICS)
    options = make_recommender(training.recommender).model_dump(mode="json")
    spec = training.recommender.model_copy(update={"options": options})
    training = training.model_copy(update={"recommender": spec, "metrics": names})
    _check_tuning(training)
    return training


def _metrics_of(training: Training) -> tuple[str, ...]:
    """All metrics that a training run can compute."""
    knows = isinstance(training.source, World) and training.held_out is not None
    return tuple(name for name in METRICS if name != "utility" or knows)


def _check_metric(training: Training, name: str, key: str, possible: Iterable[str]) -> None:
    """Raises unless a metric is one of the possible ones and can be computed."""
    if name not in possible:
        raise ConfigError(f"{key}: there is no {name!r}; {nearest(name, possible)}")
    if name not in _metrics_of(training):
        raise ConfigError(
            f"{key}: {name} needs a world whose last days are held out; "
            "give world and test_days or evaluation.rolling, or leave it out"
        )


def _check_tuning(training: Training) -> None:
    """Raises unless the recommender takes every bound and every choice of the search space."""
    tune, spec = training.tune, training.recommender
    if tune is None:
        return
    by_user = [name for name, metric in METRICS.items() if metric.kind == "user"]
    _check_metric(training, tune.metric, "tune.metric", by_user)
    for option, choices in tune.space.items():
        if option.partition(".")[0] not in spec.options:
            hint = nearest(option, spec.options) if spec.options else "it has none"
            raise ConfigError(f"tune.space.{option}: no option of {spec.kind}; {hint}")
        values = (choices.low, choices.high) if isinstance(choices, Range) else choices
        for value in values:
            try:
                make_recommender(spec.with_options({option: value}))
            except ConfigError as error:
                raise ConfigError(f"tune.space.{option}: {error}") from error
