"""The page of a study: what a terminal shows and more, as HTML that stands alone."""

import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl

from pipelines.report.page import save_page
from recsys.study.result import StudyResult


class _Tables(HTMLParser):
    """Cells of all tables, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        self._open = tag in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1].append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = False


def _page(result: StudyResult, place: Path) -> str:
    save_page(result, place / "report.html")
    return (place / "report.html").read_text(encoding="utf-8")


def test_a_run_leaves_a_page(finished: Path, world_result: StudyResult, tmp_path: Path) -> None:
    (path,) = (finished / "data/studies").glob("*/report.html")
    assert path.read_text(encoding="utf-8") == _page(world_result, tmp_path)


def test_it_stands_alone_and_holds_the_tables(world_result: StudyResult, tmp_path: Path) -> None:
    text = _page(world_result, tmp_path)
    assert not re.search(r"https?://(?!www\.w3\.org)|<script|<link", text)
    parser = _Tables()
    parser.feed(text)
    row = world_result.wins.filter(
        pl.col("day").is_null(), recommender="als", measure="utility", against="retrain"
    ).row(0, named=True)
    shares = [f"{100 * row[name]:.1f}" for name in ("wins", "losses", "ties")]
    assert ["als", *shares] in [cells[:4] for cells in parser.rows]
    assert "Drift over the days" not in text  # two days are no course


def test_names_are_no_markup(world_result: StudyResult, tmp_path: Path) -> None:
    odd = pl.when(pl.col("recommender") == "als").then(pl.lit("<b>&")).otherwise("recommender")
    renamed = world_result.with_tables(
        **{
            name: getattr(world_result, name).with_columns(odd.alias("recommender"))
            for name in ("headline", "drift", "summary", "wins", "exposure")
        },
    )
    text = _page(renamed, tmp_path)
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text


def test_bands_are_shaded_where_there_is_a_course(
    course_result: StudyResult, tmp_path: Path
) -> None:
    text = _page(course_result, tmp_path)
    assert text.count("<svg") == 1
    svg = text[text.index("<svg") : text.index("</svg>")]
    areas = re.findall(r'<path[^>]* d="([^"]+)"[^>]*fill="#2f6fb0"[^>]*>', svg) or re.findall(
        r'<path[^>]*fill="#2f6fb0"[^>]* d="([^"]+)"', svg
    )
    # slots and mix of two recommenders: an area each, with two edges of five days
    assert sum(area.count("L") >= 9 for area in areas) == 4
    assert "the band holds the true composition of all days at once" in text


def test_a_log_has_a_page(log_result: StudyResult, tmp_path: Path) -> None:
    text = _page(log_result, tmp_path)
    assert "no evidence that newcomers did it" in text or "evidence that newcomers" in text
    assert "How many users gain from the newcomers, how many lose?" in text
