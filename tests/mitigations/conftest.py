"""The community with newcomers of the contracts."""

import pytest

from recsys.testing import community_with_newcomers


@pytest.fixture(scope="session")
def log():
    return community_with_newcomers().log


@pytest.fixture(scope="session")
def before():
    """The log before anybody comes."""
    return community_with_newcomers().before
