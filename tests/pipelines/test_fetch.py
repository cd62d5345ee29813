"""Public logs: a made-up wheel is fetched offline, by pip; what can go wrong is one sentence."""

import dataclasses
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

import recsys
from pipelines import cli, fetch, public_logs
from pipelines.public_logs import PUBLIC_LOGS
from recsys.core.sums import check_sums

KNOWN = PUBLIC_LOGS["movielens-100k"]
TARGET = Path("data/movielens-100k")
TABLES = {
    "events": "user_id:token item_id:token rating:float timestamp:float\n"
    "2 1 5 881250950\n1 1 3 881250949\n1 2 4 881250949\n",
    "users": "user_id:token age:token gender:token occupation:token zip_code:token\n"
    "1 24 M writer 85711\n2 53 F other 94043\n",
    "items": "item_id:token movie_title:token_seq release_year:token class:token_seq\n"
    '1 A_"Film 1995 Comedy_War\n2 Another V unknown\n',
}
"""Tabs are written as blanks, and blanks as `_` where they stand in a value."""
META = "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n"
RUNS = "raise SystemExit('the code of the package ran')\n"


def text_of(table):
    head, *rows = TABLES[table].splitlines()
    lines = [head.replace(" ", "\t"), *(r.replace(" ", "\t").replace("_", " ") for r in rows)]
    return "\n".join(lines) + "\n"


