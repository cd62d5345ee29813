"""Progress: a line a cell where nobody watches; phase, day and time left on a terminal."""

import io

import numba
import pytest
from rich.console import Console

from pipelines.report.progress import WRITING, StudyProgress
from recsys.core.steps import MAKING_TABLES, MEASURING, SIMULATING, step


def test_lines_count_up_and_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    progress = StudyProgress()
    progress.total = 2
    with progress:
        progress(1, 2, "als-seed-0")
        progress(2, 2, "[odd] name")
    streams = capsys.readouterr()
    first, second = streams.err.splitlines()
    assert first.startswith("1/2 cells, ")
    assert first.endswith(" left: als-seed-0")
    assert second.endswith("[odd] name")
    assert streams.out == ""
    assert progress.done == 2


def test_lines_tell_what_follows_the_last_cell(capsys: pytest.CaptureFixture[str]) -> None:
    progress = StudyProgress()
    progress.total = 1
    with progress:
        step(MEASURING, "als, seed 0, influx, day 1")
        progress(1, 1, "als-seed-0")
        step(MAKING_TABLES, "headline")
        step(MAKING_TABLES, "drift")
        progress.phase(WRITING)
    *_, tables, files = capsys.readouterr().err.splitlines()
    assert tables.startswith("making tables, ")
    assert files.startswith("writing files, ")


def test_a_long_silence_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("pipelines.report.progress.time.monotonic", lambda: now[0])
    with StudyProgress() as progress:
        progress.total = 2
        step(SIMULATING, "seed 0, influx, day 1")
        now[0] = 100.0
        step(SIMULATING, "seed 0, influx, day 2")
    assert capsys.readouterr().err.splitlines() == [
        "simulating, 0 s: seed 0, influx, day 1",
        "simulating, 100 s: seed 0, influx, day 2",
    ]


def test_compiling_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with StudyProgress():
        for _ in range(2):
            numba.njit(lambda x: x + 1)(1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compiling, ")


def test_steps_are_told_no_more_after_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    with StudyProgress() as progress:
        progress.total = progress.done = 1
    step(MAKING_TABLES, "headline")
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_phase_day_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    progress = StudyProgress()
    progress.total = 2
    shown = Console(width=80, file=io.StringIO(), record=True)
    with progress:
        progress(1, 2, "als-seed-0")
        step(SIMULATING, "seed 1, influx, day 3")
        shown.print(*progress._bar.get_renderables())
    text = shown.export_text()
    for words in ("simulating", "1/2 cells", "left", "seed 1, influx, day 3"):
        assert words in text
    assert "0:00:00 left" not in text
