"""The verdict on a world in every case, on made-up tables."""

import re

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.measures.rows import KEY_TYPES
from recsys.study.verdicts.choice import MARGIN
from recsys.study.verdicts.variants import ANSWERS, LITTLE
from tests.kit.made_up import ARMS, world

SYMBOLS = re.compile(r"[%†±≥≤→–\[\]+*=/]")
PRIVATE = (
    "net",
    "floor",
    "displaced",
    "reshuffled",
    "twin",
    "nudge",
    "incumbent",
    "drift",
    "panel",
)


def said(result):
    """The verdict; its form is checked whatever it says."""
    verdict = recsys.verdict(result)
    assert verdict.answer in ANSWERS
    assert 3 <= len(verdict.sentences) <= 5
    for sentence in verdict.sentences:
        assert not SYMBOLS.search(sentence), sentence
        assert re.fullmatch(r"[A-Z0-9].*\.", sentence), sentence
        assert not set(PRIVATE) & set(re.findall(r"\w+", sentence.lower())), sentence
        assert "None" not in sentence
        assert "  " not in sentence
    return verdict


def test_yes_for_all_is_said_with_figures_best_first():
    verdict = said(world({"trending": {"net": 0.18}, "als": {"net": 0.12, "displaced": 0.02}}))
    assert verdict.answer == "yes"
    assert verdict.sentences[0] == (
        "Yes: of 100 posts that chance leaves in place in long-time users' feeds, the newcomers' "
        "coming changed 12 (between 9 and 15) with als and 18 (between 15 and 21) with trending; "
        "1 to 2 of all 100 are newcomers' own, so most of the change is among posts of long-time "
        "users."
    )
    assert [finding.recommender for finding in verdict.findings] == ["als", "trending"]


def test_no_effect():
    verdict = said(world({"als": {"net": 0.01, "net_ci_low": -0.02, "net_ci_high": 0.04}}))
    assert verdict.answer == "no detectable change"
    assert verdict.sentences[0].startswith("No change can be detected: ")
    assert verdict.sentences[0].endswith("so that any change is a small one.")
    assert not any("hardest" in sentence for sentence in verdict.sentences)


def test_no_effect_that_may_be_large():
    verdict = said(world({"als": {"net": 0.08, "net_ci_low": -0.3, "net_ci_high": 0.5}}))
    assert "changed 8 (between 0 and 50)" in verdict.text
    assert "a change of up to 50 is not ruled out" in verdict.text


def test_a_change_below_chance_is_no_change():
    verdict = said(world({"als": {"net": -0.05, "net_ci_low": -0.08, "net_ci_high": -0.02}}))
    assert verdict.answer == "no detectable change"
    assert "changed none (between 0 and 0)" in verdict.text


@pytest.mark.parametrize(("net", "answer"), [(LITTLE, "yes"), (LITTLE - 0.001, "a little")])
def test_a_little(net, answer):
    assert said(world({"als": {"net": net}})).answer == answer


def test_answers_that_differ_are_counted():
    verdict = said(world({"als": {"net": 0.01}, "bpr": {"net": 0.2}, "ease": {"net": 0.04}}))
    assert verdict.answer == "yes"
    assert verdict.sentences[0].startswith("Yes with 1 of 3 recommenders: ")
    assert [finding.answer for finding in verdict.findings] == [
        "no detectable change",
        "a little",
        "yes",
    ]
    little = said(world({"als": {"net": 0.01}, "ease": {"net": 0.04}}))
    assert little.sentences[0].startswith("A little, with 1 of 2 recommenders: ")


def test_few_seeds_are_said_to_be_few():
    few = said(world({"als": {}}, seeds=3))
    assert "This rests on 3 repetitions with other luck (seeds), so run 8" in few.text
    assert "so run 8" not in said(world({"als": {}})).text


def test_one_seed():
    ends = dict.fromkeys(("utility_ci_low", "utility_ci_high"))
    ends |= dict.fromkeys(("over_locals", "over_locals_ci_low", "over_locals_ci_high"))
    verdict = said(world({"als": ends, "bpr": {**ends, "net": 0.2}}, seeds=1))
    assert verdict.answer == "not known"
    assert verdict.sentences[0].startswith("Not known, since one repetition cannot tell")
    assert "between" not in verdict.sentences[0]
    assert "whether it costs clicks is not known" in verdict.text.lower()
    assert "though not by so much that it can be told from bpr" in verdict.text
    assert "1 repetition with other luck" in verdict.text


def test_harm_without_drift():
    harm = {"utility": -0.04, "utility_ci_low": -0.06, "utility_ci_high": -0.02}
    verdict = said(world({"als": {"net": 0.01, "net_ci_low": -0.02, **harm}}))
    assert verdict.answer == "no detectable change"
    assert "Yet long-time users lose 4 of 100 clicks;" in verdict.text


def test_drift_without_harm():
    verdict = said(world({"als": {}, "bpr": {}}))
    assert verdict.answer == "yes"
    assert "No gain or loss of clicks can be detected; " in verdict.text


