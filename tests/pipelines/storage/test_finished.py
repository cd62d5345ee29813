"""Finished studies are read as they were, or not at all."""

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import recsys
from pipelines.run import main
from pipelines.storage import finished as storage
from pipelines.storage.finished import load_finished, mark_finished
from pipelines.storage.results import save_result
from recsys.statistics.arrivals import Wave
from recsys.study.result import StudyResult


def check(result: StudyResult, root: Path) -> None:
    mark_finished(result, save_result(result, root))
    loaded = load_finished(result.study, root)
    assert loaded is not None
    assert (loaded.notes, loaded.arrived, loaded.wave) == (
        result.notes,
        result.arrived,
        result.wave,
    )
    assert list(loaded.tables) == list(result.tables)
    for name, table in result.tables.items():
        assert_frame_equal(loaded.tables[name], table, check_exact=True)


def test_a_world_is_read_as_it_was(course_result: StudyResult, tmp_path: Path) -> None:
    check(course_result, tmp_path)


def test_a_log_is_read_as_it_was(
    log_place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(log_place)
    result = recsys.run(recsys.load_study("log.yaml"))
    wave = Wave(1, None, 2.0, 3.5, 9.0, 1.0, 0.01)
    check(replace(result, arrived=date(2025, 1, 13), wave=wave), tmp_path)


def test_another_version_reads_nothing(resumed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = recsys.load_study("tiny.yaml")
    assert load_finished(study) is not None
    monkeypatch.setattr(storage, "_code", lambda: "another version")
    assert load_finished(study) is None


def test_options_that_change_a_file_count(resumed: Path) -> None:
    same = recsys.load_study("tiny.yaml", ["tracking.enabled=false", "workers=1"])
    assert load_finished(same) is not None
    assert load_finished(recsys.load_study("tiny.yaml", ["tracking.detail=full"])) is None
    assert load_finished(recsys.load_study("tiny.yaml", ["seeds=1"])) is None


def test_damaged_list_counts_as_missing(resumed: Path) -> None:
    study = recsys.load_study("tiny.yaml")
    (folder,) = (resumed / "data/studies").iterdir()
    for text in ("", "{}", "[1]", '{"sha256": 3}'):
        (folder / storage.FINISHED).write_text(text)
        assert load_finished(study) is None
    shutil.rmtree(folder)
    assert load_finished(study) is None
    assert main(["tiny.yaml", "tracking.enabled=false", "--quiet"]) == 0
    assert isinstance(load_finished(study).per_user, pl.DataFrame)
