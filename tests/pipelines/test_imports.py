"""No page is drawn while another thread loads what Altair looks for."""

import threading
from pathlib import Path

import pytest

from pipelines.imports import alone
from pipelines.report import page
from recsys.study.result import StudyResult


def test_a_page_waits_for_the_imports_of_another_thread(
    world_result: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(page, "_write", lambda *given, **more: drawn.append(more["title"]))
    with alone():
        with alone():  # the same thread may
            page.save_page(world_result, tmp_path / "report.html")
        thread = threading.Thread(target=page.save_page, args=(world_result, tmp_path / "x.html"))
        thread.start()
        thread.join(0.5)
        assert drawn == ["tiny"]
    thread.join()
    assert drawn == ["tiny", "tiny"]
