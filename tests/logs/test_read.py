"""A platform's own log, read as its config says; and the checks before a study of it runs."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from recsys import load_study
from recsys.config import FirstSeen, Newcomers, OwnLog
from recsys.core.errors import ConfigError, LogError, UserError
from recsys.logs.read import read_log, read_own_log
from recsys.study import plan

EVENTS = pl.DataFrame(
    {
        "who": ["ann", "ann", "bob", "cem", "bob"],
        "video": [1, 2, 1, 3, 2],
        "when": ["2025-01-01", "2025-01-02", "2025-01-02", "2025-01-03", "2025-01-04"],
        "watched": [1, 0, 1, 1, 0],
        "liked": [1, 0, 0, 1, 0],
    }
)
USERS = pl.DataFrame({"who": ["ann", "bob", "cem", "dee"], "days": [500, None, 5, 1]})
ITEMS = pl.DataFrame({"video": [1, 2, 3, 4], "genre": ["pets", "food", "pets", None]})
COLUMNS = {"user_id": "who", "item_id": "video", "timestamp": "when"}


@pytest.fixture(params=["parquet", "csv"])
def files(request, tmp_path):
    paths = {}
    for name, frame in {"events": EVENTS, "users": USERS, "items": ITEMS}.items():
        paths[name] = str(tmp_path / f"{name}.{request.param}")
        (frame.write_parquet if request.param == "parquet" else frame.write_csv)(paths[name])
    return {**paths, "columns": COLUMNS, "newcomers": "days < 50"}


@pytest.mark.parametrize("files", ["parquet", "csv"], indirect=True)
def test_files_become_a_log(files):
    log = read_log(OwnLog(**files))
    assert log.users["user_id"].to_list() == ["ann", "bob", "cem", "dee"]
    assert log.newcomers.tolist() == [False, False, True, True]  # unknown days: an incumbent
    assert log.events["item_id"].to_list() == [1, 2, 1, 3, 2]
    assert log.events["kind"].to_list() == ["click"] * 5
    assert log.events["timestamp"][0] == datetime(2025, 1, 1, tzinfo=UTC)
    assert log.item_codes("genre")[1] == ["food", "pets", "unknown"]


def test_kinds_by_the_first_condition_that_holds(files):
    kinds = {"like": "liked = 1", "click": "watched = 1"}
    log = read_log(OwnLog(**files, kinds=kinds))
    assert log.events["kind"].to_list() == ["like", "impression", "click", "like", "impression"]
    log = read_log(OwnLog(**files, kinds=dict(reversed(kinds.items()))))
    assert log.events["kind"].to_list() == ["click", "impression", "click", "click", "impression"]


def test_conditions_may_use_either_name_of_a_mapped_column(files):
    log = read_log(OwnLog(**{**files, "newcomers": "user_id = 'ann'"}))
    assert log.newcomers.tolist() == [True, False, False, False]
    log = read_log(OwnLog(**{**files, "newcomers": "days in (5, 1) or user_id like 'z%'"}))
    assert log.newcomers.tolist() == [False, False, True, True]


def test_rare_items_are_left_out(files):
    files["newcomers"] = "user_id = 'bob'"
    log = read_log(OwnLog(**files, kinds={"click": "watched = 1"}, min_item_events=2))
    assert log.events["item_id"].to_list() == [1, 1]  # item 2 has two events, none of them positive
    assert log.n_items == 4
    assert log.cleaning["rows of items with fewer than 2 likes, dropped"] == 3
    assert log.cleaning["rows kept"] == 2


def test_a_column_that_has_our_name_already_gives_way(tmp_path):
    EVENTS.with_columns(user_id=pl.lit("nobody")).write_parquet(tmp_path / "events.parquet")
    USERS.write_parquet(tmp_path / "users.parquet")
    paths = {name: str(tmp_path / f"{name}.parquet") for name in ("events", "users")}
    log = read_log(OwnLog(**paths, columns=COLUMNS, newcomers="days < 50"))
    assert log.events["user_id"].to_list() == ["ann", "ann", "bob", "cem", "bob"]


@pytest.mark.parametrize("files", ["parquet"], indirect=True)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"events": "nowhere/e.csv"},
            ConfigError,
            "nowhere/e.csv; put a Parquet or CSV file there",
        ),
        ({"users": "nowhere/u.csv"}, ConfigError, "log.users: no file at /"),
        ({"users": None}, ConfigError, "log.users: give the users' file"),
        (
            {"columns": {**COLUMNS, "item_id": "film"}},
            ConfigError,
            "log.columns.item_id: no file has a column 'film'. The files have events: who, video",
        ),
        ({"columns": {"user_id": "who"}}, LogError, "no column 'item_id'"),
        ({"newcomers": "days <"}, ConfigError, "log.newcomers: cannot evaluate 'days <'"),
        ({"newcomers": ""}, ConfigError, "log.newcomers: cannot evaluate ''"),
        ({"newcomers": "age < 5"}, ConfigError, 'unable to find column "age"'),
        ({"newcomers": "days + 1"}, ConfigError, "'days + 1' gives Int64, not true or false"),
        ({"newcomers": "days < 5; drop table users"}, ConfigError, "cannot evaluate"),
        ({"newcomers": "user_id < 5"}, ConfigError, "log.newcomers: cannot evaluate"),
        ({"newcomers": "days < '5'"}, ConfigError, "log.newcomers: cannot evaluate"),
        ({"newcomers": "days < 0"}, LogError, "no newcomers to compare"),
        ({"newcomers": "days < 3"}, LogError, "nobody with events is a newcomer by 'days < 3'"),
        ({"newcomers": "days > 0 or days is null"}, LogError, "no incumbents to compare"),
        ({"kinds": {"lik": "liked = 1"}}, ConfigError, "log.kinds: no kind of event 'lik'; known:"),
        ({"kinds": {"like": "liked ="}}, ConfigError, "log.kinds.like: cannot evaluate"),
        ({"kinds": {"like": "liked"}}, ConfigError, "log.kinds.like: 'liked' gives Int64"),
        ({"weights": {"lik": 1}}, ConfigError, "log.weights: no kind of event 'lik'; known: impr"),
        (
            {"weights": {"like": 1}, "columns": {**COLUMNS, "weight": "liked"}},
            ConfigError,
            "log.weights: the events already have a column weight",
        ),
        ({"cancels": {"lik": "liked = 0"}}, ConfigError, "log.cancels: no kind of event 'lik' to"),
        ({"cancels": {"impression": "liked = 0"}}, ConfigError, "no kind of event 'impression' to"),
        (
            {"cancels": {"like": "unlike"}},
            ConfigError,
            "log.cancels.like: cannot evaluate 'unlike'",
        ),
        ({"cancels": {"like": "liked + 1"}}, ConfigError, "'liked + 1' gives Int64, not true or"),
        ({"newcomers": "auto"}, LogError, "auto needs 21 days after the first 1,"),
        ({"min_item_events": 9}, LogError, "log.min_item_events: no item has 9 positive events"),
    ],
)
def test_bad_sources(files, change, error, message):
    with pytest.raises(error) as caught:
        read_log(OwnLog(**{**files, **change}))
    assert message in str(caught.value)


def test_a_missing_file_is_named_by_its_absolute_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        read_log(OwnLog(events="data/e.parquet", users="u.parquet", newcomers="true"))
    assert f"log.events: no file at {tmp_path / 'data' / 'e.parquet'}" in str(caught.value)


def test_weights_by_kind_and_what_they_take_back(files):
    kinds = {"like": "liked = 1", "hide": "watched = 0"}
    log = read_log(OwnLog(**files, kinds=kinds, weights={"like": 2.5, "hide": -1}))
    assert log.events["weight"].to_list() == [2.5, 0, 0, 2.5, 0]
    assert log.cleaning["negative events, seen only"] == 2


@pytest.mark.parametrize("how", ["unlike", "act = 'unlike'"])
def test_cancels_by_condition_or_by_kind(tmp_path, how):
    name = "kind" if how == "unlike" else "act"
    acts = ["like", "like", "unlike", "like", "unlike"]
    EVENTS.with_columns(pl.Series(name, acts), video=pl.Series([1, 1, 1, 3, 2])).write_csv(
        tmp_path / "e.csv"
    )
    USERS.write_csv(tmp_path / "u.csv")
    kinds = {} if how == "unlike" else {"like": "act = 'like'"}
    log = read_log(
        OwnLog(
            events=str(tmp_path / "e.csv"),
            users=str(tmp_path / "u.csv"),
            columns=COLUMNS,
            kinds=kinds,
            cancels={"like": how},
            newcomers="days < 50",
        )
    )
    # ann liked 1 twice; bob's cancel of 1 finds no like of his own, nor does that of 2
    assert log.events["kind"].to_list() == ["like", "like", "impression", "like", "impression"]
    assert log.cleaning["cancelling rows with nothing to cancel, seen only"] == 2


def test_days_first_in_a_csv_are_refused_where_they_are_used(tmp_path):
    text = "user_id,item_id,timestamp,born\n1,2,{},03/04/1990\n2,2,{},05/06/1990\n"
    (tmp_path / "e.csv").write_text(text.format("03/04/2025", "05/06/2025"))
    with pytest.raises(LogError, match=r"timestamp are no times, such as '03/04/2025' in row 1;"):
        read_log(OwnLog(events=str(tmp_path / "e.csv"), newcomers="auto"))
    with pytest.raises(ConfigError, match="born holds dates such as '03/04/1990', which can be"):
        read_log(OwnLog(**both(tmp_path, text), newcomers="born > '2000-01-01'"))
    log = read_log(OwnLog(**both(tmp_path, text), newcomers="user_id = 1"))
    assert log.users["born"].to_list() == ["03/04/1990", "05/06/1990"]


def both(folder, text):
    """The same file as events and as users."""
    (folder / "both.csv").write_text(text.format("2025-04-03", "2025-06-05"))
    return {"events": str(folder / "both.csv"), "users": str(folder / "both.csv")}


def test_newcomers_by_time_need_no_users(files):
    window = Newcomers(first_seen=FirstSeen(from_=date(2025, 1, 2), to=date(2025, 1, 2)))
    own = read_own_log(OwnLog(**{**files, "users": None, "newcomers": window}))
    ids = own.log.users["user_id"]
    assert ids.filter(own.log.newcomers).to_list() == ["bob"]
    assert ids.filter(own.bystanders).to_list() == ["cem"]
    assert own.arrived == date(2025, 1, 2)


def test_the_first_event_counts_even_if_its_item_is_left_out(files):
    """bob is first seen with item 1, which nobody likes; without it he would come on the 4th."""
    changed = EVENTS.with_columns(
        video=pl.Series([1, 2, 1, 2, 2]), watched=pl.Series([0, 1, 0, 1, 1])
    )
    changed.write_csv(files["events"] + ".csv")
    window = Newcomers(first_seen=FirstSeen(from_=date(2025, 1, 3)))
    files |= {"events": files["events"] + ".csv", "newcomers": window, "min_item_events": 2}
    log = read_log(OwnLog(**files, kinds={"click": "watched = 1"}))
    assert log.events["user_id"].to_list() == ["ann", "cem", "bob"]
    assert log.users["user_id"].filter(log.newcomers).to_list() == ["cem"]


@pytest.mark.parametrize("files", ["parquet"], indirect=True)
@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            "2025-02-01",
            "a newcomer by first_seen, so there are no newcomers to compare; change its",
        ),
        ("2024-02-01", "there are no incumbents to compare"),
    ],
)
def test_windows_in_which_nobody_or_everybody_comes(files, first, message):
    window = Newcomers(first_seen=FirstSeen(from_=date.fromisoformat(first)))
    with pytest.raises(LogError, match=message):
        read_log(OwnLog(**{**files, "newcomers": window}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events.parquet", b"no parquet at all"),
        ("events.csv", b""),
        ("events.csv", b"a,b\n1,2\n1,2,3\n"),
        ("events.csv", bytes(range(256))),
    ],
)
def test_unreadable_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LogError, match=rf"log.events: .*{name} cannot be read as"):
        read_log(OwnLog(events=str(tmp_path / name), newcomers="true"))


# The plan of a study

START = datetime(2025, 1, 1)


@pytest.fixture(scope="module")
def study_of_a_log(tmp_path_factory):
    """60 incumbents and 5 newcomers with six clicks each on 30 items."""
    folder = tmp_path_factory.mktemp("log")
    rows = [(user, step) for user in range(65) for step in range(6)]
    pl.DataFrame(
        {
            "user_id": [user for user, _ in rows],
            "item_id": [(user * 7 + step * step) % 30 for user, step in rows],
            "timestamp": [START + timedelta(hours=user + 20 * step) for user, step in rows],
        }
    ).write_parquet(folder / "events.parquet")
    pl.DataFrame({"user_id": range(65), "days": [900] * 60 + [3] * 5}).write_parquet(
        folder / "users.parquet"
    )
    return {
        "name": "own",
        "log": {
            "events": str(folder / "events.parquet"),
            "users": str(folder / "users.parquet"),
            "newcomers": "days < 30",
            "placebo_draws": 30,
        },
        "recommenders": ["trending", "item_knn"],
        "evaluation": {"panel": 20, "k": 10},
        "seeds": 1,
    }


def test_plan_of_a_log(study_of_a_log):
    cells = plan(load_study(study_of_a_log))
    assert [cell.name for cell in cells] == [
        "trending-seed-0-draws-1-25",
        "trending-seed-0-draws-26-30",
        "item_knn-seed-0-draws-1-25",
        "item_knn-seed-0-draws-26-30",
    ]
    assert len({cell.identity for cell in cells}) == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.panel=61", "evaluation.panel: 61 is more than the 60 incumbents with at lea"),
        ("log.panel_min_events=7", "evaluation.panel: 20 is more than the 0 incumbents"),
        ("evaluation.k=31", "evaluation.k: 31 is more than the 30 items"),
        ("log.newcomers=days < 1", "no newcomers to compare"),
        ("log.events=nowhere.csv", "log.events: no file at"),
        ("log.attributes={genre: kind_of_video}", "items: no column 'kind_of_video'"),
        ("log.holdout_days=100.0", "log.holdout_days: no event is left to train on"),
    ],
)
def test_plans_that_cannot_be_run(study_of_a_log, override, message):
    with pytest.raises(UserError) as caught:
        plan(load_study(study_of_a_log, [override]))
    assert message in str(caught.value)


# What stands in the events alone, and kinds that weigh nothing


def test_newcomers_may_be_told_by_a_column_of_the_events(tmp_path):
    events = EVENTS.with_columns(country=pl.Series(["de", "de", "fr", None, "fr"]))
    events.write_csv(tmp_path / "e.csv")
    alone = {"events": str(tmp_path / "e.csv"), "columns": COLUMNS}
    log = read_log(OwnLog(**alone, newcomers="country = 'fr'"))
    assert log.users["user_id"].to_list() == ["ann", "bob", "cem"]
    assert log.newcomers.tolist() == [False, True, False]
    USERS.write_csv(tmp_path / "u.csv")
    both = {**alone, "users": str(tmp_path / "u.csv")}
    log = read_log(OwnLog(**both, newcomers="country = 'fr' or days = 5"))
    assert log.newcomers.tolist() == [False, True, True, False]
    with pytest.raises(
        LogError, match=r"watched stands in the events and differs for user 'ann' \("
    ):
        read_log(OwnLog(**alone, newcomers="watched = 1"))


def test_a_day_of_joining_may_stand_in_the_events(tmp_path):
    joined = pl.Series(["2020-01-01", "2020-01-01", "2025-01-02", None, "2025-01-02"])
    EVENTS.with_columns(joined=joined).write_csv(tmp_path / "e.csv")
    window = Newcomers(first_seen=FirstSeen(from_=date(2025, 1, 1)))
    source = OwnLog(events=str(tmp_path / "e.csv"), columns=COLUMNS, newcomers=window)
    assert read_log(source).newcomers.tolist() == [False, True, True]  # cem: by his first event


def test_ids_of_two_types_are_an_error(tmp_path):
    pl.DataFrame({"user_id": [1, 2], "item_id": [1, 1], "land": ["x", "y"]}).write_parquet(
        tmp_path / "e.parquet"
    )
    pl.DataFrame({"user_id": ["1", "2"]}).write_parquet(tmp_path / "u.parquet")
    paths = {"events": str(tmp_path / "e.parquet"), "users": str(tmp_path / "u.parquet")}
    with pytest.raises(LogError, match="users: user_id is not of the type that it has in events"):
        read_log(OwnLog(**paths, newcomers="land = 'x'"))


def test_kinds_that_weigh_0_are_named_as_the_cause(files):
    source = {**files, "kinds": {"purchase": "watched = 1"}}
    with pytest.raises(
        LogError,
        match=r"no item has 5 positive events; 3 rows are of kind purchase, which weighs 0: "
        r"log\.weights=\{purchase: 1\} makes them count",
    ):
        read_log(OwnLog(**source, min_item_events=5))
    config = {"name": "x", "recommenders": ["trending"], "log": source}
    with pytest.raises(ConfigError, match="3 rows are of kind purchase, which weighs 0"):
        plan(load_study({**config, "evaluation": {"panel": 2}}))


def test_a_log_has_one_seed_if_none_is_given(files):
    config = {"name": "x", "recommenders": ["trending"], "log": files}
    assert load_study(config).seeds == 1
