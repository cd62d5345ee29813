"""Serves MLflow's pages of the runs in `mlruns/` to this machine alone: `recsys ui`."""

import os
import sys
from pathlib import Path

from pipelines.program import way_in

_STORE = Path("mlruns")

main = way_in("ui")


def execute(port: int = 5000) -> int:
    """Replaces this process by `mlflow ui`, which serves until Ctrl-C.

    Args:
        port: the port on 127.0.0.1, such as 5000.
    """
    _STORE.mkdir(exist_ok=True)
    store = f"sqlite:///{(_STORE / 'mlflow.db').as_posix()}"
    words = ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", store]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *words])


if __name__ == "__main__":
    sys.exit(main())
