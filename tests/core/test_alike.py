"""Code from elsewhere that was changed after it was loaded is not taken for what runs."""

import sys
from pathlib import Path

import pytest

from recsys.core import alike
from recsys.core.alike import foreign_code
from recsys.core.errors import ConfigError


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a module that this process can import."""
    file = tmp_path / "from_elsewhere.py"
    file.write_text("class Mine: ...")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(alike, "_loaded", {})
    monkeypatch.delitem(sys.modules, "from_elsewhere", raising=False)
    return file


def test_code_that_is_not_loaded_yet_may_change(module: Path) -> None:
    first = foreign_code("from_elsewhere:Mine")
    module.write_text("class Mine: number = 1")
    assert foreign_code("from_elsewhere:Mine") != first


def test_loaded_code_may_not_change(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    __import__("from_elsewhere")
    first = foreign_code("from_elsewhere:Mine")
    assert foreign_code("from_elsewhere:Mine") == first
    module.write_text("class Mine: number = 1")
    with pytest.raises(ConfigError, match=r"from_elsewhere:Mine: .* was changed after"):
        foreign_code("from_elsewhere:Mine")
    sys.modules.pop("from_elsewhere")


def test_our_own_kinds_have_no_code_from_elsewhere() -> None:
    assert foreign_code("als") == ""
