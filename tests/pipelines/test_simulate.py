"""The program that writes a synthetic log: what is read back, same bytes, exit codes."""

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import recsys
from pipelines import simulate as program
from pipelines.simulate import main
from pipelines.storage import files
from recsys.world.frames import users_frame
from recsys.world.simulate import simulate, simulate_arms

TARGET = Path("data/tiny-influx-seed-0")
RICH = "world.posts.per_creator_day=1"
"""So many posts that no visit is empty."""


def _bytes(place: Path) -> dict[str, bytes]:
    files = (path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def written(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny world's influx arm with its impressions; to be read only."""
    place = tmp_path_factory.mktemp("written") / "out"
    assert main([str(finished / "tiny.yaml"), RICH, "--impressions", "--out", str(place)]) == 0
    return place


@pytest.fixture(scope="session")
def world(finished: Path) -> recsys.config.World:
    return recsys.load_study(finished / "tiny.yaml", (RICH,)).world


@pytest.fixture(scope="session")
def sheet(written: Path) -> dict:
    return json.loads((written / "datasheet.json").read_text())


@pytest.fixture(scope="session")
def log(written: Path) -> recsys.InteractionLog:
    return recsys.InteractionLog.from_frames(
        pl.read_parquet(written / "events/*.parquet"),
        pl.read_parquet(written / "users.parquet"),
        pl.read_parquet(written / "items.parquet"),
    )


@pytest.mark.parametrize("arm", ["control", "influx", "placebo"])
@pytest.mark.parametrize("impressions", [True, False])
def test_log_read_back_is_the_simulations(
    arm: str, impressions: bool, world: recsys.config.World, fresh: Path
) -> None:
    flags = ["--impressions"] if impressions else []
    assert main(["tiny.yaml", RICH, "--arm", arm, "--seed", "5", *flags]) == 0
    place = fresh / f"data/tiny-{arm}-seed-5"
    events = pl.read_parquet(place / "events/*.parquet")
    users, items = (pl.read_parquet(place / f"{name}.parquet") for name in ("users", "items"))
    got = recsys.InteractionLog.from_frames(events, users, items)
    expected = simulate_arms(world, (arm,), 5, impressions=impressions)[arm].log
    assert_frame_equal(got.users, expected.users)
    assert_frame_equal(got.items, expected.items)
    assert_frame_equal(got.dense, expected.dense)
    assert got.cleaning["rows kept"] == got.cleaning["rows"] == events.height
    assert got.cleaning["rows out of order, sorted"] == 0


def test_parts_are_days_with_plain_columns(written: Path, world: recsys.config.World) -> None:
    parts = sorted((written / "events").iterdir())
    dates = [f"2025-01-{day:02}" for day in range(9, 15)]
    assert [part.name for part in parts] == [f"{date}.parquet" for date in dates]
    for part, date in zip(parts, dates, strict=True):
        frame = pl.read_parquet(part)
        assert frame.schema["user_id"] == frame.schema["item_id"] == pl.Int64
        assert frame["timestamp"].dt.date().cast(pl.String).unique().to_list() == [date]
        assert frame["timestamp"].is_sorted()
    items = pl.read_parquet(written / "items.parquet")
    last = pl.datetime(2025, 1, 9 + world.days_before + world.days_after, time_zone="UTC")
    assert items.select((pl.col("published") < last).all()).item()


def test_same_seed_same_bytes_whatever_the_threads(written: Path, fresh: Path) -> None:
    roots = [str(Path(recsys.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, roots)),
        "POLARS_MAX_THREADS": "1",
    }
    command = [sys.executable, "-m", "pipelines.simulate", "tiny.yaml", RICH, "workers=1"]
    done = subprocess.run(
        [*command, "--impressions"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(TARGET)
    assert "6/6 days" in done.stderr
    mine, theirs = _bytes(fresh / TARGET), _bytes(written)
    assert mine.keys() == theirs.keys()
    for name in mine.keys() - {"README.md", "datasheet.json"}:  # they name the command
        assert mine[name] == theirs[name], name


def test_another_seed_is_another_log(written: Path, fresh: Path) -> None:
    assert main(["tiny.yaml", RICH, "--seed", "1", "--impressions"]) == 0
    mine, theirs = _bytes(fresh / "data/tiny-influx-seed-1"), _bytes(written)
    assert all(mine[name] != theirs[name] for name in mine if name.startswith("events/"))


def test_sums_are_of_the_parts(written: Path, sheet: dict) -> None:
    sums = (written / "SHA256SUMS").read_text()
    assert sheet["digest"] == sha256(sums.encode()).hexdigest()
    listed = dict(reversed(line.split("  ")) for line in sums.splitlines())
    parts = {name: data for name, data in _bytes(written).items() if name.endswith(".parquet")}
    assert listed == {name: sha256(data).hexdigest() for name, data in parts.items()}


# The datasheet, counted again from the log


def test_counts(sheet: dict, log: recsys.InteractionLog) -> None:
    counts, kinds = sheet["counts"], log.dense["kind"].value_counts()
    assert counts["users_by_cohort"] == {"incumbent": 150, "newcomer": 40}
    assert {kind: n for kind, n in counts["events_by_kind"].items() if n} == dict(kinds.rows())
    assert counts["events"] == log.dense.height
    assert counts["impressions"] == counts["events_by_kind"]["impression"]
    for name in ("language", "format", "topic"):
        by = {key: n for key, n in counts[f"posts_by_{name}"].items() if n}
        assert by == dict(log.items[name].cast(pl.String).value_counts().rows())
    assert counts["creators"] == log.items["creator_id"].n_unique()
    creators = log.users.filter(pl.col("user_id").is_in(log.items["creator_id"].implode()))
    assert counts["creators_by_cohort"]["newcomer"] == (creators["cohort"] == "newcomer").sum()


def test_rates(sheet: dict, log: recsys.InteractionLog, world: recsys.config.World) -> None:
    events = log.events.join(log.users.select("user_id", "cohort"), on="user_id")
    # a visit is what begins at one moment: 8 s a rank, and the kind's number in milliseconds
    begins = pl.col("timestamp").dt.epoch("ms") - 8000 * (pl.col("rank").cast(pl.Int64) - 1)
    clicked = events.filter(pl.col("kind") == "click")
    a_visit = clicked.group_by("user_id", begins.alias("begins")).len()["len"]
    everybody = sheet["rates"]["all"]
    assert everybody["clicks_per_impression"] == pytest.approx(
        clicked.height / sheet["counts"]["impressions"]
    )
    assert everybody["clicks_per_visit_with_a_click"] == {
        "median": a_visit.quantile(0.5, "lower"),
        "mean": pytest.approx(a_visit.mean()),
        "p90": a_visit.quantile(0.9, "higher"),
    }
    shown = events.filter(pl.col("kind") == "impression")
    visits = shown.group_by("user_id", "cohort", begins.alias("begins")).len()
    assert visits.height == sheet["counts"]["visits"]
    incumbents = visits.filter(pl.col("cohort") == "incumbent").height
    days = world.days_before + world.days_after
    assert sheet["rates"]["incumbent"]["visits_per_person_and_day"] == pytest.approx(
        incumbents / (150 * days)
    )
    for cohort in ("incumbent", "newcomer"):
        theirs = events.filter(pl.col("cohort") == cohort)["kind"].value_counts()
        n = {"purchase": 0, "product_click": 0, **dict(theirs.rows())}
        rates = sheet["rates"][cohort]
        for kind, rate in (("product_click", "product_clicks"), ("purchase", "purchases")):
            expected = pytest.approx(1000 * n[kind] / n["impression"])
            assert rates[f"{rate}_per_1000_impressions"] == expected


def test_days(sheet: dict, log: recsys.InteractionLog) -> None:
    events = log.events.join(log.users.select("user_id", "cohort"), on="user_id").join(
        log.items.select("item_id", language="language"), on="item_id"
    )
    shown = events.filter(pl.col("kind") == "impression")
    assert [day["day"] for day in sheet["days"]] == [-3, -2, -1, 0, 1, 2]
    for day in sheet["days"]:
        today = shown.filter(pl.col("timestamp").dt.date().cast(pl.String) == day["date"])
        mine = today.filter(pl.col("cohort") == "incumbent")
        for cohort in ("incumbent", "newcomer"):
            people = today.filter(pl.col("cohort") == cohort)["user_id"].n_unique()
            assert day["active"][cohort] == people
        assert day["share_of_incumbents_active"] == day["active"]["incumbent"] / 150
        english = (mine["language"] == "en").mean()
        assert day["english_share_of_incumbents_impressions"] == pytest.approx(english)
    assert sheet["days"][-1]["english_share_of_incumbents_impressions"] > 0


def test_comments_across_languages(fresh: Path) -> None:
    """With a comment after each click there are many, and they are the log's."""
    actions = "world.behaviour.actions"
    assert main(["tiny.yaml", f"{actions}.comment=1", f"{actions}.comment_across=1"]) == 0
    sheet = json.loads((fresh / TARGET / "datasheet.json").read_text())["comments_across_languages"]
    events = pl.read_parquet(fresh / TARGET / "events/*.parquet")
    users = pl.read_parquet(fresh / TARGET / "users.parquet", columns=["user_id", "language"])
    items = pl.read_parquet(fresh / TARGET / "items.parquet")
    said = (
        events.filter(pl.col("kind") == "comment")
        .join(users.rename({"language": "user"}), on="user_id")
        .join(items.select("item_id", "language", "topic"), on="item_id")
    )
    across = said.filter(pl.col("user").cast(pl.String) != pl.col("language").cast(pl.String))
    assert sheet["comments"] == said.height
    assert sheet["across"] == across.height > 0
    for user, post in (("zh", "en"), ("en", "zh")):
        theirs = across.filter((pl.col("user") == user) & (pl.col("language") == post))
        name = f"{user} user on {post} post"
        assert sheet["by_direction"][name] == theirs.height
        by_topic = {topic: n for topic, n in sheet["by_direction_and_topic"][name].items() if n}
        assert by_topic == dict(theirs["topic"].cast(pl.String).value_counts().rows())


def test_impressions_are_counted_whether_written_or_not(sheet: dict, fresh: Path) -> None:
    assert main(["tiny.yaml", RICH]) == 0
    without = json.loads((fresh / TARGET / "datasheet.json").read_text())
    assert without["counts"]["events_by_kind"]["impression"] == 0
    assert without["counts"]["impressions"] == sheet["counts"]["impressions"]
    assert without["rates"] == sheet["rates"]
    for mine, theirs in zip(without["days"], sheet["days"], strict=True):
        assert {**mine, "events": 0} == {**theirs, "events": 0}


def test_command_in_the_datasheet_makes_the_same_data(fresh: Path) -> None:
    arguments = ["tiny.yaml", "--arm", "placebo", "world.incumbents=90", "--seed", "3"]
    assert main([*arguments, "--out", "first"]) == 0
    sheet = json.loads((fresh / "first/datasheet.json").read_text())
    words = sheet["command"].split()
    assert words[:2] == [".venv/bin/recsys", "simulate"]
    assert main(words[2:]) == 0
    assert _bytes(fresh / "data/tiny-placebo-seed-3") == _bytes(fresh / "first")


def test_readme_says_what_it_is(written: Path, sheet: dict) -> None:
    page = (written / "README.md").read_text()
    assert "synthetic" in page
    assert "Apache-2.0" in page
    assert sheet["digest"] in page
    assert sheet["command"] in page
    assert "None" not in page


def test_a_world_without_newcomers_has_a_page_too(fresh: Path) -> None:
    assert main(["tiny.yaml", "--arm", "control", "--out", "control"]) == 0
    sheet = json.loads((fresh / "control/datasheet.json").read_text())
    assert sheet["rates"]["newcomer"]["clicks_per_impression"] is None
    assert sheet["counts"]["users_by_cohort"]["newcomer"] == 0
    assert "None" not in (fresh / "control/README.md").read_text()


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["log.yaml"], "has no world to simulate"),
        (["nowhere.yaml"], "there is no such file"),
        (["tiny.yaml", "world.incumbent=3"], "did you mean 'incumbents'"),
        (["tiny.yaml", "--out", "taken"], "taken exists already; --force replaces it"),
        (["tiny.yaml", "--out", "taken", "--force"], "is not a data set of this program"),
        (["tiny.yaml", "--out", "tiny.yaml/below"], "cannot write to"),
    ],
)
def test_mistake_is_one_message_and_leaves_no_trace(
    arguments: list[str], words: str, fresh: Path, log_place: Path, capsys
) -> None:
    for file in log_place.iterdir():
        if file.is_file():
            shutil.copy(file, fresh)
    (fresh / "taken").mkdir()
    (fresh / "taken/precious.txt").write_text("mine")
    before = sorted(fresh.rglob("*"))
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert words in streams.err
    assert "Traceback" not in streams.err
    assert streams.out == ""
    assert sorted(fresh.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments", [["--arm", "influks"], ["--seed", "-1"], ["--seed", "x"], ["--arm", "retrain"]]
)
def test_unknown_choice_is_an_error(arguments: list[str], fresh: Path, capsys) -> None:
    assert main(["tiny.yaml", *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_force_replaces_a_data_set(fresh: Path) -> None:
    assert main(["tiny.yaml", "--impressions"]) == 0
    before = _bytes(fresh / TARGET)
    assert main(["tiny.yaml"]) == 2
    assert _bytes(fresh / TARGET) == before
    assert main(["tiny.yaml", "--force"]) == 0
    assert _bytes(fresh / TARGET) != before
    assert [path.name for path in (fresh / "data").iterdir()] == [TARGET.name]


@pytest.mark.parametrize("force", [False, True])
def test_interrupted_run_leaves_what_was_there(
    force: bool, fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    if force:
        assert main(["tiny.yaml"]) == 0
    before = _bytes(fresh)
    days = program._days

    def stopped(*arguments):
        for number, day in enumerate(days(*arguments)):
            if number == 4:
                raise KeyboardInterrupt
            yield day

    monkeypatch.setattr(program, "_days", stopped)
    assert main(["tiny.yaml", *["--force"][:force]]) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert _bytes(fresh) == before
    assert not list(fresh.rglob(".part-*"))


def test_killed_run_leaves_nothing_at_the_target(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a SIGKILL leaves it: no code of ours runs after it."""
    with monkeypatch.context() as patch:
        patch.setattr(files, "_delete", lambda _: None)
        patch.setattr(program, "_sums", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(["tiny.yaml"]) == 130
    assert not (fresh / TARGET).exists()
    (left,) = (fresh / "data").iterdir()
    assert left.name.startswith(".part-")
    assert main(["tiny.yaml"]) == 0


def test_memory_holds_one_day(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day is on disk before the next one begins."""
    seen: list[int] = []
    days = program._days

    def watched(*arguments):
        for day in days(*arguments):
            (part,) = (fresh / "data").glob(".part-*/events")
            seen.append(len(list(part.iterdir())))
            yield day

    monkeypatch.setattr(program, "_days", watched)
    assert main(["tiny.yaml"]) == 0
    assert seen == list(range(6))


def test_users_frame_is_the_last_runs(written: Path, world: recsys.config.World) -> None:
    people = simulate(world, "influx", 0).people
    users = pl.read_parquet(written / "users.parquet")
    assert_frame_equal(users, users_frame(world, people))
    np.testing.assert_array_equal(users["user_id"], np.arange(190))
