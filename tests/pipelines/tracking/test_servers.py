"""Servers that are dead, slow, silent, broken or die midway: 20 s at most, and nothing is lost."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient

import recsys
from pipelines import cli
from pipelines.storage.locks import locked
from pipelines.tracking.record import Record, Run, Value, read_record, write_record
from pipelines.tracking.send import Sender
from pipelines.tracking.tracker import Tracker, TrackingError, opened
from tests.kit.servers import Proxy

ROOT = Path(recsys.__file__).parents[1]
MOST = 20.0
WORDS = ["evaluate", "--a", "a.csv", "--b", "b.csv"]


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with feeds and a record."""
    monkeypatch.chdir(tmp_path)
    for name, items in (("a", [7, 8, 7, 9]), ("b", [7, 5, 7, 9])):
        frame = {"user_id": [1, 1, 2, 2], "rank": [1, 2, 1, 2], "item_id": items}
        pl.DataFrame(frame).write_csv(f"{name}.csv")
    (tmp_path / "result").mkdir()
    write_record(Record("recsys", Run("x", "study", (Value("m", 1.0),))), tmp_path / "result")
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, os.environ.get(name, "10" if "TIMEOUT" in name else "2"))
    return tmp_path


@contextlib.contextmanager
def broken(mode: str) -> Iterator[str]:
    """The address of a server that is no use."""
    if mode == "dead":
        yield f"http://ann:s3cret-word@127.0.0.1:{free_port()}"
        return
    with Proxy(mode=mode) as proxy:
        yield proxy.address.replace("//", "//ann:s3cret-word@")


@pytest.mark.parametrize("mode", ["dead", "500", "page", "silent"])
def test_a_useless_server_costs_20_seconds_at_most(mode, place, monkeypatch, capsys):
    with broken(mode) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        start = time.monotonic()
        tracker = opened("recsys")
        said = capsys.readouterr().err
        with pytest.raises(TrackingError) as caught:
            tracker.record([(Record("recsys", Run("x", "study")), place / "result")])
        assert time.monotonic() - start <= MOST
    assert "will not take the results" in said, "it is said before the work begins"
    assert "recsys track" in said
    assert "did not take the results" in str(caught.value)
    assert "s3cret-word" not in said + str(caught.value)


