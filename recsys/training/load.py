"""From a YAML file, or a mapping, to a checked `Training`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

from pydantic import ValidationError

from recsys.config import Range, Training, World
from recsys.config.expand import _expand, _spec
from recsys.config.explain import _explain
from recsys.config.overrides import _name_of, contents
from recsys.core.errors import ConfigError, nearest
from recsys.measures.metrics.registry import METRICS
from recsys.mitigations.build import make_recommender

_TEST_SHARE = 0.2
"""Held out by a training run that does not say."""


def load_training(
    source: str | PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()
) -> Training:
    """Reads a training run and checks it whole.

    Args:
        source: path of a YAML file, or its content as a mapping.
        overrides: `key=value` with dots for nested keys, such as `recommender.factors=64`.

    Returns:
        The training run, with every default filled in, the recommender's too.

    Raises:
        ConfigError: names each wrong key by its path in the file, and the nearest known ones.

    >>> tiny = {"name": "tiny", "world": {"influx": {"kind": "wave", "newcomers": 5}}}
    >>> run = load_training({**tiny, "recommender": {"kind": "als"}}, ["recommender.factors=8"])
    >>> run.recommender.options["factors"]
    8
    """
    where = _name_of(source)
    found = contents(source, overrides, where)
    if None not in found:
        raise ConfigError(
            f"{where}: variants: a training run has none; give each recommender a file of its own"
        )
    try:
        return _training(found[None])
    except ConfigError as error:
        lines = str(error).splitlines()
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from error


def _training(content: dict[str, Any]) -> Training:
    raw = _expand(content)
    if raw.get("test_days") is None and raw.get("test_share") is None:
        raw["test_share"] = _TEST_SHARE
    if "recommender" in raw:
        raw["recommender"] = _spec(raw["recommender"])
    try:
        training = Training.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error, Training))) from error
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
    knows = isinstance(training.source, World) and training.test_days is not None
    return tuple(name for name in METRICS if name != "utility" or knows)


def _check_metric(training: Training, name: str, key: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ConfigError(f"{key}: there is no {name!r}; {nearest(name, known)}")
    if name not in _metrics_of(training):
        raise ConfigError(
            f"{key}: {name} is the truth of a world whose last test_days are held out; "
            "give world and test_days, or leave it out"
        )


def _check_tuning(training: Training) -> None:
    """Raises unless every end and every choice of the space is an option that can be."""
    tune, spec = training.tune, training.recommender
    if tune is None:
        return
    by_user = [name for name, metric in METRICS.items() if metric.kind == "user"]
    _check_metric(training, tune.metric, "tune.metric", by_user)
    for option, choices in tune.space.items():
        if option not in spec.options:
            known = nearest(option, spec.options) if spec.options else "it has none"
            raise ConfigError(f"tune.space.{option}: no option of {spec.kind}; {known}")
        ends = (choices.low, choices.high) if isinstance(choices, Range) else choices
        for value in ends:
            try:
                make_recommender(
                    spec.model_copy(update={"options": {**spec.options, option: value}})
                )
            except ConfigError as error:
                raise ConfigError(f"tune.space.{option}: {error}") from error
