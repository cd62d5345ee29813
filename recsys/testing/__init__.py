"""Contracts that a recommender, a mitigation or a measure of your own can be tested by.

Subclass a contract, and pytest runs every promise as a test. Or call `check_recommender`,
`check_mitigation` or `check_measure`: they need no pytest and report all broken promises at once.
recsys tests its own registries by the same contracts.
"""

from recsys.testing.communities import Community, community, community_with_newcomers
from recsys.testing.examples import example_mitigations, quick_recommender, takes
from recsys.testing.measure import MeasureContract, check_measure, sample_pair
from recsys.testing.mitigation import MitigationContract, check_mitigation
from recsys.testing.promises import ContractError
from recsys.testing.recommender import RecommenderContract, check_recommender

__all__ = [
    "Community",
    "ContractError",
    "MeasureContract",
    "MitigationContract",
    "RecommenderContract",
    "check_measure",
    "check_mitigation",
    "check_recommender",
    "community",
    "community_with_newcomers",
    "example_mitigations",
    "quick_recommender",
    "sample_pair",
    "takes",
]
