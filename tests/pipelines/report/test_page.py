"""The page of a study: what a terminal shows and more, as HTML that stands alone."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.report.page import save_page
from pipelines.report.phones import slots_of
from recsys.study.result import StudyResult

_FETCHED = {
    "src", "href", "action", "data", "poster", "srcset", "formaction", "background", "xlink:href",
}  # fmt: skip


class _Page(HTMLParser):
    """Cells of all tables, row by row, what elements refer to, and their ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.labels: list[str] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        self._open = tag in ("td", "th")
        if self._open:
            self.rows[-1].append("")
        for name, value in attrs:
            if name in _FETCHED:
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-label":
                self.labels.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = False


def _page(result: StudyResult, place: Path) -> str:
    save_page(result, place / "report.html")
    return (place / "report.html").read_text(encoding="utf-8")


def _data(text: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def test_a_run_leaves_a_page(finished: Path, world_result: StudyResult, tmp_path: Path) -> None:
    (path,) = (finished / "data/studies").glob("*/report.html")
    assert path.read_text(encoding="utf-8") == _page(world_result, tmp_path)


@pytest.mark.parametrize("kind", ["course_result", "log_result"])
def test_it_stands_alone(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    text = _page(request.getfixturevalue(kind), tmp_path)
    page = _Page(text)
    assert all(reference.startswith("#") for reference in page.references)
    assert {"link", "iframe", "object", "embed", "img"}.isdisjoint(page.tags)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert len(text.encode()) < 3_000_000
    assert text.count("window.vegaEmbed=") == 1  # the library is inside, once


def test_it_holds_the_tables(world_result: StudyResult, tmp_path: Path) -> None:
    rows = _Page(_page(world_result, tmp_path)).rows
    row = world_result.wins.filter(
        pl.col("day").is_null(), recommender="als", measure="utility", against="retrain"
    ).row(0, named=True)
    shares = [f"{100 * row[name]:.1f}" for name in ("wins", "losses", "ties")]
    assert ["als", *shares] in [cells[:4] for cells in rows]


def test_the_verdict_comes_first(world_result: StudyResult, tmp_path: Path) -> None:
    import recsys

    text = _page(world_result, tmp_path)
    places = [text.index(part) for part in ("<h1>", 'id="feeds"', 'id="pictures"', 'id="tables"')]
    assert places == sorted(places)
    first = recsys.verdict(world_result).sentences[0]
    head = text[: places[1]].replace("&#39;", "'")
    assert first in head


@pytest.mark.parametrize("taken", ["als", "trending"])
def test_the_phones_open_on_the_recommended_recommender(
    taken: str, world_result: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recsys

    found = recsys.verdict(world_result)
    monkeypatch.setattr(recsys, "verdict", lambda _: found._replace(recommended=(taken, "none")))
    phones = _data(_page(world_result, tmp_path), "phones-data")
    names = [each["name"] for each in phones["recommenders"]]
    assert names[0] == taken
    assert sorted(names) == ["als", "trending"]


def test_pictures_have_names_for_who_cannot_see_them(
    world_result: StudyResult, tmp_path: Path
) -> None:
    text = _page(world_result, tmp_path)
    plots = _data(text, "plots-data")
    assert text.count('role="img"') == text.count("data-plot=") == len(plots)
    assert all(_Page(text).labels)


ODD = "</script><b>&\"'"
NAMED = (
    "headline", "drift", "summary", "quantiles", "wins", "exposure", "per_user", "shown_users",
    "shown_posts", "groups",
)  # fmt: skip


def test_names_are_no_markup(world_result: StudyResult, tmp_path: Path) -> None:
    odd = pl.when(pl.col("recommender") == "als").then(pl.lit(ODD)).otherwise("recommender")
    renamed = world_result.with_tables(
        **{
            name: getattr(world_result, name).with_columns(odd.alias("recommender"))
            for name in NAMED
        },
        feeds=world_result.feeds.with_columns(
            pl.col("recommender").cast(pl.String).replace("als", ODD)
        ),
    )
    text = _page(renamed, tmp_path)
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text
    assert _data(text, "phones-data")["recommenders"][-1]["name"] in (ODD, "trending")
    assert ODD in {each["name"] for each in _data(text, "phones-data")["recommenders"]}


def test_what_posts_say_is_no_markup(world_result: StudyResult, tmp_path: Path) -> None:
    posts = world_result.shown_posts.with_columns(topic=pl.lit(ODD), title=pl.lit(f"{ODD} 2"))
    text = _page(world_result.with_tables(shown_posts=posts), tmp_path)
    assert "<b>" not in text
    assert {card[0] for card in _data(text, "phones-data")["cards"]} == {ODD}
    script = text[text.rindex("<script>") :]
    assert "innerHTML" not in script
    assert "insertAdjacentHTML" not in script


def test_phones_count_what_the_tables_count(world_result: StudyResult, tmp_path: Path) -> None:
    phones = _data(_page(world_result, tmp_path), "phones-data")
    measured = world_result.per_user.filter(
        pl.col("day").is_not_null(), arm="influx", seed=world_result.study.first_seed
    )
    compared = 0
    for key, (before, after, _) in phones["feeds"].items():
        recommender, _, user, day = (int(part) for part in key.split("."))
        mine = phones["recommenders"][recommender]
        row = measured.filter(
            pl.col("user_id").cast(pl.String) == mine["users"][user]["id"],
            recommender=mine["name"],
            day=phones["days"][day],
        ).row(0, named=True)
        new = sum(slot[2] == "new" for slot in after)
        assert new / len(after) == pytest.approx(row["slots_changed"])
        assert sum(slot[2] == "out" for slot in before) == new
        made = sum(phones["cards"][slot[0]][4] == "newcomer" for slot in after)
        assert made / len(after) == pytest.approx(row["newcomer_slots"])
        compared += 1
    assert compared == 2 * 2 * len(phones["recommenders"][0]["users"])


def test_moves_are_ranks(world_result: StudyResult, tmp_path: Path) -> None:
    phones = _data(_page(world_result, tmp_path), "phones-data")
    for before, after, _ in phones["feeds"].values():
        kept = [place for place, slot in enumerate(before) if slot[2] != "out"]
        came_from = [
            place + slot[2] for place, slot in enumerate(after) if isinstance(slot[2], int)
        ]
        assert sorted(came_from) == kept


def test_a_log_has_a_page(log_result: StudyResult, tmp_path: Path) -> None:
    text = _page(log_result, tmp_path)
    assert "How many users gain from the newcomers, how many lose?" in text
    phones = _data(text, "phones-data")
    assert phones["sides"][0] == "Trained without the newcomers"
    assert phones["days"] == []


def test_a_study_without_feeds_has_a_page(world_result: StudyResult, tmp_path: Path) -> None:
    text = _page(world_result.with_tables(feeds=world_result.feeds.clear()), tmp_path)
    assert 'id="feeds"' not in text
    assert 'id="pictures"' in text


def test_a_study_without_any_shown_post_has_no_slots():
    """Nothing is trending where all that was liked has been seen."""
    text = dict.fromkeys(("recommender", "mitigation", "arm"), pl.String)
    posts = pl.DataFrame(schema={**text, "seed": pl.Int64, "item_id": pl.Int64})
    feeds = pl.DataFrame(schema={**posts.schema, "user_id": pl.Int64, "day": pl.Int32})
    users = pl.DataFrame({"user_id": [3]})
    assert slots_of(feeds, posts, users, ["full"]) == {}
