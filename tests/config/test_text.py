"""The text of a config: names stay names; whatever stands in it ends in values or in a message."""

import json
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.config.text import MOST_BYTES, MOST_LEVELS, leaves, merged, nested, parsed, plain
from recsys.core.errors import ConfigError
from tests.kit.small_study import CONFIG


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", 7),
        ("-08", -8),
        ("0o17", 15),
        ("0x1F", 31),
        ("+3", 3),
        ("1e-3", 1e-3),
        ("1E6", 1e6),
        (".5", 0.5),
        ("2.", 2.0),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
    ],
)
def test_numbers_and_truth_values(text, value):
    (found,) = parsed(f"[{text}]", "text") if text else [parsed(text, "text")]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "off",
        "yes",
        "No",
        "y",
        "n",
        "12:30:45",
        "1_000",
        "0b11",
        "2025-02-30",
        "1.2.3",
        "=",
        "e5",
    ],
)
def test_names_stay_names_as_values_and_as_keys(text):
    assert parsed(text, "text") == text
    assert parsed(f"{text}: {text}", "text") == {text: text}


def test_keys_are_text_as_they_stand():
    assert parsed("{01: a, 1: b, null: c, true: d}", "text") == {
        "01": "a",
        "1": "b",
        "null": "c",
        "true": "d",
    }


def test_quotes_make_text():
    assert parsed("['010', \"true\", !!str 010]", "text") == ["010", "true", "010"]


def test_a_recommender_may_be_called_on():
    study = recsys.load_study(CONFIG, ["recommenders=[{kind: trending, name: off}]"])
    assert study.recommenders[0].name == "off"
    with pytest.raises(ConfigError, match="it is 7; put it in quotes if it is a name"):
        recsys.load_study(CONFIG, ["recommenders=[{kind: trending, name: 007}]"])
    with pytest.raises(ConfigError, match="it is 'on'; write true or false"):
        recsys.load_study(CONFIG, ["channels=on"])


def test_anchors_and_merges():
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: [{x: 5}, *b]}"
    found = parsed(text, "text")
    assert found["one"] == {"x": 1, "y": 3}
    assert found["two"] == {"x": 5, "y": 2}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 40 + "]" * 40, "is nested more than 32 levels deep"),
        ("- " * 5000, "is nested more than 32 levels deep"),
        ("&a [*a]", "is nested more than 32 levels deep"),
        ("{a: " * 10_000, "is nested more than 32 levels deep"),
        (BOMB, "holds more than 50,000 values"),
        ("[" + "a," * 60_000 + "]", "holds more than 50,000 values"),
        ("x" * (MOST_BYTES + 1), "characters, and a config may hold 262,144"),
        ("1" * 65, "a number of 65 digits"),
        ("0x" + "f" * 5000, "a number of 5,002 digits"),
        ("1." + "1" * 5000, "a number of 5,002 digits"),
        ("!!binary aGk=", r"in line 1, column 1: the tag '!!binary' is not read"),
        ("{a: 1, !!python/name:os.system : 2}", "a key must be text"),
        ("? [1, 2]\n: 3", "a key must be text"),
        ("a: 1\na: 2", "in line 2, column 1: the key 'a' stands there twice"),
        ("a: b: c", "in line 1, column 5"),
        ("a: *nowhere", "undefined alias"),
        ("a\n---\nb", "another document"),
        ('"\\0"', "a character that no text has"),
        ('"\\ud800"', "a character that no text has"),
        ("\x07", "special characters are not allowed"),
        ("<<: 5", "<<: takes a mapping"),
    ],
)
def test_what_is_refused_takes_one_sentence_and_no_time(text, message):
    start = time.process_time()
    with pytest.raises(ConfigError, match=message) as caught:
        parsed(text, "study.yaml")
    assert time.process_time() - start < 5
    assert str(caught.value).startswith("study.yaml: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def deep(levels):
    return {"a": deep(levels - 1)} if levels else 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (deep(100), "is nested more than"),
        ({"a": {1, 2}}, "holds a set"),
        ({"a": b"x"}, "holds a bytes"),
        ({"a": 1j}, "holds a complex"),
        ({b"a": 1}, "a key must be text, but one is a bytes"),
        ({None: 1}, "a key must be text, but one is a NoneType"),
        ({"a": 10**5000}, "a number of"),
        ({"1": 1, 1: 2}, "the keys 1 and '1' are the same in a config"),
        ({"a": "x\0"}, "a character that no text has"),
        ({"a": [1] * 60_000}, "holds more than"),
    ],
)
def test_mappings_have_the_same_bounds(content, message):
    with pytest.raises(ConfigError, match=message):
        plain(content, "config")


def test_values_of_python_become_those_of_a_file():
    made = plain(
        {
            "n": np.int64(3),
            "x": np.float32(0.5),
            "on": date(2025, 1, 2),
            "at": Path("a"),
            7: (1,),
        },
        "config",
    )
    assert made == {"n": 3, "x": 0.5, "on": "2025-01-02", "at": "a", "7": [1]}
    assert json.dumps(made)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (".".join("a" * 300) + "=1", "is nested more than"),
        ("a..b=1", "a key between the dots is empty"),
        ("=1", "a key between the dots is empty"),
        ("seeds=" + "9" * 300, "a number of 300 digits"),
    ],
)
def test_overrides_have_bounds(override, message):
    with pytest.raises(ConfigError, match=message):
        recsys.load_study(CONFIG, [override])