def test_a_program_ends_although_a_server_is_silent(place):
    """A thread that waits for an answer does not keep Python from ending."""
    with broken("silent") as uri:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}
        program = [sys.executable, "-m", "pipelines.evaluate", *WORDS[1:]]
        start = time.monotonic()
        plain = subprocess.run(
            [*program, "--no-tracking"], env=environment, capture_output=True, check=True
        )
        alone = time.monotonic() - start
        ended = subprocess.run(
            program, env=environment, capture_output=True, text=True, check=False
        )
        took = time.monotonic() - start - alone
    assert ended.returncode == 3, ended.stderr
    assert "Files   data/evaluations/" in ended.stdout
    assert plain.stdout.decode() in ended.stdout
    assert took <= MOST + max(30, 3 * alone)  # a busy machine takes long to import


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server."""
    place, port = tmp_path_factory.mktemp("server"), free_port()
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words, "--backend-store-uri", "sqlite:///runs.db"],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    uri, until = f"http://127.0.0.1:{port}", time.monotonic() + 120
    while True:
        try:
            MlflowClient(uri).search_experiments(max_results=1)
            break
        except Exception:
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.5)
    yield uri
    os.killpg(process.pid, 9)
    process.wait()


def statuses(server: str) -> list[str]:
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("recsys")
    found = [] if experiment is None else client.search_runs([experiment.experiment_id])
    return sorted(run.info.status for run in found)


@pytest.mark.slow  # a real server, which dies at several requests
def test_a_server_that_dies_midway_gets_the_record_once_later(server, place, monkeypatch, capsys):
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"):
        monkeypatch.setenv(name, "0")
    count = len(statuses(server))
    for dies_after in (1, 3, 4, 6, 8, 9):
        with Proxy(server) as proxy:
            proxy.dies_after = dies_after
            monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
            name = f"dies{dies_after}"
            start = time.monotonic()
            assert cli.main([*WORDS, "--name", name]) == 3
            assert time.monotonic() - start <= MOST
            assert "RUNNING" not in statuses(server) or dies_after in (3, 4)
            (folder,) = Path("data/evaluations").glob(f"{name}-*")
            assert f"recsys track {folder}" in capsys.readouterr().err
            proxy.dies_after = 10**9
            for _ in range(2):
                assert cli.main(["track", name]) == 0
            assert "not again" in capsys.readouterr().out
        count += 1
        assert statuses(server) == ["FINISHED"] * count


@pytest.mark.slow  # a real server, and a second for each answer
def test_a_slow_server_gets_the_record_later(server, place, monkeypatch, capsys):
    before = len(statuses(server))
    with Proxy(server, mode="slow") as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
        start = time.monotonic()
        assert cli.main([*WORDS, "--name", "slow"]) == 3
        assert time.monotonic() - start <= MOST + 3
        assert "not done after 12 s" in capsys.readouterr().err
        assert cli.main(["track", "slow"]) == 0
    assert statuses(server) == ["FINISHED"] * (before + 1)


@pytest.mark.slow  # PostgreSQL and its driver, where they are
def test_a_postgres_store_takes_records_and_passwords_stay_hidden(place, monkeypatch, capsys):
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("PostgreSQL is not installed")
    port, data = free_port(), place / "postgres"
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    as_user = user if os.geteuid() == 0 else []  # PostgreSQL does not start as root
    place.chmod(0o777)
    for folder in place.parents[:3]:
        with contextlib.suppress(OSError):
            folder.chmod(0o755)
    (place / "word").write_text("s3cret-word")
    ran = {"check": True, "capture_output": True, "env": {**os.environ, "LC_ALL": "C"}}
    password = [
        "--auth=password",
        "--username=ann",
        "--encoding=UTF8",
        f"--pwfile={place / 'word'}",
    ]
    subprocess.run([*as_user, "initdb", "-D", data, *password], **ran)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place}"
    control = [*as_user, "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-l", place / "log", "-o", options, "start"], **ran)
    try:
        uri = f"postgresql://ann:s3cret-word@127.0.0.1:{port}/postgres"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        MlflowClient(uri).search_experiments()  # makes the tables, which takes seconds
        record = [(Record("recsys", Run("x", "study", (Value("m", 1.0),))), place / "result")]
        (made,) = opened("recsys", patient=True).record(record)
        (again,) = opened("recsys", patient=True).record(record)
        assert (again.run_id, made.is_new, again.is_new) == (made.run_id, True, False)
        assert MlflowClient(uri).get_run(made.run_id).data.metrics == {"m": 1.0}
        assert cli.main(["track", "result"]) == 0
        assert "s3cret-word" not in str(capsys.readouterr())
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **ran)
    with pytest.raises(TrackingError) as caught:
        opened("recsys").record(record)
    assert "s3cret-word" not in str(caught.value)


def test_what_was_given_up_holds_nothing(place, monkeypatch):
    """Its thread ends at the next answer: who records the same later need not wait for it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/elsewhere.db")
    inside, answered = threading.Event(), threading.Event()
    fill = Sender._fill

    def slowly(*arguments):
        inside.set()
        answered.wait(60)
        fill(*arguments)

    def limit(tracker):
        assert inside.wait(60)
        return 0.1

    record = [(read_record(place / "result"), place / "result")]
    with monkeypatch.context() as patch:
        patch.setattr(Sender, "_fill", slowly)
        patch.setattr(Tracker, "_limit", limit)
        with pytest.raises(TrackingError, match="did not take the results"):
            opened("recsys").record(record)
    answered.set()
    with locked(place / "result", 60):
        pass
    (later,) = opened("recsys", patient=True).record(record)
    assert later.is_new, "the thread did not go on to the end"
    client = MlflowClient(later.uri)
    (run,) = client.search_runs([later.experiment_id])
    assert (run.info.run_id, run.info.status) == (later.run_id, "FINISHED")
