"""Speed of a served model: pytest tests/benchmarks/bench_server.py --benchmark-only

Target: half of 500 requests of 4 clients at once are answered within 30 ms by als, without errors.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUESTS, CLIENTS, USERS, TARGET = 500, 4, 5_000, 0.030


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Where the model of configs/train/als.yaml is served, as docs/training.md has it."""
    folder = tmp_path_factory.mktemp("served")
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlruns/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    train = [sys.executable, "-m", "pipelines.train", str(ROOT / "configs/train/als.yaml")]
    done = subprocess.run(
        train, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    model = re.search(r"models:/(\S+)", done.stdout)[1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [*f"-m mlflow models serve -m models:/{model} --env-manager local --port".split()]
    server = subprocess.Popen(
        [sys.executable, *serve, str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                if answered(port, "GET", "/ping")[0] == 200:
                    break
            time.sleep(0.25)
        yield port
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def answered(port: int, method: str, path: str, content: object = None) -> tuple[int, bytes]:
    """Status and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def bench_requests(benchmark, port, request, capsys) -> None:
    """500 requests for a feed of 20 slots, by 4 clients at once."""

    def ask(user: int) -> tuple[float, int]:
        start = time.perf_counter()
        asked = {"dataframe_records": [{"user_id": user, "k": 20}]}
        status, _ = answered(port, "POST", "/invocations", asked)
        return time.perf_counter() - start, status

    def all_clients() -> list[tuple[float, int]]:
        with ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(ask, [(7 * n) % USERS for n in range(REQUESTS)]))

    all_clients()
    results = benchmark.pedantic(all_clients, rounds=3)
    seconds = sorted(took for took, _ in results)
    half, most = seconds[REQUESTS // 2], seconds[REQUESTS * 99 // 100]
    with capsys.disabled():
        line = f"\np50 {1e3 * half:.1f} ms, p99 {1e3 * most:.1f} ms, {CLIENTS} clients"
        request.config.get_terminal_writer().line(line)
    assert {status for _, status in results} == {200}
    assert half <= TARGET
