"""Programs that are killed at any moment: nothing wrong is believed, nothing finished is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recsys

ROOT = Path(recsys.__file__).parents[1]


@pytest.mark.slow  # 50 programs that are killed, and those that go on from there
def test_fifty_kills_lose_nothing(finished: Path, tmp_path: Path) -> None:
    place = tmp_path / "killed"
    place.mkdir()
    shutil.copy(finished / "tiny.yaml", place)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.kit.kills", place, finished, "50", "13"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    outcome = json.loads(ended.stdout.splitlines()[-1])
    assert outcome["wrong"] == []
    assert outcome["killed"] == 50, outcome
    assert outcome["at_operations"] >= 15, outcome
