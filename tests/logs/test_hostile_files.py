"""CSV files and conditions of any content: ids stay apart, and every refusal is in words."""

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.config import OwnLog
from recsys.core.errors import ConfigError, UserError
from recsys.logs.conditions import holds
from recsys.logs.frames import read_frame
from recsys.logs.read import read_log

IDS = st.lists(
    st.one_of(
        st.integers(-5, 20).map(str),
        st.sampled_from(["007", "07", "7", "+7", " 7", "7.0", "7.00", "1e3", "-0", "0", "x", "é"]),
        st.integers(2**53 - 1, 2**53 + 2).map(str),
        st.integers(2**63 - 2, 2**63 + 1).map(str),
        st.integers(2**64 - 2, 2**64 + 1).map(str),
    ),
    min_size=1,
    max_size=12,
)
WHOLE = re.compile(r"-?(0|[1-9][0-9]*)(\.0+)?")


def as_people_count(texts):
    """Distinct ids: 7 and 7.0 are one where all are such numbers; else each text is one."""
    whole = all(WHOLE.fullmatch(text) for text in texts)
    exact = all(abs(int(t.split(".")[0])) < 2**53 for t in texts if "." in t) if whole else False
    return len({text.split(".")[0] if whole and exact else text for text in texts})


TERMS = [
    "days",
    "name",
    "age",
    "flag",
    "born",
    "nothing",
    "1",
    "'x'",
    "NULL",
    "1.5",
    "'2025-01-01'",
]
CASTS = ["INT", "DATE", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP", "DECIMAL(38,3)", "TINYINT"]


def grown(parts):
    return st.one_of(
        st.tuples(
            parts, st.sampled_from(["=", "<", ">=", "<>", "+", "/", "%", "LIKE", "||"]), parts
        ),
        st.tuples(parts, st.sampled_from(["AND", "OR", "IS DISTINCT FROM"]), parts),
        st.tuples(st.sampled_from(["NOT", "-", "ABS", "LENGTH", "MAX", "UPPER"]), parts),
        st.tuples(parts, st.sampled_from(["IS NULL", "IN (1, 2)", "BETWEEN 1 AND 3", "IN ('x')"])),
    ).map(
        lambda words: f"({' '.join(words)})" if words[0] not in CALLS else f"{words[0]}({words[1]})"
    )


CALLS = ("ABS", "LENGTH", "MAX", "UPPER")
CASTED = st.tuples(st.sampled_from(TERMS), st.sampled_from(CASTS)).map(
    lambda both: f"CAST({both[0]} AS {both[1]})"
)
CONDITIONS = st.one_of(
    st.recursive(st.sampled_from(TERMS) | CASTED, grown, max_leaves=6), st.text(max_size=30)
)
USERS = pl.DataFrame(
    {
        "days": [3, None, 900, 12],
        "name": ["1", "x", None, "3"],
        "age": [1.5, float("nan"), None, 40.0],
        "flag": [True, False, None, True],
        "born": ["13/01/2000", None, "x", "y"],
    }
)


def check_condition(text):
    try:
        met = holds(USERS, text, "log.newcomers")
    except ConfigError as refusal:
        message = str(refusal)
    else:
        assert met.dtype == pl.Boolean
        assert len(met) == USERS.height
        return
    assert message.startswith("log.newcomers: ")
    assert "\n" not in message.replace(repr(text), "")
    assert len(message) < 2_000


@given(CONDITIONS)
@settings(max_examples=150)
def test_any_condition(text):
    check_condition(text)


@pytest.mark.slow
@given(CONDITIONS)
@settings(max_examples=5_000)
def test_five_thousand_conditions(text):
    check_condition(text)


def check_csv(folder, ids):
    file = folder / "e.csv"
    file.write_text("user_id,item_id,unused\n" + "".join(f'"{i}",1,{i}\n' for i in ids))
    column = read_frame(str(file), "log.events", "x", ["user_id", "item_id"])["user_id"]
    assert column.n_unique() == as_people_count(ids)
    try:
        log = read_log(OwnLog(events=str(file), users=str(file), newcomers="item_id = 1"))
    except UserError as refusal:
        message = str(refusal)
        assert "log.newcomers: everybody" in message or "rows repeat an user_id" in message
        return
    raise AssertionError(f"{log.n_users} users, all of them newcomers")


@given(ids=IDS)
@settings(max_examples=60)
def test_ids_of_a_csv_stay_apart(tmp_path_factory, ids):
    check_csv(tmp_path_factory.getbasetemp(), ids)


@pytest.mark.slow
@given(ids=IDS)
@settings(max_examples=2_000)
def test_ids_of_two_thousand_csv_files_stay_apart(tmp_path_factory, ids):
    check_csv(tmp_path_factory.getbasetemp(), ids)