def write_wheel(folder, leave_out=(), **more):
    """A wheel as the package index has it, with code that must not run."""
    path = folder / KNOWN.wheel
    info = "recbole-1.2.1.dist-info"
    files = {member: text_of(table) for table, (member, _) in KNOWN.members.items()}
    files |= {"recbole/__init__.py": RUNS, "setup.py": RUNS, "../outside.py": RUNS, **more}
    files |= {f"{info}/METADATA": META, f"{info}/RECORD": ""}
    files |= {f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            if name not in leave_out:
                archive.writestr(name, text)
    return path


def knows(monkeypatch, wheel, **fields):
    """Makes a wheel the one that recsys knows."""
    digest = sha256(wheel.read_bytes()).hexdigest()
    log = dataclasses.replace(KNOWN, sha256=digest, **fields)
    monkeypatch.setitem(public_logs.PUBLIC_LOGS, log.name, log)
    return log


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An empty working directory, and a folder from which alone pip downloads."""
    folder, here = tmp_path / "index", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def brought(index, monkeypatch):
    """As `index`, without pip: the file is copied."""

    def copy(log, folder):
        for path in index.iterdir():
            shutil.copy(path, folder)

    monkeypatch.setattr(fetch, "_download", copy)
    return index


def test_pip_brings_the_tables_and_nothing_else(index, monkeypatch, capsys):
    knows(monkeypatch, write_wheel(index))
    assert cli.main(["fetch", "movielens-100k"]) == 0
    printed = capsys.readouterr().out
    assert all(term in printed for term in KNOWN.terms)
    assert {path.name for path in TARGET.iterdir()} == {
        "events.parquet", "users.parquet", "items.parquet", "SOURCE.md", "SHA256SUMS",
    }  # fmt: skip
    check_sums(TARGET, ["events.parquet", "SOURCE.md"])
    assert pl.read_parquet(TARGET / "events.parquet").rows() == sorted(
        pl.read_parquet(TARGET / "events.parquet").rows(), key=lambda row: (row[3], row[:2])
    )
    items = pl.read_parquet(TARGET / "items.parquet")
    assert items["title"].to_list() == ['A "Film', "Another"]
    assert items["decade"].to_list() == ["1990s", None]
    assert items["genre"].to_list() == ["Comedy", "unknown"]
    source = (TARGET / "SOURCE.md").read_text()
    assert all(word in source for word in (*KNOWN.terms, KNOWN.source, KNOWN.wheel))
    assert not (index.parent / "outside.py").exists()
    assert list(Path("data").iterdir()) == [TARGET]


def test_what_is_printed_next_describes_it(brought, monkeypatch, capsys):
    knows(monkeypatch, write_wheel(brought))
    assert cli.main(["fetch", "movielens-100k"]) == 0
    (words,) = re.findall(r"recsys (describe .+)$", capsys.readouterr().out, re.MULTILINE)
    assert cli.main(words.split()) == 0


def test_pip_says_why_it_has_nothing(index, capsys):
    """As without a network: the folder that stands for the index is empty."""
    assert cli.main(["fetch", "movielens-100k"]) == 2
    said = capsys.readouterr().err
    assert "pip cannot download recbole==1.2.1: No matching distribution found" in said
    assert "Check the network" in said
    assert "does not answer" not in said
    assert not Path("data").exists()


def test_an_index_that_cannot_be_reached_is_told_from_one_that_lacks_the_package(
    index, monkeypatch, capsys
):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://ann:s3cret@127.0.0.1:9/simple")
    monkeypatch.setattr(fetch, "_RETRIES", 1)
    assert cli.main(["fetch", "movielens-100k"]) == 2
    said = capsys.readouterr().err
    assert "the package index does not answer (" in said
    assert "s3cret" not in said


def test_passwords_of_an_index_are_not_shown(index, monkeypatch, capsys):
    said = "ERROR: no answer from https://ann:s3cret@index.example/simple"
    done = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(fetch.subprocess, "run", lambda *words, **options: done)
    assert cli.main(["fetch", "movielens-100k"]) == 2
    said = capsys.readouterr().err
    assert "ann:***@index.example" in said
    assert "s3cret" not in said


def test_a_silent_index_is_given_up(index, monkeypatch, capsys):
    def run(words, *, timeout, **options):
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(fetch.subprocess, "run", run)
    assert cli.main(["fetch", "movielens-100k"]) == 2
    assert "within 600 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wheel", "fields", "words"),
    [
        ({"leave_out": [KNOWN.members["items"][0]]}, {}, "ml-100k.item is missing"),
        ({}, {"members": {"events": (KNOWN.members["events"][0], 20)}}, "more than 20 bytes"),
        ({KNOWN.members["users"][0]: "age\n1"}, {}, "a table is not as expected"),
        ({KNOWN.members["events"][0]: text_of("events").replace("881250950", "soon")}, {}, "soon"),
    ],
    ids=["missing", "large", "columns", "values"],
)
def test_a_file_that_is_not_as_expected(wheel, fields, words, brought, monkeypatch, capsys):
    knows(monkeypatch, write_wheel(brought, **wheel), **fields)
    assert cli.main(["fetch", "movielens-100k"]) == 2
    assert words in capsys.readouterr().err
    assert not TARGET.exists()


def test_another_file_is_not_unpacked(brought, monkeypatch, capsys):
    write_wheel(brought)
    monkeypatch.setattr(fetch, "read_members", None)
    assert cli.main(["fetch", "movielens-100k"]) == 2
    said = capsys.readouterr().err
    assert f"not {KNOWN.sha256}; nothing of it was unpacked" in said
    assert not TARGET.exists()


def test_damage_that_a_checksum_would_not_show(brought, monkeypatch, capsys):
    path = write_wheel(brought)
    path.write_bytes(path.read_bytes()[:-40])
    knows(monkeypatch, path)
    assert cli.main(["fetch", "movielens-100k"]) == 2
    assert "no sound zip file" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing(brought, monkeypatch, capsys):
    def full(path, *words, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    knows(monkeypatch, write_wheel(brought))
    monkeypatch.setattr(fetch, "write_sums", full)
    assert cli.main(["fetch", "movielens-100k"]) == 2
    assert "No space left on device; free space there" in capsys.readouterr().err
    assert list(Path("data").iterdir()) == []


def test_a_folder_is_replaced_only_if_asked_and_only_a_fetched_one(brought, monkeypatch, capsys):
    knows(monkeypatch, write_wheel(brought))
    words = ["fetch", "movielens-100k", "--out", "mine"]
    assert cli.main([*words, "--quiet"]) == 0
    assert capsys.readouterr().out == "mine\n"
    assert cli.main(words) == 2
    assert "mine exists already; --force" in capsys.readouterr().err
    (Path("mine") / "items.parquet").unlink()
    assert cli.main([*words, "--force", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["headline"] == [{"events": 3, "users": 2, "items": 2}]
    assert found["terms"] == list(KNOWN.terms)
    (Path("mine") / "SHA256SUMS").unlink()
    assert cli.main([*words, "--force"]) == 2
    assert "was not written by `recsys fetch`" in capsys.readouterr().err


def test_an_unknown_log_is_named_with_those_that_are_known(index, capsys):
    assert cli.main(["fetch", "movielens"]) == 2
    assert "did you mean 'movielens-100k'?" in capsys.readouterr().err


@pytest.mark.slow
def test_the_real_log_and_its_config(tmp_path, monkeypatch):
    """The package index has the known file, and the study of it loads and runs, made smaller."""
    asked = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "0", "-q"]
    probe = subprocess.run(
        [*asked, "--dest", str(tmp_path), f"{KNOWN.package}=={KNOWN.version}"],
        capture_output=True,
        check=False,
    )
    if probe.returncode != 0:
        pytest.skip("no package index can be reached")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["fetch", "movielens-100k", "--quiet"]) == 0
    assert pl.read_parquet(TARGET / "events.parquet").height == 100_000
    config = Path(recsys.__file__).parents[1] / "configs/movielens.yaml"
    study = recsys.load_study(
        config, ["recommenders=[trending]", "log.placebo_draws=20", "evaluation.panel=100"]
    )
    assert recsys.run(study).headline is not None