def test_gain_and_loss_by_recommender():
    gain = {"utility": 0.03, "utility_ci_low": 0.01, "utility_ci_high": 0.05}
    loss = {"utility": -0.02, "utility_ci_low": -0.03, "utility_ci_high": -0.01, "net": 0.2}
    text = said(world({"als": gain, "bpr": loss})).text
    assert "Long-time users gain 3 of 100 clicks with als and long-time users lose 2 of 100" in text


def test_a_floor_without_room():
    full = {"net": None, "floor": 0.9, "changed": 0.95, "displaced": 0.12, "over_locals": None}
    verdict = said(world({"als": full}))
    assert verdict.answer == "not measurable"
    assert verdict.sentences[0].startswith("Not measurable: 90 of 100 posts change even where one")
    assert "beyond their own posts, 12 of 100" in verdict.text
    assert verdict.recommended is None
    both = said(world({"als": full, "bpr": {}}))
    assert both.answer == "yes"
    assert "changed 12 (between 9 and 15) with bpr" in both.text
    assert "leaves no room to tell what the newcomers change" in both.text
    assert both.findings[-1].recommender == "als"


def test_without_locals():
    arms = [arm for arm in ARMS if arm != "locals"]
    verdict = said(world({"als": {"locals": None, "over_locals": None}}, arms=arms))
    assert "hat as many people like themselves would change was not simulated" in verdict.text


def test_without_a_nudge_chance_is_retraining():
    arms = [arm for arm in ARMS if arm != "nudge"]
    assert "measured by retraining alone" in said(world({"als": {}}, arms=arms)).text


def test_without_any_floor():
    arms = [arm for arm in ARMS if arm not in ("nudge", "retrain")]
    nothing = {"net": None, "floor": None, "retrain": None, "displaced": 0.02}
    verdict = said(world({"als": nothing}, arms=arms))
    assert verdict.answer == "not measurable"
    assert "what changes by chance was not simulated; 2 of 100 posts are newcomers' own" in (
        verdict.text
    )


def test_as_many_people_like_themselves():
    more = {"over_locals_ci_low": 1.1, "locals": 0.06, "net": 0.13}
    less = {"over_locals_ci_high": 0.9, "over_locals_ci_low": 0.5, "locals": 0.3, "net": 0.14}
    unclear = {"over_locals_ci_low": None, "over_locals_ci_high": None, "net": 0.15}
    text = said(world({"als": {}, "bpr": more, "ease": less, "lmf": unclear})).text
    assert (
        "As many people like themselves would have changed about as much with als (10 of 100), "
        "less with bpr (6 of 100), more with ease (30 of 100) and an amount that cannot be told "
        "from chance with lmf (10 of 100)."
    ) in text


def test_as_many_who_post_as_much():
    equal = {"placebo": 0.11, "over_placebo_ci_low": 0.8, "over_placebo_ci_high": 1.3}
    less = {"placebo": 0.05, "over_placebo_ci_low": 1.5, "over_placebo_ci_high": 3.0, "net": 0.2}
    text = said(world({"als": equal})).text
    assert (
        "about as much (10 of 100); if they posted as much as the newcomers, about as much (11 of "
        "100), so the amount that is posted may be the whole reason."
    ) in text
    text = said(world({"als": equal, "bpr": less})).text
    assert "about as much with als (11 of 100) and less with bpr (5 of 100)." in text
    assert "the whole reason" not in text
    assert "if they posted" not in said(world({"als": {}})).text


def test_english():
    more = {"english": 0.05, "english_ci_low": 0.02, "english_ci_high": 0.08}
    none = {"english": 0.01, "english_ci_low": -0.02, "english_ci_high": 0.08, "net": 0.2}
    fewer = {"english": -0.02, "english_ci_low": -0.03, "english_ci_high": -0.01, "net": 0.3}
    before = {"als": 0.03, "bpr": 0.04}
    text = said(world({"als": more}, english=before)).text
    assert "5 more of 100 posts are in English, where 3 would be without the newcomers" in text
    text = said(world({"als": more, "bpr": none, "ease": fewer}, english=before)).text
    assert (
        "5 more of 100 posts are in English with als, no change of English posts can be detected "
        "with bpr and 2 fewer of 100 posts are in English with ease, where 3 to 4 would be without "
        "the newcomers"
    ) in text
    unsure = {**more, "english_ci_low": None, "english_ci_high": None}
    assert (
        "5 more of 100 posts are in English in this repetition."
        in said(world({"als": unsure}, seeds=1)).text
    )
    assert "English" not in said(world({"als": {}})).text


def test_retraining():
    assert "retraining alone changes no post." in said(world({"als": {"retrain": 0.0}})).text
    text = said(world({"als": {"retrain": 0.29}, "bpr": {"retrain": 0.0}})).text
    assert "retraining alone changes 29 of 100 posts with als and none with the others." in text


