"""Variants: one file, several studies, each the one that its keys written out would be."""

import json

import pytest

import recsys
from recsys.config import Study
from recsys.core.errors import ConfigError
from recsys.study import plan
from recsys.study.load import load_studies, load_study

ALONE = {
    "name": "sea",
    "world": {"influx": {"kind": "rednote_2025", "newcomers": 10}},
    "recommenders": ["trending"],
}
FILE = {
    **ALONE,
    "variants": {
        "calm": None,
        "busy": {"world": {"platform": "tiktok", "influx": {"newcomers": 20}}},
        "wide": ["world.platform=pinterest", "world.platform.columns=3"],
    },
}


def variants(**entries):
    return {**ALONE, "variants": entries}


def test_a_file_without_variants_is_one_study():
    assert load_studies(ALONE, ["seeds=2"]) == (load_study(ALONE, ["seeds=2"]),)
    assert load_study(ALONE).group is None
    assert load_study(ALONE).variant is None


def test_each_variant_is_a_study_in_the_order_of_the_file():
    studies = load_studies(FILE)
    assert [study.name for study in studies] == ["sea-calm", "sea-busy", "sea-wide"]
    assert {study.group for study in studies} == {"sea"}
    assert [study.variant for study in studies] == ["calm", "busy", "wide"]
    assert [study.world.influx.newcomers for study in studies] == [10, 20, 10]
    assert [study.world.platform.columns for study in studies] == [2, 1, 3]
    assert recsys.load_studies(FILE) == studies


@pytest.mark.parametrize(
    "own",
    [
        {"world": {"platform": "tiktok", "influx": {"from": "pinterest"}}},
        {"world": {"platform": {"kind": "tiktok", "half_life_days": 3.0}}},
        {"recommenders": ["ease", {"kind": "als", "factors": 4}]},
        {"evaluation": {"days": [2], "k": 5}, "arms": ["control", "influx"]},
        ["world.platform=tiktok", "world.influx.from=null", "seeds=1"],
    ],
)
def test_a_variant_is_what_overrides_would_make_of_the_file(own):
    """Both as nested keys and as `key=value`: merging is the same."""
    as_text = own if isinstance(own, list) else [f"{k}={json.dumps(v)}" for k, v in own.items()]
    (study,) = load_studies(variants(one=own))
    assert study.model_copy(update={"name": "sea", "group": None}) == load_study(ALONE, as_text)


def test_a_preset_by_name_replaces_what_the_file_says_of_another():
    """As on the command line: the slow rednote of the file is not a slow tiktok."""
    world = {**ALONE["world"], "platform": {"kind": "rednote", "half_life_days": 7.0}}
    (study,) = load_studies({**variants(one=["world.platform=tiktok"]), "world": world})
    assert study == load_studies(variants(one={"world": {"platform": "tiktok"}}))[0]


def test_a_cell_does_not_know_its_variant():
    """So that finished cells serve every study which asks for the same."""
    alone = load_study(ALONE)
    calm, busy, _ = ([c.identity for c in plan(study)] for study in load_studies(FILE))
    assert calm == [cell.identity for cell in plan(alone)]
    assert not set(calm) & set(busy)


def test_a_variant_written_out_is_itself_again():
    for study in load_studies(FILE):
        assert Study.model_validate_json(study.model_dump_json()) == study
        assert load_study(json.loads(study.model_dump_json())) == study


# Overrides


def test_overrides_change_all_variants_and_win():
    studies = load_studies(FILE, ["seeds=2", "name=lake", "world.platform.half_life_days=9.0"])
    assert [study.name for study in studies] == ["lake-calm", "lake-busy", "lake-wide"]
    assert {study.seeds for study in studies} == {2}
    assert {study.world.platform.half_life_days for study in studies} == {9.0}
    assert [study.world.platform.columns for study in studies] == [2, 1, 3]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("variants=wide", ["sea-wide"]),
        ("variants=[wide]", ["sea-wide"]),
        ("variants=[wide,calm]", ["sea-wide", "sea-calm"]),
        ("variants=[calm,calm]", ["sea-calm"]),
    ],
)
def test_choosing_variants(choice, names):
    chosen = load_studies(FILE, [choice])
    assert [study.name for study in chosen] == names
    every = {study.name: study for study in load_studies(FILE)}
    assert list(chosen) == [every[name] for name in names]


def test_changing_one_variant():
    override = "variants.busy.world.platform.columns=4"
    assert [s.world.platform.columns for s in load_studies(FILE, [override])] == [2, 4, 3]
    nested = "variants.wide={world: {platform: rednote}}"
    assert [s.world.platform.columns for s in load_studies(FILE, [nested])] == [2, 1, 2]


def test_names_may_be_numbers():
    file = variants(**{}) | {"variants": {1: ["seeds=1"], 2: ["seeds=2"]}}
    assert [study.name for study in load_studies(file)] == ["sea-1", "sea-2"]
    (study,) = load_studies(file, ["variants=2", "variants.2.workers=1"])
    assert (study.name, study.seeds, study.workers) == ("sea-2", 2, 1)


