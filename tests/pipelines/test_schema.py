"""The schema of config files: all of ours meet it, mistakes do not, and it says what fields are."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pipelines.schema import main, schema
from recsys.config import Study

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def _read(path: Path) -> Any:
    """As JSON: dates are texts."""
    return json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))


def _errors(content: Any) -> list[str]:
    checked = schema("training" if "recommender" in content else "study")
    jsonschema.Draft202012Validator.check_schema(checked)
    return [e.json_path for e in jsonschema.Draft202012Validator(checked).iter_errors(content)]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_our_configs_meet_it(path: Path) -> None:
    assert _errors(_read(path)) == []


def test_a_recorded_config_meets_it(finished: Path) -> None:
    (path,) = (finished / "data/studies").glob("*/config.yaml")
    assert _errors(_read(path)) == []


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("seed", 3, "$"),
        ("seeds", 0, "$.seeds"),
        ("recommenders", ["alz"], "$.recommenders[0]"),
        ("recommenders", [{"kind": "als", "factor": 3}], "$.recommenders[0]"),
        ("mitigations", [["cop"]], "$.mitigations[0]"),
        ("world", {"incumbants": 10}, "$.world"),
    ],
)
def test_mistakes_do_not(key: str, value: Any, where: str) -> None:
    demo = _read(ROOT / "configs/demo.yaml")
    assert where in _errors({**copy.deepcopy(demo), key: value})


def test_kinds_from_elsewhere_do() -> None:
    demo = _read(ROOT / "configs/demo.yaml")
    mine = [{"kind": "my_package.module:Mine", "power": 2}, "my_package.module:Mine"]
    assert _errors({**demo, "recommenders": mine, "mitigations": [mine, mine[1]]}) == []


def test_it_is_printed_with_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["properties"]["seeds"]["description"] == Study.model_fields["seeds"].description
    als = next(
        kind
        for kind in printed["$defs"]["RecommenderSpec"]["anyOf"]
        if kind.get("properties", {}).get("kind") == {"const": "als"}
    )
    assert als["properties"]["factors"]["description"]
