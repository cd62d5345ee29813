"""Progress where nobody watches: a line a cell."""

import pytest

from pipelines.report.progress import StudyProgress


def test_lines_count_up_and_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    progress = StudyProgress()
    progress.total = 2
    with progress:
        progress(1, 2, "als-seed-0")
        progress(2, 2, "[odd] name")
    streams = capsys.readouterr()
    first, second = streams.err.splitlines()
    assert first.startswith("1/2 cells, ")
    assert first.endswith("left: als-seed-0")
    assert second.endswith("[odd] name")
    assert streams.out == ""
    assert progress.done == 2
