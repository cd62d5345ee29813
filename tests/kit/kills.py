"""Kills a study at random moments and at file operations, and says what is wrong afterwards.

    python -m tests.kit.kills PLACE REFERENCE TRIES SEED

PLACE holds tiny.yaml; REFERENCE is the folder of a finished run of the same study. The program is
forked from one that has imported everything, so that 50 tries take minutes. Even tries are killed
(SIGKILL) after a random time. Odd ones are killed at a random file operation, when the file that
was last written to has lost its second half.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

OPERATIONS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}
OF_ANOTHER_RUN = {"timings.parquet", "cell.json", "config.yaml", "record.json", "finished.json"}
"""Files that hold times or the command, and differ from run to run."""


def operations(place: Path, stop_at: int, log: Path) -> None:
    """From here on, counts this process' file operations in a folder; it dies at one of them."""
    count = 0
    root = str(place)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event not in OPERATIONS or not arguments:
            return
        path, mode = arguments[0], arguments[1] if len(arguments) > 1 else ""
        if event == "open" and (not isinstance(mode, str) or not set(mode) & set("wax+")):
            return
        if not isinstance(path, str | os.PathLike):
            return
        where = os.path.abspath(path)
        if not where.startswith(root) or "mlflow.db" in where or where == str(log):
            return
        count += 1
        if count == stop_at:
            half_of_the_last_file(place)
            os.kill(os.getpid(), signal.SIGKILL)
        if stop_at == 0:
            with log.open("a") as file:
                file.write(".")

    sys.addaudithook(hook)


def half_of_the_last_file(place: Path) -> None:
    """Cuts the file that is being written, as a full buffer that never reached the disk."""
    parts = [p for p in place.rglob("*") if ".part-" in str(p) and p.is_file()]
    if parts:
        last = max(parts, key=lambda path: path.stat().st_mtime_ns)
        os.truncate(last, last.stat().st_size // 2)


def started(place: Path, stop_at: int | None, log: Path) -> int:
    """Begins the study in a process of its own; its id."""
    pid = os.fork()
    if pid:
        return pid
    os.chdir(place)
    silent = os.open(os.devnull, os.O_WRONLY)
    errors = os.open(place / "stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(silent, 1)
    os.dup2(errors, 2)
    if stop_at is not None:
        operations(place, stop_at, log)
    from pipelines.run import main

    code = main(["tiny.yaml", "workers=1"])
    os._exit(code)


def ended(pid: int, after: float) -> int:
    """The exit code of a process, which is killed after some seconds; -9 if it was killed."""
    until = time.monotonic() + after
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wrongs(place: Path, reference: Path) -> Iterator[str]:
    """What would be believed and is wrong: cells and files of results that are not whole."""
    for cell in (place / "data/cells").glob("[!.]*"):
        sums = json.loads((cell / "cell.json").read_text())["sha256"]
        for name, expected in sums.items():
            if hashlib.sha256((cell / name).read_bytes()).hexdigest() != expected:
                yield f"{cell.name}/{name} is not what cell.json says"
        yield from differences(cell, reference / "data/cells" / cell.name)
    for study in (place / "data/studies").glob("[!.]*"):
        yield from differences(study, reference / "data/studies" / study.name)


def differences(folder: Path, expected: Path) -> Iterator[str]:
    for path in folder.glob("[!.]*"):
        if path.name in OF_ANOTHER_RUN:
            continue
        if path.read_bytes() != (expected / path.name).read_bytes():
            yield f"{path} differs"


def statuses(place: Path) -> list[str]:
    if not (place / "mlruns/mlflow.db").exists():
        return []
    database = sqlite3.connect(place / "mlruns/mlflow.db")
    try:
        return [status for (status,) in database.execute("SELECT status FROM runs")]
    finally:
        database.close()


def tried(place: Path, reference: Path, tries: int, seed: int) -> dict[str, object]:
    """Kills the study `tries` times, and lets it end in between and at last.

    A run that goes on from a killed one does less, and may end before it is killed: then another is
    begun, up to four times as many in all.
    """
    draw, log = random.Random(seed), place / "operations.log"
    found: dict[str, object] = {"killed": 0, "ended": 0, "at_operations": 0, "wrong": []}
    wrong: list[str] = found["wrong"]  # type: ignore[assignment]

    def check(code: int) -> None:
        if code not in (0, -signal.SIGKILL):
            wrong.append(f"exit {code}: {(place / 'stderr.txt').read_text()[-300:]}")
        wrong.extend(wrongs(place, reference))
        found["killed" if code == -signal.SIGKILL else "ended"] += 1  # type: ignore[operator]
        if code == 0:
            shutil.rmtree(place / "data")  # from the beginning

    start = time.monotonic()
    check(ended(started(place, 0, log), 600))
    took, count = time.monotonic() - start, log.stat().st_size
    for number in range(4 * tries):
        if found["killed"] == tries:
            break
        if number % 10 == 9:
            shutil.rmtree(place / "mlruns", ignore_errors=True)  # as it may not be made yet
        if number % 2:
            code = ended(started(place, draw.randint(1, count), log), 600)
            found["at_operations"] += code == -signal.SIGKILL  # type: ignore[operator]
        else:
            code = ended(started(place, None, log), draw.uniform(0.0, took))
        check(code)
    code = ended(started(place, None, log), 600)
    if code or list((place / "mlruns").glob("*damaged*")):
        wrong.append(f"at last: exit {code}, {sorted(os.listdir(place / 'mlruns'))}")
    wrong.extend(wrongs(place, reference))
    last = {path.name for path in next((place / "data/studies").glob("[!.]*")).glob("[!.]*")}
    expected = {path.name for path in next((reference / "data/studies").iterdir()).iterdir()}
    if last != expected:
        wrong.append(f"files: {sorted(last ^ expected)}")
    if "RUNNING" in statuses(place):
        wrong.append(f"runs are left at work: {statuses(place)}")
    return {**found, "operations": count, "seconds": round(took, 1)}


if __name__ == "__main__":
    import mlflow  # noqa: F401

    import pipelines.run  # noqa: F401
    import recsys.study.run  # noqa: F401

    folder, finished, number_of_tries, first = sys.argv[1:]
    outcome = tried(Path(folder), Path(finished), int(number_of_tries), int(first))
    print(json.dumps(outcome))  # noqa: T201
