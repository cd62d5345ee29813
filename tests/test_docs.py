"""The documents are true: their Python runs, their configs load, and what they name is there."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recsys import MEASURES, load_studies, load_training
from recsys.measures.attention_rows import EXPOSURE_FORMULAS
from recsys.study.tables.registry import TABLES
from recsys.study.tables.table import COMMON

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def blocks(document, language):
    """Code of a document's blocks in a language, each behind as many empty lines as precede it."""
    text = document.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        if found[1] == language:
            yield "\n" * text.count("\n", 0, found.start(2)) + found[2]


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """An empty directory but for the configs, as where a reader tries things out."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@each_document
def test_python_runs(document, somewhere):
    """As a reader would, in turn; a block that begins with a file's name is that file."""
    names = {"__name__": "__main__"}
    for code in blocks(document, "python"):
        named = FILE.match(code.lstrip("\n"))
        if named:
            (somewhere / named[1]).write_text(code, encoding="utf-8")
        else:
            exec(compile(code, str(document), "exec"), names)


WITH_TESTS = [path for path in DOCUMENTS if "# test_" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("document", WITH_TESTS, ids=lambda path: path.name)
def test_tests_in_documents_pass(document, somewhere):
    for code in blocks(document, "python"):
        named = FILE.match(code.lstrip("\n"))
        if named:
            (somewhere / named[1]).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        capture_output=True,
        text=True,
        check=False,
        cwd=somewhere,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout


@each_document
def test_examples_give_what_they_show(document):
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for code in blocks(document, "pycon"):
        runner.run(doctest.DocTestParser().get_doctest(code, {}, document.name, str(document), 0))
    assert runner.summarize().failed == 0


@each_document
def test_configs_load(document):
    for text in blocks(document, "yaml"):
        content = yaml.safe_load(text)
        (load_training if "recommender" in content else load_studies)(content)


@each_document
def test_commands_name_configs_with_keys_that_they_have(document):
    """What a `make run CONFIG=… ARGS="…"` would load; `make run` alone is the demo."""
    for line in "\n".join(blocks(document, "sh")).splitlines():
        found = re.match(r"make (run|train|tune)\b(?: CONFIG=(\S+))?(?: ARGS=\"(.+?)\")?", line)
        if found is None or ".parquet" in line:
            continue
        target, config, args = found.groups()
        config = config or {"run": "configs/demo.yaml"}.get(target, "configs/train/als.yaml")
        given = [word for word in (args or "").split() if "=" in word]
        (load_studies if target == "run" else load_training)(ROOT / config, given)


@each_document
def test_what_is_named_is_there(document):
    text = document.read_text(encoding="utf-8")
    paths = set(re.findall(r"\]\(([\w./-]+)\)", text))
    paths |= {f"/{path}" for path in re.findall(r"\b(?:configs|recsys|tests)/[\w/]+\.\w+", text)}
    known = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    missing = [
        path
        for path in paths
        if not (ROOT / path[1:] if path.startswith("/") else document.parent / path).exists()
    ]
    targets = re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)
    assert missing == []
    assert set(targets) <= set(known)


def test_every_measure_is_explained():
    """A row in a table, and its name before a value in what an example prints."""
    document = ROOT / "docs" / "measures.md"
    table = re.findall(r"^\| (`[^|]+`) \|", document.read_text(encoding="utf-8"), re.MULTILINE)
    explained = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    examples = "\n".join(blocks(document, "pycon"))
    worked = set(re.findall(r"^(\w+) \[?-?\d", examples, re.MULTILINE))
    named = {*MEASURES, *EXPOSURE_FORMULAS}
    assert named - explained == set()
    assert named - worked == set()


def test_every_table_of_a_study_is_traced():
    """One table of docs/measures.md says of each file: arms, days, readers, formula."""
    tables = set(TABLES) - {"measures"}
    text = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    section = text.split("## Where a figure comes from")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    files = {name for row in rows for name in re.findall(r"`(\w+)\.(?:csv|parquet)`", row)}
    assert tables <= files
    assert all(row.count("|") == 7 for row in rows)


def test_every_column_of_a_table_is_explained():
    """The last section of docs/measures.md is what `TABLES` says, word by word."""
    text = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    section = text.split("\n## Columns of each table\n")[1].split("\n## ")[0]
    shared = [f"- `{name}`: {column.meaning}" for name, column in COMMON.items()]
    for part in ["\n".join(shared), *(table.described() for table in TABLES.values())]:
        assert part in section, f"docs/measures.md must say:\n\n{part}"
    assert re.findall(r"^### (\w+)", section, re.MULTILINE) == list(TABLES)
