"""Which conclusions keep their sign, and whether every assumption is varied."""

import re
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import recsys
from recsys.config import Behaviour, Influx, Platform, Population, Posts, World
from recsys.config.world import Actions, Cohort, Drive, Slots
from recsys.core.errors import ConfigError
from recsys.study.sensitivity import CONCLUSIONS, sensitivity

CONFIG = Path(__file__).parents[2] / "configs" / "sensitivity.yaml"


def found(
    mix_composition=(0.02, 0.01, 0.03),
    utility=(0.2, 0.19, 0.21),
    newcomers=(0.1, 0.09, 0.11),
    ratio=(1.5, 1.2, 1.9),
):
    """A study in which one figure of drift, two levels and a ratio are known."""
    drift = {"recommender": "als", "mitigation": "none", "day": None, "measure": "language_format"}
    parts = dict(
        zip(
            ("composition", "composition_ci_low", "composition_ci_high"),
            mix_composition,
            strict=True,
        )
    )
    levels = [
        {
            "recommender": "als",
            "mitigation": "none",
            "arm": "influx",
            "day": None,
            "cohort": cohort,
            "measure": "utility",
            **dict(zip(("mean", "ci_low", "ci_high"), level, strict=True)),
        }
        for cohort, level in (("incumbent", utility), ("newcomer", newcomers))
    ]
    headline = {
        "recommender": "als",
        "mitigation": "none",
        "day": None,
        "group": "all",
        **dict(
            zip(("over_locals", "over_locals_ci_low", "over_locals_ci_high"), ratio, strict=True)
        ),
    }
    return SimpleNamespace(
        headline=pl.DataFrame([headline], schema_overrides={"day": pl.Int32}),
        drift=pl.DataFrame([{**drift, **parts}], schema_overrides={"day": pl.Int32}),
        summary=pl.DataFrame(levels, schema_overrides={"day": pl.Int32}),
    )


def verdicts(results, conclusion):
    rows = sensitivity(results, "default").filter(conclusion=conclusion)
    return dict(rows.select("variant", "verdict").iter_rows())


def test_signs_are_compared_with_the_references():
    results = {
        "default": found(),
        "same": found((0.5, 0.001, 0.9)),
        "wide": found((0.02, -0.01, 0.05)),
        "other": found((-0.02, -0.03, -0.01)),
        "one seed": found((0.02, None, None)),
    }
    assert verdicts(results, "mix_composition") == {
        "default": "reference",
        "same": "keeps",
        "wide": "unclear",
        "other": "turns",
        "one seed": "unclear",
    }


def test_what_the_reference_does_not_conclude():
    results = {"default": found((0.0, -0.1, 0.1)), "a": found(), "b": found((0, -1, 1))}
    assert verdicts(results, "mix_composition") == {"default": "reference", "a": "new", "b": "none"}


def test_newcomers_utility_is_a_difference_of_levels():
    results = {"default": found(), "close": found(newcomers=(0.185, 0.17, 0.20))}
    assert verdicts(results, "newcomers_utility") == {"default": "reference", "close": "unclear"}
    row = sensitivity(results, "default").filter(conclusion="newcomers_utility").row(0, named=True)
    assert row["mean"] == pytest.approx(-0.1)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.09 - 0.21, 0.11 - 0.19))
    assert row["sign"] == -1


def test_unmeasured_conclusions_are_unclear():
    rows = sensitivity({"default": found()}, "default")
    assert rows["conclusion"].to_list() == list(CONCLUSIONS)
    assert rows.filter(conclusion="english_top")["mean"].item() is None


def test_a_ratio_turns_at_one():
    results = {
        "default": found(),
        "less": found(ratio=(0.7, 0.5, 0.9)),
        "wide": found(ratio=(1, 0.5, 2)),
    }
    assert verdicts(results, "over_locals") == {
        "default": "reference",
        "less": "turns",
        "wide": "unclear",
    }
    row = sensitivity(results, "default").filter(conclusion="over_locals").row(0, named=True)
    assert row["mean"] == pytest.approx(0.5)


def test_the_reference_is_one_of_the_variants():
    with pytest.raises(ConfigError, match="no variant 'default'"):
        sensitivity({"other": found()}, "default")
    with pytest.raises(ConfigError, match="not among the variants that run"):
        recsys.load_studies(CONFIG, ["variants=[taste_low,taste_high]"])


ASSUMED = {
    "world": World,
    "world.influx": Influx,
    "world.population": Population,
    "world.population.incumbents": Cohort,
    "world.posts": Posts,
    "world.behaviour": Behaviour,
    "world.behaviour.actions": Actions,
    "world.platform": Platform,
    "world.platform.drive": Drive,
    "world.platform.slots": Slots,
}
ELSEWHERE = {
    "world.population.incumbents.topics",  # 24 numbers without a scale of their own
    "world.population.incumbents.formats",  # the platform's, which are varied
    "world.platform.drive",  # field by field
}


def is_assumed(model, name):
    """Whether a docstring marks the default by (C); all of a drive, of which it says so as one."""
    text = model.model_fields[name].description or ""
    return model in (Drive, Slots) or re.search(r"\((B/|A/)?C\b|scale C|share C", text) is not None


def test_every_assumed_default_is_varied():
    varied = set(re.findall(r'"(world\.[a-z_.]+)=', CONFIG.read_text()))
    assumed = {
        f"{path}.{name}"
        for path, model in ASSUMED.items()
        for name in model.model_fields
        if is_assumed(model, name)
    }
    assert len(assumed) > 45
    missing = {path for path in assumed - ELSEWHERE if path not in varied}
    assert missing - {"world.platform.slots.personal", "world.platform.slots.following"} == set()


def test_each_variant_changes_the_world_and_nothing_else():
    studies = {study.variant: study for study in recsys.load_studies(CONFIG)}
    default = studies.pop("default")
    assert len(studies) > 100
    worlds = {study.world.model_dump_json() for study in studies.values()}
    assert default.world.model_dump_json() not in worlds
    assert len(worlds) == len(studies)
    for study in studies.values():
        assert study.model_copy(update={"world_": None, "name": ""}) == default.model_copy(
            update={"world_": None, "name": ""}
        )


def test_a_cohort_of_which_one_field_is_said_keeps_the_others():
    study = recsys.load_study(CONFIG, ["variants=incumbents_bilingual_high"])
    incumbents = study.world.population.incumbents
    assert incumbents.bilingual == 0.3
    assert incumbents == Population().incumbents.model_copy(update={"bilingual": 0.3})
