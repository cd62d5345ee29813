"""Serves MLflow's pages of the runs in `mlruns/` to this machine alone: `recsys ui`."""

import os
import sys

from pipelines.program import way_in
from pipelines.storage.files import explained
from pipelines.tracking.addresses import DATABASE, LOCAL
from pipelines.tracking.local import alone, look, mended

main = way_in("ui")


def execute(port: int = 5000) -> int:
    """Replaces this process by `mlflow ui`, which serves until Ctrl-C.

    Args:
        port: the port on 127.0.0.1, such as 5000.
    """
    store = f"sqlite:///{DATABASE.as_posix()}"
    with explained(LOCAL), alone():
        found = look("")
        line = mended(found)
        for text in filter(None, (line, found.trouble)):
            print(text, file=sys.stderr)
    words = ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", store]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *words])


if __name__ == "__main__":
    sys.exit(main())
