"""`recsys feed STUDY`: a user's feeds side by side in the terminal."""

import json
from pathlib import Path

import polars as pl
import pytest

from pipelines.feed import main
from recsys.study.result import StudyResult


@pytest.fixture
def study(finished: Path) -> str:
    (folder,) = (finished / "data/studies").iterdir()
    return str(folder)


def test_it_shows_the_typical_user(
    study: str, world_result: StudyResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([study]) == 0
    printed = capsys.readouterr().out
    user = world_result.shown_users.row(0, named=True)
    assert f"user {user['user_id']} (typical;" in printed
    assert "Without the newcomers" in printed
    assert "With the newcomers" in printed


def test_the_marks_are_what_changed(
    study: str, world_result: StudyResult, capsys: pytest.CaptureFixture[str]
) -> None:
    users = world_result.shown_users.filter(recommender="als")
    for chosen in ("most hit", "typical"):
        user = users.filter(chosen=chosen)["user_id"].item()
        words = [study, "--user", chosen, "--recommender", "als", "--day", "2", "--json"]
        assert main(words) == 0
        rows = json.loads(capsys.readouterr().out)["headline"]
        row = world_result.per_user.filter(
            recommender="als", arm="influx", seed=0, day=2, user_id=user
        ).row(0, named=True)
        marked = sum(slot["With the newcomers"].startswith("+ ") for slot in rows)
        assert marked / 5 == pytest.approx(row["slots_changed"])
        assert marked == sum(slot["Without the newcomers"].startswith("- ") for slot in rows)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--user", "nobody"], "--user: 'nobody' is not among the users that are shown: "),
        (["--day", "9"], "--day: day 9 was not measured; the days are [1, 2]"),
        (["--recommender", "asl"], "--recommender: the study has no 'asl'; "),
        (["--mitigation", "cap"], "--mitigation: the study has no 'cap'; "),
    ],
)
def test_a_feed_that_is_not_there(
    study: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([study, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_training_run_has_one_feed_of_one_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "USER: name the user" in capsys.readouterr().err
    assert main([str(tmp_path), "17", "--day", "3"]) == 2
    assert "--day: only a study has several" in capsys.readouterr().err


def test_a_file_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pl.DataFrame({"user_id": [1]}).write_csv(tmp_path / "shown_users.csv")
    assert main([str(tmp_path)]) == 2
    assert "has no feeds.parquet; run the study again" in capsys.readouterr().err
