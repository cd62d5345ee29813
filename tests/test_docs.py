"""The documents are true: their Python runs, their configs load, what they name is there, and they
keep to the words of docs/words.md."""

import ast
import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from pipelines import cli, options
from pipelines.program import config_in
from pipelines.trust import TRUST_CONFIG, read_config, words_of
from recsys import MEASURES, load_studies, load_training
from recsys.measures.attention_rows import EXPOSURE_FORMULAS
from recsys.study.tables.registry import TABLES
from recsys.study.tables.table import COMMON

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
MADE = {
    "run": "configs/demo.yaml",
    "train": "configs/train/als.yaml",
    "tune": "configs/tune/als.yaml",
    "validate": "configs/validate.yaml",
    "prove": "configs/prove.yaml",
}
"""What a `make` target runs unless it is told otherwise."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.(?:py|yaml))\n")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def blocks(document, language):
    """Code of a document's blocks in a language, each behind as many empty lines as precede it."""
    text = document.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        if found[1] == language:
            yield "\n" * text.count("\n", 0, found.start(2)) + found[2]


def write_files(path, folder):
    """The blocks of a document that begin with a file's name, as files in a folder."""
    for language in ("python", "yaml"):
        for code in blocks(path, language):
            named = FILE.match(code.lstrip("\n"))
            if named:
                (folder / named[1]).write_text(code, encoding="utf-8")


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """An empty directory but for the configs, as where a user tries things out."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@each_document
def test_python_runs(document, somewhere):
    """As a user would, in turn; a block that begins with a file's name is that file."""
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
    write_files(document, somewhere)
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


def commands(path):
    """Words after `recsys` of all commands in a document or config header, `make` spelled out."""
    text = path.read_text(encoding="utf-8")
    header = re.findall(r"^#   (.+)$", text, re.MULTILINE) if path.suffix == ".yaml" else []
    prose = "" if path.suffix == ".yaml" else re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    shell = "\n".join(blocks(path, "sh")).replace("\\\n", " ").splitlines()
    typed = [
        *header,
        *shell,
        *re.findall(r"`([^`]+)`", prose),
    ]
    for line in (" ".join(line.split()) for line in typed):
        made = re.match(r"make (run|train|tune|validate|prove|ui)\b(?: CONFIG=(\S+))?(.*)", line)
        if made is not None:
            target, config, rest = made.groups()
            given = re.search(r"\bARGS=(?:\"(.+?)\"|(\S+))", rest)
            args = "" if given is None else given[1] or given[2]
            yield [target, *filter(None, [config or MADE.get(target)]), *shlex.split(args)]
        elif re.match(r"\.venv/bin/recsys |python -m pipelines\.\w+ ", line):
            words = re.split(r" > | \| ", line.replace("python -m pipelines.", "recsys "))[0]
            yield shlex.split(words, comments=True)[1:]


@pytest.mark.parametrize("path", [*DOCUMENTS, *CONFIGS], ids=lambda path: path.name)
def test_commands_work_as_printed(path, somewhere):
    """Their words are those of a program, their configs are there and have the keys they change."""
    for document in DOCUMENTS:  # one names a class that another defines
        write_files(document, somewhere)
    programs = typer.main.get_command(cli.app).commands
    for name, *words in commands(path):
        if name == "--help":
            continue
        context = programs[name].make_context(name, options.spread([name, *words])[1:])
        given = (context.params.get(key) for key in ("config", "changes", "trust"))
        default = MADE.get(name, "")
        typed = words_of(*given)
        config, _ = config_in([word for word in typed if word != TRUST_CONFIG], default)
        if "…" in "".join(words):  # left to the user
            continue
        if Path(config).is_file():  # one that is shipped, or a block of the document
            read_config(
                load_training if name in ("train", "tune") else load_studies, typed, default
            )
        else:
            assert not config.endswith(".yaml") or "<" in config, (name, words)


