"""The result of a small study, from which several tables are checked."""

import pytest

from recsys import load_study, run
from tests.kit.small_study import CONFIG


@pytest.fixture(scope="session")
def result():
    return run(load_study(CONFIG))
