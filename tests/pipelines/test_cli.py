"""The command `recsys`: help, start-up, options that mean the same everywhere, next steps."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import polars as pl
import pytest
import typer

import recsys
from pipelines import cli, options, program, ui
from recsys.world.arms import ARMS

ROOT = Path(recsys.__file__).parents[1]
COMMANDS = {command.name: command for command in typer.main.get_command(cli.app).commands.values()}
PROGRAMS = set(COMMANDS) - {"ui"}

TRAINING = """
name: small
world:
  incumbents: 150
  influx: {kind: rednote_2025, newcomers: 40}
  days_before: 3
  days_after: 3
recommender: {kind: item_knn, neighbours: 20}
k: 5
test_days: 1
tune: {space: {neighbours: [5, 20, 80]}, trials: 2}
tracking: {enabled: false}
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(TRAINING)
    return "small.yaml"


def ran(capsys, *words):
    """What a command prints to stdout; it succeeds, and with --quiet or --json it is silent."""
    capsys.readouterr()
    assert cli.main(words) == 0
    streams = capsys.readouterr()
    assert streams.err == "" or not {"--quiet", "--json"} & set(words)
    return streams.out


def next_steps(text):
    """Words after the command of each line that says what to type next."""
    found = re.findall(rf"^\w+ +{re.escape(program.COMMAND)} (.+)$", text, re.MULTILINE)
    return [shlex.split(words) for words in found]


# Help


def test_help_fits_on_a_screen_and_shows_two_examples(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    lines = ran(capsys, "--help").splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    assert not any(line.rstrip().endswith("...") for line in lines[1:])  # no line is cut
    examples = [shlex.split(x)[1:] for x in re.findall(r"^ +(\.venv.*?)  ", "\n".join(lines), re.M)]
    assert len(examples) == 2
    for name, config, *changes in examples:
        load = recsys.load_training if name == "train" else recsys.load_study
        load(ROOT / config, changes)


def test_help_says_what_each_program_is_for(capsys):
    listed = ran(capsys, "--help")
    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z]", listed, re.MULTILINE)
        assert f"Usage: recsys {name} " in ran(capsys, name, "--help")


def test_help_comes_without_heavy_libraries():
    code = "import sys; from pipelines.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert not loaded & {"implicit", "mlflow", "numba", "numpy", "polars", "scipy", "sklearn"}


