"""Recommenders and mitigations of the registries with options that make a small fit quick."""

from collections.abc import Mapping, Sequence
from typing import Any

from recsys.core.errors import ConfigError
from recsys.mitigations import MITIGATIONS, Mitigation, mitigated
from recsys.recommenders import RECOMMENDERS, Recommender

_QUICK: Mapping[str, Mapping[str, Any]] = {
    "als": {"factors": 8},
    "ease": {"regularization": 10.0},
    "bpr": {"factors": 8, "iterations": 20},
    "lmf": {"factors": 8, "iterations": 5, "negatives": 5},
    "ranker": {"factors": 8, "candidates": 20, "iterations": 10},
    "two_tower": {"factors": 8, "iterations": 2},
}
"""A recommender that is not named is quick with its defaults."""

_MITIGATIONS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "cap": [{"share": 0.1}, {"share": 0.1, "everybody": True}],
    "downweight": [{"weight": 0.25}, {"weight": 0.0}],
    "ramp": [{"days": 10.0}, {"days": 10.0, "of": "slots"}],
    "anchor": [{"mu": 100.0}, {"mu": 100.0, "mu_users": 10.0}],
    "ensemble": [{"seeds": 2}, {"seeds": 2, "of": "ranks"}],
    "fresh_slot": [{"slot": 3, "graduate": 60}],
    "warm_start": [{}, {"enabled": False}],
}
"""A mitigation that is not named is tried with its defaults."""


def quick_recommender(name: str) -> Recommender:
    """A recommender of the registry that is quick to fit on a small log.

    Args:
        name: a key of `RECOMMENDERS`, such as "als".

    >>> quick_recommender("als").factors
    8
    """
    return RECOMMENDERS[name](**_QUICK.get(name, {}))


def example_mitigations(name: str) -> list[Mitigation]:
    """A mitigation of the registry, once for each way of acting that it has.

    Args:
        name: a key of `MITIGATIONS`, such as "cap".

    >>> [mitigation.everybody for mitigation in example_mitigations("cap")]
    [False, True]
    """
    return [MITIGATIONS[name](**options) for options in _MITIGATIONS.get(name, [{}])]


def takes(mitigation: Mitigation, recommender: Recommender) -> bool:
    """Whether a mitigation can act on a recommender.

    Args:
        mitigation: such as `Anchor(mu=100.0)`.
        recommender: such as `ALS(factors=8)`.

    >>> takes(MITIGATIONS["anchor"](), quick_recommender("item_knn"))
    False
    """
    try:
        mitigated(recommender, [mitigation])
    except ConfigError:
        return False
    return True
