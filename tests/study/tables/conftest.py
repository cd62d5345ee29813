"""The result of a small study, which several tables are held against."""

import pytest

from recsys import load_study, run
from tests.kit.small_study import CONFIG


@pytest.fixture(scope="session")
def result():
    return run(load_study(CONFIG))