def test_arms_to_choose_from_are_the_worlds():
    choices = get_args(get_type_hints(cli.simulate)["arm"])
    assert list(choices) == [name for name, arm in ARMS.items() if not arm.retrained]


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_python_m_is_a_way_in(name, capsys):
    module = __import__(f"pipelines.{name}", fromlist=["main"])
    assert module.main(["--help"]) == 0
    assert f"Usage: recsys {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rum"], "Did you mean 'run'?"),
        (["run"], "Missing argument 'CONFIG'"),
        (["run", "tiny.yaml", "--eech"], "--each"),
        (["run", "tiny.yaml", "--quiet", "--json"], "exclude one another"),
        (["run", "seeds=8"], "no config among: seeds=8"),
        (["evaluate", "--a", "a.csv"], "Missing option '--b'"),
        (["feed", "folder"], "USER: name the user"),
        (["schema", "studdy"], "study"),
    ],
)
def test_wrong_words_are_exit_2_and_a_message(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    streams = capsys.readouterr()
    assert message in streams.err
    assert "Traceback" not in streams.err
    assert streams.out == ""


# Quiet, JSON, full


@pytest.mark.parametrize("flag", ["--quiet", "--json", "--full"])
def test_a_flag_means_the_same_wherever_it_is(flag):
    helps = {p.help for c in COMMANDS.values() for p in c.params if flag in p.opts}
    assert len(helps) == 1


def test_run_quietly_as_json_and_in_full(resumed, capsys):
    plain = ran(capsys, "run", "tracking.enabled=false", "tiny.yaml")  # in any order
    folder = ran(capsys, "run", "tiny.yaml", "--quiet", "tracking.enabled=false").strip()
    assert Path(folder).is_dir()
    assert f"Files   {folder}/" in plain
    full = ran(capsys, "run", "--full", "tiny.yaml", "tracking.enabled=false")
    assert "--full prints every table" in plain
    assert "For whom?" in full
    assert "For whom?" not in plain
    found = json.loads(ran(capsys, "run", "tiny.yaml", "--json"))
    assert (found["name"], found["folder"]) == ("tiny", folder)
    assert len(found["mlflow_run_id"]) == 32
    said = found["verdict"]
    assert 3 <= len(said["sentences"]) <= 5
    assert {finding["recommender"] for finding in said["findings"]} == {"trending", "als"}
    for text in (plain, full):  # said alike, and first
        words = " ".join(text.split())
        assert words.partition(" long-time users ")[2].startswith(" ".join(said["sentences"]))
    drift = pl.read_csv(f"{folder}/drift.csv").filter(
        pl.col("day").is_null(), measure="slots_changed"
    )
    told = {row["recommender"]: row["slots_changed_total"] for row in found["headline"]}
    assert told == pytest.approx(dict(drift.select("recommender", "total").iter_rows()))


def test_variants_as_json(resumed, capsys):
    text = Path("tiny.yaml").read_text()
    variants = "variants: {one: [seeds=1], two: [seeds=2]}\ntracking: {enabled: false}\n"
    Path("both.yaml").write_text(text.replace("name: tiny", "name: both") + variants)
    found = json.loads(ran(capsys, "run", "both.yaml", "--json"))
    assert (Path(found["folder"]) / "comparison.csv").is_file()
    assert [one["name"] for one in found["variants"]] == ["both-one", "both-two"]
    assert all(Path(one["folder"]).is_dir() for one in found["variants"])
    assert [row["variant"] for row in found["headline"]] == ["one", "one", "two", "two"]


def test_simulate_quietly_and_as_json(small, capsys):
    words = ["simulate", "study.yaml", "--arm", "control"]
    study = TRAINING.replace("recommender:", "recommenders: [trending]\nseeds: 1\n#")
    study = re.sub(r"^(k|test_days|tune): .*\n", "", study, flags=re.MULTILINE)
    Path("study.yaml").write_text(study + "evaluation: {days: [1], k: 5, panel: 40}\n")
    assert ran(capsys, *words, "--quiet") == "data/small-control-seed-0\n"
    found = json.loads(ran(capsys, *words, "--json", "--force"))
    assert found["headline"][0]["users_by_cohort"]["incumbent"] == 150


def test_what_is_no_number_is_null(capsys):
    rows = [{"a": float("nan"), "b": float("inf"), "c": 1.5, "d": Path("x"), "e": True}]
    done = program.Outcome("n", None, rows, lambda console: None)
    assert program.carried_out(lambda: done, program.Output(as_json=True)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["headline"] == [{"a": None, "b": None, "c": 1.5, "d": "x", "e": True}]


# Next steps


def test_what_is_printed_as_a_next_step_works(small, capsys):
    """A search names a training run, that names a feed; each is typed as it is printed."""
    printed = ran(capsys, "tune", small)
    (train,) = next_steps(printed)
    assert train[0] == "train"
    found = json.loads(ran(capsys, "tune", small, "--json"))
    assert len(found["headline"]) == 2
    (feed,) = next_steps(ran(capsys, *train))
    folder = ran(capsys, *train, "--quiet").strip()
    assert feed[:2] == ["feed", folder]
    assert "item_knn" not in ran(capsys, *feed)
    slots = json.loads(ran(capsys, *feed, "--k", "3", "--json"))
    assert [slot["rank"] for slot in slots["headline"]] == [1, 2, 3]
    for config in Path("data").rglob("*.yaml"):  # each says how to make its folder again
        again = config.read_text().splitlines()[0].removeprefix("# ")
        assert shlex.split(again) == [program.COMMAND, "train", str(config)]


def test_a_next_step_begins_as_the_command_did(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/opt/venv/bin/recsys", "train", "x.yaml"])
    assert program.command("feed", "a b", "1") == "/opt/venv/bin/recsys feed 'a b' 1"
    monkeypatch.setattr(sys, "argv", ["/somewhere/pipelines/train.py", "x.yaml"])
    assert program.command("feed", "a", "1") == ".venv/bin/recsys feed a 1"


def test_ui_serves_the_local_store_on_this_machine_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(ui.os, "execv", lambda path, words: seen.extend(words))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    cli.main(["ui", "--port", "5050"])
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert seen[1:4] == ["-m", "mlflow", "ui"]
    options = dict(zip(seen[4::2], seen[5::2], strict=True))
    assert options == {
        "--host": "127.0.0.1",
        "--port": "5050",
        "--backend-store-uri": "sqlite:///mlruns/mlflow.db",
    }
    assert (tmp_path / "mlruns").is_dir()


def test_ui_says_where_the_tables_are(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    monkeypatch.setattr(ui.os, "execv", lambda path, words: None)
    cli.main(["ui", "--port", "5050"])
    query = "viewStateShareKey=recsys.all&workflowType=machine_learning"
    page = f"recsys: http://127.0.0.1:5050/#/experiments/1/runs?{query}"
    assert page in capsys.readouterr().err.splitlines()


# Classes of one's own


def started(way, *words):
    """A program that ended, in the working directory, which its module path does not name."""
    script = "import sys; sys.path[:1] = []; from pipelines.cli import script; sys.exit(script())"
    start = ["-c", script, "train"] if way == "recsys" else ["-m", "pipelines.train"]
    return subprocess.run(
        [sys.executable, *start, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("way", ["recsys", "python -m"])
def test_own_classes_are_found_in_the_working_directory(way, small):
    """The class is found: what is wrong with it, no module without it could tell."""
    Path("mine_for_the_command.py").write_text("class Mine: pass")
    done = started(way, small, "recommender=mine_for_the_command:Mine", "--trust-config")
    assert "'mine_for_the_command:Mine' is no subclass of recsys.Recommender" in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("way", ["recsys", "python -m"])
def test_without_trust_no_code_of_a_config_runs(way, small):
    """Not even that of a module which is found, as in the working directory of `python -m`."""
    Path("careless.py").write_text("open('it_ran', 'w').close()")
    done = started(way, small, "recommender=careless:Mine")
    assert done.returncode == 2
    assert "kind 'careless:Mine' runs the code of the module careless; if you trust" in done.stderr
    assert "--trust-config" in done.stderr
    assert not Path("it_ran").exists()
    started(way, small, "recommender=careless:Mine", "--trust-config")
    assert Path("it_ran").exists()


def test_lists_of_words_are_as_they_were():
    words = ["evaluate", "--columns", "a=b", "c=d", "--k", "5", "--groups", "x"]
    expected = ["--columns", "a=b", "--columns", "c=d", "--k", "5", "--groups", "x"]
    assert options.spread(words) == ["evaluate", *expected]
    assert options.spread(["run", "--groups", "x", "y"]) == ["run", "--groups", "x", "y"]