def test_the_hardest_hit():
    groups = {"top 1 %": {"net": 0.4, "n_users": 6}, "top 10 %": {"net": 0.25}}
    hit = "Hit hardest is the one in a hundred of long-time users who get most of the newcomers' "
    assert (
        f"{hit}posts, with 40 of 100 posts changed."
        in said(world({"als": {"groups": groups}})).text
    )
    groups["top 1 %"]["english"] = 0.18
    both = {"als": {"groups": groups}, "bpr": {"net": 0.3, "groups": groups}}
    both["bpr"]["groups"] = {**groups, "top 1 %": {"net": 0.5, "n_users": 6, "english": 0.11}}
    text = said(world(both)).text
    assert "with 40 to 50 of 100 posts changed and 11 to 18 more in English." in text
    groups["top 1 %"]["n_users"] = 2
    assert "is the one in ten of long-time users" in said(world({"als": {"groups": groups}})).text


def test_a_tail_that_is_hit_where_the_mean_is_not():
    groups = {"top 10 %": {"net": 0.25, "net_ci_low": 0.1, "net_ci_high": 0.4}}
    calm = {"net": 0.01, "net_ci_low": -0.02, "groups": groups}
    assert "with 25 of 100 posts changed" in said(world({"als": calm})).text


def test_a_change_by_newcomers_own_posts_is_not_called_indirect():
    text = said(world({"als": {"net": 0.12, "displaced": 0.07}})).text
    assert "among posts of long-time users" not in text


def test_one_recommender_is_not_recommended():
    assert said(world({"als": {}})).recommended is None


def test_the_least_change_of_the_useful_is_recommended():
    three = {"als": {"net": 0.06}, "bpr": {"net": 0.12}, "ease": {"net": 0.3}}
    useless = 0.2 * (1 - MARGIN) - 0.001
    verdict = said(world(three, utility={"als": useless, "bpr": 0.195, "ease": 0.2}))
    assert verdict.recommended == ("bpr", "none")
    assert "bpr changes least (als changes less, but gives 5.5 less); this rests" in verdict.text
    useless = {"als": 0.1, "bpr": 0.1, "ease": 0.2}
    both = said(world({**three, "lmf": {"net": 0.4}}, utility={**useless, "lmf": 0.2})).text
    assert "ease changes least (als and bpr change less, but give 50 less); this rests" in both
    assert "Take ease: each of the others" in said(world(three, utility={"ease": 0.4})).text


def test_what_intervals_cannot_tell_apart_is_said():
    verdict = said(world({"als": {"net": 0.12}, "bpr": {"net": 0.13}}))
    assert "als changes least, though not by so much that it can be told from bpr" in verdict.text


def _per_user(shift):
    """Two recommenders, each of 30 users and 4 seeds, that share their luck but for a shift."""
    random = np.random.default_rng(0)
    luck, each = random.normal(0, 0.1, 4), random.normal(0, 0.02, (30, 4, 2))
    rows = []
    for place, name in enumerate(("als", "bpr")):
        for arm, level in (("influx", 0.4 + place * shift), ("nudge", 0.1)):
            noise = luck[None, :] * (arm == "influx") + each[:, :, place]
            rows += [
                (name, "none", arm, seed, 0, None, "incumbent", user, level + noise[user, seed])
                for user in range(30)
                for seed in range(4)
            ]
    names = {**KEY_TYPES, "user_id": pl.Int64, "slots_changed": pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row")


@pytest.mark.parametrize(("shift", "told"), [(0.05, True), (0.0001, False)])
def test_seeds_tell_recommenders_apart_in_pairs(shift, told):
    """Luck that both share does not count, so intervals that overlap may hide a difference."""
    wide = {"net_ci_low": 0.02, "net_ci_high": 0.3}
    result = world({"als": {"net": 0.12, **wide}, "bpr": {"net": 0.13, **wide}}, seeds=4)
    verdict = said(result.with_tables(per_user=_per_user(shift)))
    assert ("though not by so much" not in verdict.text) is told


def test_mitigations_are_named_and_many_are_counted():
    names = ["als", *(f"als + {kind}" for kind in ("cap", "anchor", "frozen", "ramp", "offset"))]
    variants = {name: {"net": 0.1 + 0.05 * place} for place, name in enumerate(names)}
    kinds = ("cap", "anchor", "frozen", "ramp", "offset")
    verdict = said(world(variants, mitigations=kinds))
    assert "15 (between 12 and 18) with als with cap" in verdict.text
    assert "35 (between 32 and 38) with als with offset; the 2 others lie between" in verdict.text
    assert verdict.findings[1].name == "als with cap"


def test_the_oracle_is_not_recommended_where_utility_was_not_measured():
    result = world({"oracle": {"net": 0.01}, "als": {"net": 0.06}, "bpr": {"net": 0.3}})
    unknown = pl.when(pl.col("measure") != "utility").then("mean")
    verdict = said(result.with_tables(summary=result.summary.with_columns(mean=unknown)))
    assert verdict.recommended == ("als", "none")


def test_the_oracle_is_never_recommended():
    verdict = said(world({"oracle": {"net": 0.01}, "als": {}, "bpr": {"net": 0.3}}))
    assert verdict.recommended == ("als", "none")
