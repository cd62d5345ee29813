"""The verdict on a log in every case, on made-up tables."""

import re
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

import recsys
from recsys.study.verdicts.log import ANSWERS, LEVEL, said_of_newcomers
from tests.kit.made_up import log

DAY = date(2025, 1, 13)


def said(result):
    """The verdict; its form is checked whatever it says."""
    verdict = recsys.verdict(result)
    assert verdict.answer in ANSWERS
    assert 3 <= len(verdict.sentences) <= 6
    for sentence in verdict.sentences:
        assert not re.search(r"[%†±≥≤→–\[\]+*=/]", sentence), sentence
        assert re.fullmatch(r"[A-Z0-9].*\.", sentence), sentence
        assert "None" not in sentence
    assert verdict.recommended is None
    return verdict


def test_evidence_names_the_measure_and_shows_it():
    verdict = said(log({"als": {"p_value": 0.01}}))
    assert verdict.answer == "evidence"
    assert verdict.sentences[0] == ("Evidence that the newcomers changed long-time users' feeds.")
    assert verdict.sentences[1] == (
        "Tested is how far whole feeds move, the top counting most, from 0 for the same posts to "
        "100 for none in common: without the newcomers and without as many equally active "
        "long-time users they move by 30 and 25 (1 of 100 such groups move them as far)."
    )


def test_slots_of_newcomers_own_posts_are_told_where_makers_are_known():
    one = said(log({"als": {}}, theirs={"als": 0.031}))
    assert one.sentences[2] == (
        "Of 100 slots newcomers' own posts hold 3.1; no log tells how many other posts they moved."
    )
    two = said(log({"als": {}, "ease": {}}, theirs={"als": 0.2, "ease": 0.0}))
    assert "newcomers' own posts hold 20 with als and none with ease;" in two.sentences[2]
    assert "own posts" not in said(log({"als": {}})).text


@pytest.mark.parametrize(("p", "answer"), [(LEVEL, "evidence"), (LEVEL + 0.001, "no evidence")])
def test_the_level(p, answer):
    assert said(log({"als": {"p_value": p}})).answer == answer


def test_answers_that_differ_name_the_recommenders():
    verdict = said(log({"als": {}, "ease": {"p_value": 0.02, "influx": 0.2}}))
    assert verdict.answer == "evidence"
    assert verdict.sentences[0] == (
        "Evidence that the newcomers changed long-time users' feeds with ease; no evidence with "
        "als."
    )
    assert [finding.recommender for finding in verdict.findings] == ["ease", "als"]
    assert "that 2 recommenders are tested is allowed for" in verdict.text


@pytest.mark.parametrize(
    ("values", "matching", "words"),
    [
        (
            {"p_value": None, "influx": None, "placebo": None},
            {},
            ": nobody's feeds could be compared without the newcomers, or without some group",
        ),
        (
            {},
            {"matched": False, "placebo_events": 485.0},
            "did 50 clicks for every 100 of the newcomers', so that volume alone explains a part",
        ),
        ({}, {"share": 0.79}, "only 79 of 100 clicks of the newcomers could be matched"),
        ({}, {"newcomers_tested": 24}, "only 48 of 100 newcomers could be matched"),
    ],
)
def test_not_testable(values, matching, words):
    verdict = said(log({"als": {"p_value": 0.001, **values}}, matching=matching))
    assert verdict.answer == "not testable"
    assert verdict.sentences[0].startswith("Not testable whether the newcomers changed")
    assert words in verdict.sentences[0]
    assert "evaluation.panel" in verdict.sentences[0]


def test_the_share_that_could_be_matched():
    assert "97 of 100 clicks of the newcomers could be matched" in said(log({"als": {}})).text


def test_the_answer_rests_on_the_adjusted_p():
    verdict = said(log({"als": {"p_value": 0.03, "p_adjusted": 0.08}, "ease": {}}))
    assert verdict.answer == "no evidence"
    assert "(8 of 100 such groups move those of some recommender as far)" in verdict.text


