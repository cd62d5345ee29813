"""Opens MLflow's pages on the runs in `mlruns/`, for this machine alone: `recsys ui`."""

import os
import sys
from pathlib import Path

from pipelines.program import way_in

_STORE = Path("mlruns")

main = way_in("ui")


def execute(port: int = 5000) -> int:
    """Becomes the process of `mlflow ui`, which serves until Ctrl-C.

    Args:
        port: where it listens on 127.0.0.1.
    """
    _STORE.mkdir(exist_ok=True)
    store = f"sqlite:///{(_STORE / 'mlflow.db').as_posix()}"
    words = ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", store]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *words])


if __name__ == "__main__":
    sys.exit(main())
