"""What `make install` compiles is what the demo runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import recsys
from pipelines import compile as compiling

ROOT = Path(recsys.__file__).parents[1]
DEMO = """
import sys
import recsys
from numba.core import event

class Listener(event.Listener):
    def on_start(self, event):
        print(event.data["dispatcher"].py_func.__name__)
    def on_end(self, event):
        pass

event.register("numba:compile", Listener())
recsys.verdict(recsys.run(recsys.load_study(sys.argv[1], ["seeds=1"])))
"""


def test_the_small_demo_has_all_of_the_demo_but_its_size(monkeypatch):
    monkeypatch.chdir(ROOT)
    demo, small = (recsys.load_study(compiling.CONFIG, more) for more in ((), compiling.SMALL))
    for part in ("recommenders", "arms", "loop", "mitigations"):
        assert getattr(demo, part) == getattr(small, part)
    compiling.main()


@pytest.mark.slow
def test_the_demo_compiles_nothing_after_it(tmp_path):
    def said(*command):
        env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert said("-m", "pipelines.compile") == []
    assert any(tmp_path.rglob("*.nbi"))
    assert said("-c", DEMO, compiling.CONFIG) == []
