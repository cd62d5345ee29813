"""ARCHITECTURE.md is true where it names folders, files, functions and registries."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import recsys

ROOT = Path(recsys.__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^\d+\. `([\w/]+)\.py`, (.+?):", PAGE, re.MULTILINE)
REGISTRIES = re.findall(r"^\| (`[A-Z_`, ]+`) \| `([\w/]+)\.py` \|", PAGE, re.MULTILINE)


def test_it_is_one_page():
    assert len(PAGE.splitlines()) <= 100


def test_every_folder_of_the_library_has_its_row():
    named = re.findall(r"^\| `recsys/(\w+)/` \|", PAGE, re.MULTILINE)
    folders = {path.parent.name for path in (ROOT / "recsys").glob("*/__init__.py")}
    assert set(named) == folders
    assert len(named) == len(folders)


def test_paths_exist():
    paths = set(re.findall(r"`((?:recsys|pipelines|tests)/[\w/.]+)`", PAGE))
    assert paths
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


@pytest.mark.parametrize(("file", "names"), STEPS)
def test_each_step_of_the_walk_is_there(file, names):
    module = import_module(file.replace("/", "."))
    for name in re.findall(r"`([\w.]+)`", names.partition("(")[0]):
        thing = module
        for part in name.split("."):
            thing = getattr(thing, part)
        assert callable(thing)


def test_the_walk_has_ten_steps():
    assert len(STEPS) == 10


@pytest.mark.parametrize(("names", "file"), REGISTRIES)
def test_registries_are_where_it_says(names, file):
    module = import_module(file.replace("/", ".").removesuffix(".__init__"))
    for name in re.findall(r"[A-Z_]+", names):
        assert getattr(module, name)


def test_all_registries_are_named():
    named = {name for names, _ in REGISTRIES for name in re.findall(r"[A-Z_]+", names)}
    assert named == {
        "RECOMMENDERS",
        "MITIGATIONS",
        "MEASURES",
        "METRICS",
        "TABLES",
        "PLATFORMS",
        "INFLUXES",
        "PUBLIC_LOGS",
    }
