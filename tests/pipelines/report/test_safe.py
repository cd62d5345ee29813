"""Names from data or config stay text in every page, plot and terminal, whatever they hold."""

import io
import re

import polars as pl
import pytest
import vl_convert
from rich.console import Console

import recsys
from pipelines.report.console import print_section, stdout
from pipelines.report.datasheet import escaped
from pipelines.report.page import save_page
from pipelines.report.section import Section
from pipelines.report.terminal import print_summary
from recsys.core.errors import ConfigError, visible
from recsys.study.tables.channels import COLUMNS
from recsys.study.tables.table import schema_of
from tests.kit.tiny import with_days

EVIL = (
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "a\x1b[31m\x07\u202e]]>&lt;<!--",
)
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def result():
    """A study whose recommenders, mitigation and topics are called so, with plots of all kinds."""
    topics = dict.fromkeys((*EVIL, "pets"), 1.0)
    study = recsys.load_study(
        {
            "name": "evil",
            "world": {
                "incumbents": 120,
                "days_before": 2,
                "days_after": 5,
                "influx": {"kind": "rednote_2025", "newcomers": 20},
                "population": {"incumbents": {"topics": topics}, "newcomers": {"topics": topics}},
            },
            "recommenders": [
                {"kind": "trending", "name": EVIL[0]},
                {"kind": "random", "name": EVIL[2]},
            ],
            "mitigations": [[{"kind": "cap", "name": EVIL[1]}]],
            "evaluation": {"days": [0, 1, 2, 3, 4], "panel": 20, "k": 5, "groups": ["main_topic"]},
            "arms": ["control", "influx", "placebo", "nudge"],
            "seeds": 2,
        }
    )
    result = recsys.run(study)
    rows = [
        {
            "recommender": name,
            "mitigation": EVIL[1],
            "measure": "posts",
            "part": "shapley",
            "channel": "supply",
            "mean": 0.1,
            "ci_low": 0.0,
            "ci_high": 0.2,
        }
        for name in (EVIL[0], EVIL[2])
    ]
    return with_days(result, (0, 1, 2, 3, 4)).with_tables(
        channels=pl.DataFrame(rows, schema=schema_of(COLUMNS))
    )


def own(text):
    """A page without the library that draws its charts."""
    library = vl_convert.javascript_bundle().replace("</script", "<\\/script")
    before, after = text.split(library)
    return before + after


def test_names_stay_text_in_pages(result, tmp_path):
    path = tmp_path / "page.html"
    save_page(result, path)
    text = own(path.read_text(encoding="utf-8"))
    assert "alert(1)" in text  # the name is shown
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "<!--" not in text
    assert UNSEEN.search(text.replace("\t", " ")) is None
    assert r"\x1b[31m\x07" in text.replace("\\\\", "\\")


def test_pages_of_scripts_end_their_scripts_themselves(result, tmp_path):
    save_page(result, tmp_path / "evil.html")
    text = (tmp_path / "evil.html").read_text(encoding="utf-8")
    assert len(re.findall(r"</script>", own(text))) == len(re.findall(r"<script[ >]", own(text)))


def test_names_stay_text_on_a_terminal(result, monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr("sys.stdout", file)
    print_summary(stdout(), result, recsys.verdict(result))
    stdout().print(f"one {EVIL[2]}\ntwo")
    assert UNSEEN.search(file.getvalue()) is None
    assert "one a\\x1b[31m\\x07\\u202e]]>&lt;<!--\ntwo" in file.getvalue()


def test_no_line_of_a_table_can_be_faked():
    file = io.StringIO()
    section = Section("a\nb", ("name", "x"), (("als\nease 1.0", "2\r3"),), ("c\nd",))
    print_section(Console(file=file, width=80), section)
    assert file.getvalue().count("\n") == 5  # the title, two lines of the table, a line, none
    assert "als\\nease 1.0" in file.getvalue()


def test_errors_show_what_they_quote():
    error = ConfigError(f"no kind {EVIL[2]}\nin line 2")
    assert UNSEEN.search(str(error)) is None
    assert str(error).splitlines()[1] == "in line 2"


@pytest.mark.parametrize("text", ["plain", "zwölf · 中文 · 👩‍🌾", "α ≤ β"])
def test_other_writing_stays_as_it_is(text):
    assert visible(text) == escaped(text) == text


def test_cells_of_a_datasheet():
    assert escaped("a|b<c>\n") == "a\\|b&lt;c>\\n"