MIX = {
    "recommender": "als",
    "mitigation": "none",
    "attribute": "language",
    "value": "pt",
    "with": 0.2,
    "without": 0.05,
    "moved": 0.15,
    "placebo": 0.0,
    "p_value": 0.01,
    "p_adjusted": 0.02,
}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{}], "Evidence that they changed the mix of feeds: language pt takes 20 instead of 5 of"),
        ([{"p_adjusted": 0.06}], "No evidence that they changed the mix of feeds, by language."),
        ([{"value": None}], "Evidence that they changed the mix of feeds, by language."),
        ([{}, {"recommender": "ease"}], "of 100 slots with als and language pt takes"),
        ([{"value": "50% [x]"}], "language 50   x takes"),
    ],
)
def test_the_mix(rows, words):
    result = log({"als": {}})
    mix = pl.DataFrame([{**MIX, **row} for row in rows], schema=result.mix.schema)
    assert words in said(result.with_tables(mix=mix)).text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"p_value": 0.5}, "found no better and no worse with the newcomers"),
        ({"p_value": 0.01, "influx": -0.02, "placebo": 0.0}, "found better with the newcomers"),
        ({"p_value": 0.01, "influx": 0.02, "placebo": 0.0}, "found worse with the newcomers"),
    ],
)
def test_quality(values, words):
    assert words in said(log({"als": {}}, ndcg={"als": values})).text


def test_many_recommenders_are_counted():
    names = ("als", "bpr", "ease", "item_knn", "lmf", "trending")
    verdict = said(log({name: {} for name in names}))
    assert "and 2 more are in the table" in verdict.text


def test_early_newcomers_are_told():
    """Newcomers who did something before their first day: placebos are whole users."""
    assert (
        "some newcomers, 3, did something before the day"
        in said(log({"als": {}}, matching={"early": 3})).text
    )
    assert "did something before" not in said(log({"als": {}}, matching={"early": 0})).text


@pytest.mark.parametrize(
    ("retrain", "noisy"), [(0.25, True), (0.3, True), (0.5, False), (0.1, False), (None, False)]
)
def test_training_noise_that_hides_effects_is_told(retrain, noisy):
    """Placebos move feeds by .25. Training noise of .5 is not in them, one of .1 hides nothing."""
    text = said(log({"bpr": {"retrain": retrain}, "item_knn": {}})).text
    assert ("with bpr another training seed moves feeds as far" in text) == noisy


@pytest.mark.parametrize(
    ("arrived", "joined", "told"),
    [(DAY, False, True), (DAY, True, False), (None, False, False)],
)
def test_placebos_of_other_times_are_told(arrived, joined, told):
    result = replace(log({"trending": {}}, matching={"joined": joined}), arrived=arrived)
    assert ("so the groups did as much at other times" in said(result).text) == told


@pytest.mark.parametrize(
    ("made", "mix", "accused"),
    [
        ({"variants": {"als": {"p_value": 0.01}, "ease": {}}}, [], {"feeds": True}),
        ({"variants": {"als": {}}}, [{}], {"feeds": False, "mix": True}),
        ({"variants": {"als": {}}}, [{"p_adjusted": 0.06}], {"feeds": False, "mix": False}),
        (
            {"variants": {"als": {}}, "ndcg": {"als": {"p_value": 0.01}}},
            [],
            {"feeds": False, "quality": True},
        ),
        (
            {"variants": {"als": {}}, "ndcg": {"als": {"p_value": 0.06}}},
            [],
            {"feeds": False, "quality": False},
        ),
        (
            {"variants": {"als": {"p_value": 0.01}}, "matching": {"share": 0.7}},
            [{}],
            {"feeds": None},
        ),
    ],
)
def test_what_is_said_of_newcomers_is_what_the_sentences_say(made, mix, accused):
    result = log(**made)
    rows = pl.DataFrame([{**MIX, **row} for row in mix], schema=result.mix.schema)
    result = result.with_tables(mix=rows)
    found = said_of_newcomers(result.drift, result.mix, result.matching.row(0, named=True))
    assert {each.about: each.accused for each in found} == accused
    text = said(result).text
    assert text.startswith("Evidence that the newcomers changed") == bool(accused["feeds"])
    assert text.startswith("Not testable") == (accused["feeds"] is None)
    assert ("vidence that they changed the mix" in text) == ("mix" in accused)
    assert ("Evidence that they changed the mix" in text) == accused.get("mix", False)
    assert ("clicked later is found" in text) == ("quality" in accused)
    assert ("found no better and no worse" in text) == (accused.get("quality") is False)
    assert found[0].p_value == min(
        row["p_adjusted"] or row["p_value"]
        for row in result.drift.filter(measure="posts").to_dicts()
    )