@pytest.mark.parametrize(
    "override",
    [
        "world.platform=rednote",
        "world.platform.kind=rednote",
        "world.platform.columns=2",
        "world.influx.newcomers=5",
        "world.influx={newcomers: 5}",
        "world.influx=step",
        "world=null",
    ],
)
def test_an_override_of_what_variants_set_is_refused(override):
    """It would make all the same in it without a word."""
    with pytest.raises(ConfigError) as caught:
        load_studies(FILE, [override])
    path = override.split("={")[0] + (".newcomers" if "={" in override else "")
    text = str(caught.value)
    assert text.startswith(f"config: override {path.split('=')[0]}: ")
    assert "variants=[NAME,NAME] chooses among calm, busy, wide" in text


def test_it_is_allowed_where_the_chosen_do_not_set_it():
    calm, wide = load_studies(FILE, ["variants=[calm,wide]", "world.influx.newcomers=5"])
    assert calm.world.influx.newcomers == wide.world.influx.newcomers == 5


# Mistakes


def test_one_study_is_asked_for_and_there_are_several():
    with pytest.raises(ConfigError) as caught:
        load_study(FILE)
    text = str(caught.value)
    assert text.startswith("config: holds 3 studies, its variants calm, busy, wide")
    assert "variants=NAME" in text
    assert "recsys.load_studies" in text
    assert load_study(FILE, ["variants=busy"]) == load_studies(FILE)[1]


@pytest.mark.parametrize(
    ("file", "overrides", "message"),
    [
        (FILE, ["variants=bussy"], "config: variants: there is no 'bussy'; did you mean 'busy'?"),
        (FILE, ["variants=[]"], "config: variants: none is chosen; known: calm, busy, wide"),
        (FILE, ["variants="], "config: variants: none is chosen; known: calm, busy, wide"),
        (FILE, ["variants.bussy.seeds=2"], "there is no 'bussy'; did you mean 'busy'?"),
        (FILE, ["variants.busy=4"], "config: variant busy: must hold the keys that it changes"),
        (FILE, ["variants.busy.name=x"], "config: variant busy: name: cannot be changed"),
        (FILE, ["variants"], "override 'variants' is not of the form key=value"),
        (ALONE, ["variants=busy"], "config: variants: the file has none to choose from"),
        (ALONE, ["group=lake"], "group: 'sea' is no variant of 'lake'"),
        (variants(), [], "config: variants: must hold names, each with the keys that it changes"),
        ({**ALONE, "variants": None}, [], "config: variants: must hold names"),
        ({**ALONE, "variants": ["a"]}, [], "config: variants: must hold names"),
        (
            variants(a=5),
            [],
            "config: variant a: must hold the keys that it changes, or a list of ke",
        ),
        (variants(a=["seeds"]), [], "config: variant a: must hold the keys that it changes"),
        (variants(a={"variants": {}}), [], "config: variant a: variants: cannot be changed"),
        (variants(**{"a/b": None}), [], "config: variant a/b: name: string should match"),
        (variants(a=["x=[1"]), [], "config: variant a: override x: cannot be read as YAML"),
        ({**ALONE, "varients": {}}, [], "varients: unknown key; did you mean 'variants'?"),
        (
            variants(a={"world": {"plattform": "tiktok"}}, b=None),
            [],
            "config: variant a: world.plattform: unknown key; did you mean 'platform'?",
        ),
        (
            variants(a={"world": {"platform": "tiktock"}}, b=None),
            [],
            "config: variant a: world.platform: no kind 'tiktock'; did you mean 'tiktok'?",
        ),
        (
            variants(a=None, b={"recommenders": [{"kind": "als", "factor": 3}]}),
            [],
            "config: variant b: recommender als: factor: unknown key; did you mean 'factors'?",
        ),
    ],
)
def test_bad_variants(file, overrides, message):
    with pytest.raises(ConfigError) as caught:
        load_studies(file, overrides)
    assert message in str(caught.value)


def test_mistakes_of_all_variants_are_told_at_once_and_a_shared_one_once():
    file = variants(a=["sedes=1"], b=["sedes=1"], c=["evaluation.k=0"])
    with pytest.raises(ConfigError) as caught:
        load_studies(file, ["world.incumbents=0"])
    shared, both, one = sorted(str(caught.value).splitlines(), key=len)
    assert shared.startswith("config: world.incumbents: input should be greater")
    assert one.startswith("config: variant a, b: sedes: unknown key")
    assert both.startswith("config: variant c: evaluation.k: input should be")


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "seas.yaml"
    path.write_text(json.dumps(variants(a=["sedes=1"], b=None)))
    with pytest.raises(ConfigError) as caught:
        load_studies(path)
    assert str(caught.value).startswith(f"{path}: variant a: sedes: unknown key")
