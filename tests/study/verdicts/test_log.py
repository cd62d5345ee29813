"""The verdict on a log in every case, on made-up tables."""

import re

import pytest

import recsys
from recsys.study.verdicts.log import ANSWERS, LEAST_SHARE, LEVEL
from tests.kit.made_up import log


def said(result):
    """The verdict; its form is checked whatever it says."""
    verdict = recsys.verdict(result)
    assert verdict.answer in ANSWERS
    assert 3 <= len(verdict.sentences) <= 5
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
    assert "each recommender is tested alone" in verdict.text


@pytest.mark.parametrize(
    ("values", "matching", "words"),
    [
        ({"p_value": None}, {}, "too few long-time users to draw groups that differ"),
        (
            {},
            {"matched": False, "placebo_events": 485.0},
            "did 50 clicks for every 100 of the newcomers', so that volume alone explains a part",
        ),
        ({}, {"share": LEAST_SHARE - 0.01}, "most of what they did is not tested"),
    ],
)
def test_not_testable(values, matching, words):
    verdict = said(log({"als": {"p_value": 0.001, **values}}, matching=matching))
    assert verdict.answer == "not testable"
    assert verdict.sentences[0].startswith("Not testable whether the newcomers changed")
    assert words in verdict.text


def test_the_share_that_could_be_matched():
    assert "97 of 100 clicks of the newcomers could be matched" in said(log({"als": {}})).text


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