def test_the_number_of_overrides_has_a_bound():
    with pytest.raises(ConfigError, match=r"2,000 overrides of 14,000 characters are more than"):
        recsys.load_study(CONFIG, ["seeds=2"] * 2000)
    assert recsys.load_study(CONFIG, ["seeds=2"] * 500).seeds == 2


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/dev/null", "."])
def test_names_of_files_that_cannot_be_read(name):
    with pytest.raises(ConfigError, match=r"no such file|cannot be read"):
        recsys.load_study(name)


def test_a_large_file_is_refused_before_it_is_read_whole(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_text("days: [" + "1, " * 4_000_000 + "1]")
    start = time.process_time()
    with pytest.raises(ConfigError, match="a config may hold 262,144"):
        recsys.load_study(path)
    assert time.process_time() - start < 1


def test_a_dot_may_be_part_of_a_key():
    assert nested(r"log.columns.item\.id", 1, "x") == {"log": {"columns": {"item.id": 1}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world": {"incumbents": 10**12}}, "should be less than or equal to 5000000"),
        ({"world": {"influx": {"newcomers": 10**12}}}, "should be less than or equal to 5000000"),
        (
            {"world": {"incumbents": 5_000_000, "platform": {"seen_memory": 8192}}},
            r"the world would take about \d+ GB, and 64 GB are the most; lower incumbents",
        ),
        (
            {"world": {"incumbents": 5_000_000, "posts": {"per_creator_day": 90.0}}},
            r"the world would take about \d+ GB",
        ),
        ({"world": {"behaviour": {"taste": 1e300}}}, "should be less than or equal to 1000000000"),
        ({"world": {"start": "9999-12-31"}}, "should be less than or equal to 2095-01-01"),
        ({"world": {"population": {"incumbents": {"topics": {}}}}}, "at least 1 item"),
        ({"recommenders": [{"kind": "als", "name": "x" * 101}]}, "at most 100 characters"),
        ({"recommenders": [{"kind": "als", "name": ""}]}, "at least 1 character"),
    ],
)
def test_sizes_of_worlds_have_bounds(change, message):
    with pytest.raises(ConfigError, match=message):
        recsys.load_study(merged(CONFIG, change))


def test_many_mistakes_are_counted():
    with pytest.raises(ConfigError) as caught:
        recsys.load_study({**CONFIG, **{f"key{n}": n for n in range(1000)}})
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "config: and 980 more mistakes"


# Any text, and any values


def pieces():
    return st.sampled_from(
        [
            *("name: x\n", "seeds: ", "world: ", "{", "}", "[", "]", ": ", ", ", "- ", "\n", "  "),
            *("&a ", "*a", "<<: ", "!!", "? ", "| ", "> ", "'", '"', "#", "\t", "%", "@", "`"),
            *(
                "010",
                "1e999",
                "0x",
                "on",
                "~",
                ".nan",
                "${x}",
                "???",
                "\\",
                "é",
                "\u2028",
                "\ufeff",
            ),
            *("recommenders: [als]\n", "evaluation:\n", "  k: ", "---\n", "...", "=", "--"),
        ]
    )


def texts():
    return st.lists(pieces() | st.text(max_size=4), max_size=30).map("".join)


def values():
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=8)
        | st.dates()
        | st.sampled_from([10**100, -1, 0, "als", "rednote_2025", "my:Class"])
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=12,
    )


FULL = recsys.load_study(CONFIG).model_dump(mode="json")
KEYS = sorted({key for path in leaves(FULL) for key in path.split(".")})
PATHS = sorted(set(leaves(FULL)))


def ends_well(source, overrides=()):
    """A study, or an error in words; nothing else may leave `load_study`."""
    said = "a study"
    try:
        recsys.load_study(source, overrides, trust=False)
    except ConfigError as error:
        said = str(error)
    assert 0 < len(said) < 20_000


def check_texts(text, folder):
    path = folder / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    ends_well(path)
    ends_well(CONFIG, [text])
    ends_well(CONFIG, [f"{text}=1", f"world={text}"])


def check_values(path, value):
    ends_well(CONFIG, [f"{path}={value!r}"])
    ends_well(merged(CONFIG, nested(path, value, "config")) if not broken(path, value) else CONFIG)


def broken(path, value):
    try:
        merged(CONFIG, nested(path, value, "config"))
    except ConfigError:
        return True
    return False


@settings(max_examples=60)
@given(text=texts())
def test_any_text_ends_in_a_study_or_a_message(text, tmp_path_factory):
    check_texts(text, tmp_path_factory.getbasetemp())


@settings(max_examples=60)
@given(path=st.sampled_from(PATHS), value=values())
def test_any_value_of_any_key_ends_in_a_study_or_a_message(path, value):
    check_values(path, value)


@pytest.mark.slow
@settings(max_examples=2500)
@given(text=texts())
def test_thousands_of_texts(text, tmp_path_factory):
    check_texts(text, tmp_path_factory.getbasetemp())


@pytest.mark.slow
@settings(max_examples=2500)
@given(path=st.sampled_from(PATHS), value=values())
def test_thousands_of_values(path, value):
    check_values(path, value)


def test_the_deepest_key_is_far_from_the_bound():
    assert max(path.count(".") for path in leaves(FULL)) + 1 < MOST_LEVELS / 4 + 1
