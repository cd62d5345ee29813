"""`recsys describe`: which file is which, what is printed, and a config that runs."""

import json
from pathlib import Path

import polars as pl
import pytest

from pipelines import cli


@pytest.fixture
def place(log_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log under other names of columns, in a folder of its own."""
    events = pl.read_csv(log_place / "events.csv")
    events.rename({"user_id": "userId", "item_id": "movieId"}).write_csv(tmp_path / "seen.csv")
    users = pl.read_csv(log_place / "users.csv").rename({"user_id": "userId"})
    users.write_csv(tmp_path / "people.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _ran(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["describe", *words]) == 0
    return capsys.readouterr().out


def test_it_says_what_the_log_holds(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = _ran(capsys, "people.csv", "seen.csv")
    assert text.startswith("seen: ")
    for words in ("200 users", "60 items", "No: the log has no times.", "days <= 30", "item_knn"):
        assert words in text
    (page,) = (place / "data/descriptions").rglob("description.html")
    html = page.read_text()
    assert "days &lt;= 30" in html
    assert "http" not in html


def test_the_config_that_is_printed_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_ran(capsys, "seen.csv", "people.csv", "--json"))
    assert found["columns"] == {"user_id": "userId", "item_id": "movieId"}
    Path("my.yaml").write_text(found["config"] + "\ntracking: {enabled: false}\n")
    words = ["run", "my.yaml", "--json", "log.placebo_draws=20", "evaluation.k=5"]
    assert cli.main(words) == 0
    verdict = json.loads(capsys.readouterr().out)["verdict"]
    assert verdict["answer"] in ("evidence", "no evidence", "not testable")


def test_two_names_of_one_column_cannot_stand_in_a_config(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.read_csv("people.csv").rename({"userId": "member"}).write_csv("people.csv")
    assert "# first, in people.csv, rename member to user_id" in _ran(
        capsys, "seen.csv", "people.csv"
    )


def test_names_of_columns_can_be_given(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = pl.read_csv("seen.csv").rename({"userId": "wer", "movieId": "was"})
    events.write_csv("other.csv")
    assert cli.main(["describe", "other.csv"]) == 2
    assert "user_id=COLUMN item_id=COLUMN" in capsys.readouterr().err
    assert "200 users" in _ran(capsys, "other.csv", "user_id=wer", "item_id=was")


def test_files_that_cannot_be_told_apart(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["describe", "people.csv"]) == 2
    assert "there are no events" in capsys.readouterr().err
    Path("seen2.csv").write_bytes(Path("seen.csv").read_bytes())
    assert cli.main(["describe", "seen.csv", "seen2.csv"]) == 2
    assert "both look like events" in capsys.readouterr().err
    pl.read_csv("seen.csv").rename({"movieId": "ware"}).write_csv("seen2.csv")
    assert cli.main(["describe", "seen2.csv", "people.csv"]) == 2
    assert "both look like users" in (said := capsys.readouterr().err)
    assert "user_id=COLUMN item_id=COLUMN" in said


def test_a_chart_of_arrivals(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = pl.read_csv("seen.csv").with_row_index()
    times = 1_735_700_000 + 43_200 * (pl.col("index") // 100)
    events.with_columns(timestamp=times).drop("index").write_csv("timed.csv")
    text = _ran(capsys, "timed.csv")
    assert "When are users first seen?  (by day)" in text
    assert "█" in text
    (page,) = (place / "data/descriptions").rglob("description.html")
    assert 'class="bar"' in page.read_text()


def test_a_shop_with_returns(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Purchases that weigh nothing by default, returns of parts, and times of publication."""
    events = pl.read_csv("seen.csv").with_row_index()
    back = events.filter(pl.col("index") % 7 == 0).with_columns(quantity=pl.lit(-1))
    bought = events.with_columns(quantity=pl.col("index").cast(pl.Int64) % 3 + 1)
    pl.concat([bought, back], how="diagonal_relaxed").drop("index").write_csv("orders.csv")
    items = pl.DataFrame({"movieId": events["movieId"].unique()}).with_columns(
        created_at=pl.lit("2025-01-13"), category=pl.col("movieId") % 2 == 0
    )
    items.write_csv("things.csv")
    found = json.loads(_ran(capsys, "orders.csv", "people.csv", "things.csv", "--json"))
    for line in (
        "columns: {user_id: userId, item_id: movieId, count: quantity, published: created_at}",
        'kinds: {purchase: "true"}',
        'cancels: {purchase: "count < 0"}',
        "weights: {purchase: 1}",
        "attributes: {topic: category}",
    ):
        assert f"  {line}\n" in found["config"]
    Path("my.yaml").write_text(found["config"] + "\ntracking: {enabled: false}\n")
    assert cli.main(["run", "my.yaml", "--json", "log.placebo_draws=20", "evaluation.k=5"]) == 0
    capsys.readouterr()
    text = _ran(capsys, "orders.csv", "people.csv", "things.csv")
    assert "events cancelled in part" in text
    assert "(as the config below says)" in text


def test_names_that_mean_something_in_sql_and_yaml(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns `order` and `group`; a value with a colon and one with a quote; the config runs."""
    events = pl.read_csv("seen.csv").with_row_index()
    acts = pl.Series(["view: it", "buy", "buy", "refund"] * events.height).head(events.height)
    events.with_columns(order=acts).drop("index").write_csv("orders.csv")
    users = pl.read_csv("people.csv")
    group = pl.when(pl.col("days") <= 30).then(pl.lit("a: b, c")).otherwise(pl.lit("o'd"))
    users.select("userId", group=group).write_csv("people.csv")
    found = json.loads(_ran(capsys, "orders.csv", "people.csv", "--json"))
    assert 'newcomers: "\\"group\\" = \'a: b, c\'"' in found["config"]
    Path("my.yaml").write_text(found["config"] + "\ntracking: {enabled: false}\n")
    words = ["run", "my.yaml", "--json", "log.placebo_draws=20", "evaluation.k=5"]
    words += ["evaluation.panel=40", "log.panel_min_events=1"]
    assert cli.main(words) == 0
