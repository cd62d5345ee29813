"""The source of a study: a world or an own log, said by its key in a file."""

import ast
from pathlib import Path

import pytest
import yaml

from pipelines.storage.results import config_text
from recsys import load_study, load_training
from recsys.config import OwnLog, Study, Training, World
from recsys.core.errors import ConfigError
from recsys.study.cell import Cell

ROOT = Path(__file__).parents[2]
IN_WORLD = {"world": {"influx": {"kind": "rednote_2025", "newcomers": 10}}}
IN_LOG = {"log": {"events": "events.csv", "newcomers": "days <= 30"}}


def study(source):
    return load_study({"name": "tiny", "recommenders": ["trending"], **source})


def training(source):
    return load_training({"name": "tiny", "recommender": "trending", **source})


@pytest.mark.parametrize("load", [study, training])
def test_a_source_is_of_one_kind(load):
    world, log = load(IN_WORLD), load(IN_LOG)
    assert isinstance(world.source, World)
    assert isinstance(log.source, OwnLog)
    assert world.world is world.source
    assert log.log is log.source
    with pytest.raises(ConfigError, match="tiny: its source is a world"):
        _ = world.log
    with pytest.raises(ConfigError, match="tiny: its source is a log"):
        _ = log.world


@pytest.mark.parametrize("load", [study, training])
@pytest.mark.parametrize("source", [{}, {**IN_WORLD, **IN_LOG}])
def test_there_is_one_source(load, source):
    with pytest.raises(ConfigError, match="give one source: either world or log"):
        load(source)


@pytest.mark.parametrize("load", [study, training])
@pytest.mark.parametrize("source", [IN_WORLD, IN_LOG])
def test_a_written_config_loads_as_it_was(load, source):
    config = load(source)
    content = yaml.safe_load(config_text(config, Path("place")))
    assert {"world", "log"} & set(content) == set(source)
    again = load_study(content) if load is study else load_training(content)
    assert again == config


def test_a_mistake_is_told_by_its_path_in_the_file():
    with pytest.raises(ConfigError, match=r"world\.influx\.newcomer: unknown key; .*newcomers"):
        load_study(
            {"name": "tiny", "recommenders": ["trending"], **IN_WORLD},
            ["world.influx.newcomer=5"],
        )


def test_a_cell_is_told_apart_by_its_source():
    other = {"world": {"influx": {"kind": "rednote_2025", "newcomers": 11}}}
    studies = [study(source) for source in (IN_WORLD, other, IN_LOG)]
    cells = {Cell(each, each.recommenders[0], seed=0).identity for each in studies}
    assert len(cells) == 3


def test_what_is_left_out_of_a_dump_is_a_field():
    """`model_dump(include={"world"})` would leave the world out: its field is `world_`."""
    fields = {*Study.model_fields, *Training.model_fields}
    unknown = [
        f"{path.name}: {name.value}"
        for folder in ("recsys", "pipelines")
        for path in (ROOT / folder).rglob("*.py")
        for word in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(word, ast.keyword)
        and word.arg in ("include", "exclude")
        and isinstance(word.value, ast.Set)
        for name in word.value.elts
        if isinstance(name, ast.Constant) and name.value in ("world", "log", "source")
    ]
    assert fields >= {"world_", "log_"}
    assert unknown == []
