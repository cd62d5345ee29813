"""Serves MLflow's pages of the runs in `mlruns/` to this machine alone: `recsys ui`."""

import os
import sys

from pipelines.program import way_in
from pipelines.storage.files import explained
from pipelines.tracking.addresses import DATABASE, LOCAL
from pipelines.tracking.local import alone, experiments, look, mended
from pipelines.tracking.views import MODE, shared_views

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
    for name, page in pages(port):
        print(f"{name}: {page}", file=sys.stderr, flush=True)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    words = ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", store]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *words])


def pages(port: int) -> list[tuple[str, str]]:
    """The experiments of the database that recsys wrote to, and where each table of runs is.

    Args:
        port: the port on 127.0.0.1 that MLflow serves them at.
    """
    view = shared_views()[0]
    return [
        (name, f"http://127.0.0.1:{port}/#/experiments/{number}/runs?{view.query}&{MODE}")
        for number, name in experiments(view.tag)
    ]


if __name__ == "__main__":
    sys.exit(main())
