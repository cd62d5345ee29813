"""The small community of the contracts, and fits of recommenders on it."""

import pytest

from recsys.testing import community


@pytest.fixture(scope="session")
def log():
    return community().log


@pytest.fixture(scope="session")
def fitted():
    """The model of a recommender, made once for all tests."""
    return lambda recommender: community().fitted(recommender)[1]
