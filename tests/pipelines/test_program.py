"""Exit codes and messages of every program: whose fault it was, and what to do."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import recsys
from pipelines import cli, program
from pipelines.program import Outcome, Output
from pipelines.report.progress import StudyProgress
from recsys.core.errors import LogError

ROOT = Path(recsys.__file__).parents[1]
WORDS = {
    "run": ["tiny.yaml"],
    "train": ["t.yaml"],
    "tune": ["t.yaml"],
    "simulate": ["tiny.yaml"],
    "evaluate": ["--a", "a.csv", "--b", "a.csv"],
    "feed": ["folder", "1"],
    "fetch": ["movielens-100k"],
    "describe": ["a.csv"],
    "compare": ["one", "other"],
    "validate": ["tiny.yaml"],
    "prove": ["tiny.yaml"],
    "design": ["tiny.yaml"],
    "track": ["folder"],
    "schema": [],
    "ui": [],
}
"""Words that each program takes."""


def done(show=lambda console: None):
    return Outcome("x", Path("data/x"), [], show)


def test_every_program_has_words_here():
    assert {command.callback.__name__ for command in cli.app.registered_commands} == set(WORDS)


@pytest.mark.parametrize("name", sorted(WORDS))
@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (LogError("planted mistake"), 2, "planted mistake"),
        (MemoryError(), 2, "not enough memory"),
        (ZeroDivisionError("planted fault"), 70, "a fault of recsys, not yours (ZeroDivision"),
        (KeyboardInterrupt(), 130, "nterrupted"),
    ],
    ids=["mistake", "memory", "ours", "interrupted"],
)
def test_what_a_program_ends_in(name, error, code, words, tmp_path, monkeypatch, capsys):
    """Whatever a program calls first raises the error."""
    monkeypatch.chdir(tmp_path)
    module = __import__(f"pipelines.{name}", fromlist=["execute"])

    def fail(*arguments, **options):
        if name in ("schema", "ui"):
            raise error
        return program.carried_out(lambda: (_ for _ in ()).throw(error), Output())

    monkeypatch.setattr(module, "execute", fail)
    assert cli.main([name, *WORDS[name]]) == code
    streams = capsys.readouterr()
    if code != 130 or name not in ("schema", "ui"):  # there is nothing that could be kept
        assert words in streams.err
    assert "Traceback" not in streams.err
    assert streams.out == ""
    files = list((tmp_path / "data/errors").glob("*.txt")) if code == 70 else []
    for file in files:
        assert str(file.relative_to(tmp_path)) in streams.err
        assert "docs/reliability.md" in streams.err
        assert "planted fault" in file.read_text()
        assert "Traceback" in file.read_text()
    assert len(files) == (code == 70)


def test_a_fault_is_written_elsewhere_where_nothing_can_be_written_here(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "data").write_text("a file")
    assert program.failed(ZeroDivisionError("planted")) == 70
    (file,) = tmp_path.glob("recsys-error-*.txt")
    assert str(file) in capsys.readouterr().err


def test_panics_of_libraries_are_faults_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    class Panic(BaseException):
        """As pyo3 raises them."""

    assert program.carried_out(lambda: (_ for _ in ()).throw(Panic("at x.rs")), Output()) == 70
    assert "Panic: at x.rs" in capsys.readouterr().err


def test_a_pipe_that_nobody_reads_is_no_error(capsys):
    def show(console):
        raise BrokenPipeError

    assert program.carried_out(lambda: done(show), Output()) == 0


def test_what_cannot_be_printed_is_said_and_the_files_are_named(capsys):
    def show(console):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert program.carried_out(lambda: done(show), Output()) == 2
    assert "No space left on device; the files in data/x are complete" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_program_with_130(number, tmp_path):
    code = """
import signal, sys, time
from pipelines.program import Output, carried_out, stoppable
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, and what it starts, would ignore it
def work():
    print("at work", flush=True)
    time.sleep(60)
sys.exit(carried_out(work, Output(), lambda: "Interrupted; kept."))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "Interrupted; kept.\n")


def test_signs_that_the_terminal_cannot_show_are_escaped():
    code = (
        "from pathlib import Path; from pipelines.program import *; import sys;"
        "sys.exit(carried_out(lambda: Outcome('x', Path('données'), [], None), Output(quiet=True)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, b"donn\\xe9es\n"), ended.stderr


def test_codes_are_documented():
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    for code in ("0", "2", "3", "70", "130"):
        assert f"| {code} |" in text


def test_the_place_of_finished_parts_is_told_without_its_password():
    progress = StudyProgress("cells", silent=True)
    progress.kept_in = "sftp://ann:s3cret@host/recsys"
    said = program.goes_on(progress, "data/cells", "run", "configs/demo.yaml")
    assert "sftp://ann:***@host/recsys" in said
    assert "s3cret" not in said
