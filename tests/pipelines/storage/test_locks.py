"""Locks: one at a time, and none that outlives its process."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.storage.locks import locked

HOLD = """
import sys, time; from pathlib import Path; from pipelines.storage.locks import locked
with locked(Path(sys.argv[1])): print("in", flush=True); time.sleep(60)
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_lock_lets_one_in_and_ends_with_its_process(what: str, tmp_path: Path) -> None:
    path = tmp_path if what == "folder" else tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"in\n"
    with pytest.raises(TimeoutError, match="another program has held"), locked(path, 0.1):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with locked(path, 0.0):
        pass
