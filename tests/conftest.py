"""What holds for all tests."""

import pytest

pytest.register_assert_rewrite("tests.kit")  # its checks say what they compared, as tests do
