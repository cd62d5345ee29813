"""The record beside the results: what comes back, what is not believed."""

import json
from pathlib import Path

import pytest

from pipelines.tracking.record import (
    RECORD,
    Data,
    Record,
    Run,
    Value,
    finite,
    read_record,
    write_record,
)
from recsys.core.errors import UserError

CHILD = Run("als seed 0", "seed", (Value("x", 0.1),), {"seed": "0"}, failed="why")
RUN = Run(
    "é\u2028",
    "study",
    (Value("a", 0.1 + 0.2, 3), Value("b", 1e-300)),
    {"p": "1"},
    {"t": "ü"},
    Data("x log", "12", "local", {"uri": "/x"}),
    (Run("als", "recommender", children=(CHILD,)),),
)


@pytest.mark.parametrize(
    "record",
    [
        Record("recsys", RUN, ("a.csv",), {"version": "1"}, {"name": "m", "options": {"k": [1]}}),
        Record("recsys", Run("x", "study")),
    ],
)
def test_a_record_comes_back(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path)
    found = read_record(tmp_path)
    assert found == record
    assert found.identity == record.identity
    before = (tmp_path / RECORD).read_bytes()
    write_record(record, tmp_path)
    assert (tmp_path / RECORD).read_bytes() == before


def test_other_figures_are_another_record() -> None:
    assert Record("a", RUN).identity != Record("a", CHILD).identity


def test_a_changed_record_is_not_believed(tmp_path: Path) -> None:
    write_record(Record("recsys", RUN), tmp_path)
    path = tmp_path / RECORD
    sound = path.read_text()
    for damaged in (sound.replace("1e-300", "1e-200"), sound[:-30], "[]", "{}", ""):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"record\.json: damaged: .*run the command"):
            read_record(tmp_path)


def test_a_folder_without_results_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no results that can be recorded"):
        read_record(tmp_path)


def test_only_finite_figures_are_sent() -> None:
    values = [Value("a", float("nan")), Value("b", None), Value("c", float("inf")), Value("d", 0.0)]
    assert finite(values) == (Value("d", 0.0),)
    assert json.loads(json.dumps(finite(values))) == [["d", 0.0, 0]]
