"""Saved views: the state that MLflow's pages read, and where the links lead."""

import json
from urllib.parse import parse_qs

import pytest

from pipelines.tracking.views import (
    TAG,
    View,
    decoded,
    encoded,
    shared_views,
    views_of,
)

PARENT = "0123456789abcdef" * 2
EVERY = (
    *shared_views(),
    *views_of("world", "demo", PARENT),
    *views_of("log", "shop", PARENT),
    *views_of("world", "platforms-tiktok", PARENT, "platforms"),
)


@pytest.mark.parametrize("state", [{}, {"selectedColumns": ["metrics.`net_pct`"], "ü": [1, None]}])
def test_a_state_comes_back(state: dict[str, object]) -> None:
    text = encoded(state)
    assert text.startswith("deflate;")
    assert decoded(text) == state


@pytest.mark.parametrize("text", ["", "deflate;", "deflate;AAAA", "{}", encoded({})[:-6]])
def test_what_is_no_state_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a saved view|padding"):
        decoded(text)


def test_a_state_is_an_object() -> None:
    with pytest.raises(ValueError, match="not an object"):
        decoded(encoded([1]))  # type: ignore[arg-type]


@pytest.mark.parametrize("view", EVERY, ids=lambda view: view.key)
def test_a_view_is_saved_as_the_pages_save_theirs(view: View) -> None:
    """The pages take nothing without a name, a date and a state; a tag holds 5,000 characters."""
    saved = view.saved(7)
    found = json.loads(saved)
    assert (found["name"], found["createdAt"]) == (view.name, 7)
    assert len(saved) < 5000
    assert view.tag == TAG + view.key
    state = decoded(found["state"])
    assert state["searchFilter"] == view.runs
    assert state["columnOrder"] == state["selectedColumns"]
    sections = {section["uuid"] for section in state.get("compareRunSections", ())}
    assert {card["metricSectionId"] for card in state.get("compareRunCharts", ())} <= sections
    uuids = [card["uuid"] for card in state.get("compareRunCharts", ())]
    assert len(set(uuids)) == len(uuids) == len(view.charts)


def test_the_table_of_a_world_has_net_and_its_cost() -> None:
    table, charts = views_of("world", "demo", PARENT)
    assert table.columns == (
        "params.recommender",
        "params.mitigation",
        "metrics.changed_pct",
        "metrics.floor_pct",
        "metrics.newcomer_pct",
        "metrics.net_pct",
        "metrics.utility_pct",
        "metrics.n_seeds",
    )
    state = decoded(json.loads(table.saved())["state"])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`net_pct`", True)
    assert PARENT in table.runs
    assert {chart.kind for chart in charts.charts} == {"SCATTER", "BAR", "LINE"}
    for view in (table, charts):
        query = parse_qs(view.query)
        assert query["viewStateShareKey"] == [view.key]
        assert ("compareRunsMode" in query) == bool(view.charts)


def test_keys_never_meet() -> None:
    """A study may have the name of a view of ours, or one that is too long."""
    named = ("all", "recsys", "training", "demo-charts", "demo", "x" * 19, "x" * 20, "x" * 21)
    keys = [view.key for name in named for view in views_of("world", name, PARENT)]
    keys += [view.key for view in shared_views()]
    assert len(set(keys)) == len(keys)
    assert max(len(views_of("world", name, PARENT)[0].key) for name in named) == 19


def test_variants_share_a_table() -> None:
    first, second = (
        views_of("world", f"platforms-{n}", parent, "platforms")
        for n, parent in (("a", "1"), ("b", "2"))
    )
    assert first == second
    assert "tags.group = 'platforms'" in first[0].runs
    assert first[0].columns[0] == "tags.variant"


def test_other_programs_have_no_table_of_their_own() -> None:
    assert views_of("", "demo", PARENT) == ()
    assert views_of("training", "als", PARENT) == (shared_views()[1],)