SMALL = [
    "world.incumbents=150", "world.influx.newcomers=10", "world.days_before=3",
    "world.days_after=3", "evaluation.days=[2]", "evaluation.panel=40", "evaluation.nudges=1",
    "seeds=1", "tracking.enabled=false",
]  # fmt: skip
"""Changes that make a study of a world small."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["start.md", "mitigation-study.md"])
def test_studies_of_a_first_day_run_as_typed(name, somewhere):
    """Made small; those of a log that must be fetched, and of twelve chains, are left out."""
    path = ROOT / "docs" / name
    write_files(path, somewhere)
    typed = [words for words in commands(path) if words[0] == "run"]
    left_out = ("configs/movielens.yaml", "configs/mitigations.yaml")
    ran = [words for words in typed if words[1] not in left_out]
    assert len(ran) >= 2
    for words in ran:
        assert cli.main([*words, *SMALL, "--quiet"]) == 0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_config_opens_with_the_command_that_runs_it(path):
    where = path.relative_to(ROOT).as_posix()
    name = where.split("/")[1] if where.count("/") == 2 else path.stem
    program = name if name in ("train", "tune", "validate", "prove", "design") else "run"
    opening = path.read_text(encoding="utf-8").split("\nname:")[0]
    assert f"#   .venv/bin/recsys {program} {where}" in opening


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
    """One table of docs/measures.md says of each file: arms, days, users, formula."""
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


WORDS = ROOT / "docs" / "words.md"
DATED = {ROOT / "docs" / "log.md", ROOT / "CHANGELOG.md"}
"""Documents that go on saying what was said at the time."""
OLD_SENSES = {
    "who": r"[*`]who[*`]|\b(?:a|the|true) who\b|[-+−=] who\b|\bwho [-+−=]|\| who(?:,| \|)"
    r"|\bwho:|\bwho {2,}"
}
"""How a word is found that has another, ordinary sense."""
ORDINARY = re.compile(
    r"Note:|^notes$|`notes`|\.notes?\b|notes\.txt|class=\"note\"|notes of the result"
    r"|\b[Tt]he notes?\b(?! (?:of|by|in|that|from)\b)",  # sentences beside a result
    re.MULTILINE,
)
"""What is said of other things with the same words."""


def old_words():
    """Each word that docs/words.md has as not said, the pattern that finds it, and its new word."""
    rows = re.findall(r"^\| ([^|]+) \|[^|]+\|([^|]+)\|$", WORDS.read_text(encoding="utf-8"), re.M)
    for new, cell in rows:
        if new == "word":  # the head of a table
            continue
        for old in filter(None, map(str.strip, cell.split(","))):
            pattern = OLD_SENSES.get(old, rf"\b{old}s?\b")
            yield old, re.compile(pattern, re.IGNORECASE | re.MULTILINE), new


def said_otherwise(text):
    """Places of a text that say an old word, each with the word that docs/words.md has instead."""
    text = ORDINARY.sub("", text)
    return [
        f"{text[max(0, found.start() - 30) : found.end() + 30]!r}: say {new}"
        for _, pattern, new in old_words()
        for found in pattern.finditer(text)
    ]


def strings(path):
    """All strings of a module but the docstrings of its functions, classes and itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    with_docstrings = ast.Module | ast.ClassDef | ast.FunctionDef
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, with_docstrings)]
    docstrings = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [
        node.value
        for node in constants
        if isinstance(node.value, str) and id(node) not in docstrings
    ]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("Means over readers come after.", True),
        ("A reader's feed", True),
        ("What are the feeds worth?", True),
        ("*who*, influx less placebo", True),
        ("total = volume + who", True),
        ("Estimated: a who of 12.2 points", True),
        ("who     the part due to who came", True),
        ("| composition of | who, mix |", True),
        ("what changes because of who the newcomers are", False),
        ("users who came before", False),
        ("drift of notes", True),
        ("a note that few have seen", True),
        ("the notes of newcomers", True),
        ("Note: 3 seeds: intervals are rough.", False),
        ("the notes say how many rows each concerned", False),
        ("print(*result.notes)", False),
    ],
)
def test_an_old_word_is_found_in_its_old_sense_alone(said, wrong):
    assert bool(said_otherwise(said)) is wrong


def test_all_old_words_are_read():
    assert sorted(old for old, *_ in old_words()) == [
        "note",
        "reader",
        "retrain drift",
        "who",
        "worth",
    ]


@pytest.mark.parametrize(
    "document", sorted({*DOCUMENTS} - DATED - {WORDS}), ids=lambda path: path.name
)
def test_documents_keep_to_the_words(document):
    assert said_otherwise(document.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_comments_of_configs_keep_to_the_words(path):
    comments = re.findall(r"#.*", path.read_text(encoding="utf-8"))
    assert said_otherwise("\n".join(comments)) == []


@pytest.mark.parametrize("folder", ["recsys", "pipelines"])
def test_what_is_printed_keeps_to_the_words(folder):
    """Texts of the code, and what each command says of itself."""
    said = {
        f"{path.relative_to(ROOT)}": said_otherwise("\n".join(strings(path)))
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    commands = typer.main.get_command(cli.app).commands
    said |= {f"recsys {name}": said_otherwise(commands[name].help) for name in commands}
    assert {where: places for where, places in said.items() if places} == {}
