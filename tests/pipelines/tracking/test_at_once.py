"""Programs at once on the same comparison and the same store: no record is lost or doubled.

The three programs of a try do the same, each try something else.
"""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import recsys

ROOT = Path(recsys.__file__).parents[1]
FEEDS = "user_id,rank,item_id\n1,1,7\n1,2,8\n2,1,7\n2,2,{last}\n"
TRIES = 20


@pytest.mark.slow  # 60 programs that each load MLflow
def test_programs_at_once_lose_no_record(tmp_path: Path) -> None:
    """The first ones make the store together too."""
    (tmp_path / "a.csv").write_text(FEEDS.format(last=9))
    words = ["-m", "pipelines.evaluate", "--a", "a.csv", "--b", "b.csv", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    for number in range(1, TRIES + 1):
        (tmp_path / "b.csv").write_text(FEEDS.format(last=100 + number))
        started = [
            subprocess.Popen(
                [sys.executable, *words],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for _ in range(3)
        ]
        ended = [process.communicate() for process in started]
        assert [process.returncode for process in started] == [0, 0, 0], ended
        with sqlite3.connect(tmp_path / "mlruns/mlflow.db") as database:
            statuses = database.execute("SELECT status FROM runs").fetchall()
        assert statuses == [("FINISHED",)] * number, "one run for the three, and none lost"
    assert len(list((tmp_path / "data/evaluations").iterdir())) == TRIES
    assert not list(tmp_path.rglob(".part-*"))
