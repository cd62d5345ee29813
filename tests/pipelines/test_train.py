"""`recsys train` and `recsys feed`: the table, files, the MLflow run and its model."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import load_model as load_pyfunc

import recsys
from pipelines import feed
from pipelines.storage.models import read_model
from pipelines.train import main
from recsys.recommenders import RECOMMENDERS

ROOT = Path(recsys.__file__).parents[1]
CONFIGS = ROOT / "configs/train"

TRAINING = """
name: small
world:
  incumbents: 150
  influx: {kind: rednote_2025, newcomers: 40}
  days_before: 3
  days_after: 3
recommender: {kind: als, factors: 4}
k: 5
test_days: 1
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The working directory of a finished training run; to be read only."""
    place = tmp_path_factory.mktemp("trained")
    (place / "small.yaml").write_text(TRAINING)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(place):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert main(["small.yaml"]) == 0
    return place


@pytest.fixture
def there(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


@pytest.fixture(scope="module")
def client(trained):
    return MlflowClient(f"sqlite:///{trained}/mlruns/mlflow.db")


@pytest.fixture(scope="module")
def run(client):
    (found,) = client.search_runs([client.get_experiment_by_name("recsys").experiment_id])
    return found


@pytest.fixture(scope="module")
def folder(trained):
    (found,) = (trained / "data/training").glob("small-*")
    return found


@pytest.fixture(scope="module")
def served(trained, client, run):
    """The model as MLflow loads it."""
    (output,) = run.outputs.model_outputs
    location = client.get_logged_model(output.model_id).artifact_location
    return load_pyfunc(location)


# Configs


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_every_recommender_has_a_config(name):
    path = CONFIGS / f"{name}.yaml"
    assert path.is_file(), f"add {path.relative_to(ROOT)}: copy another, change name and kind"
    assert recsys.load_training(path).recommender.kind == name


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_loads_and_says_how_to_run_it(path):
    training = recsys.load_training(path)
    assert training.name == f"train-{path.stem}"
    assert f".venv/bin/recsys train configs/train/{path.name}" in path.read_text()


# Files and the terminal


def test_the_table_is_that_of_the_library(there, folder, capsys):
    assert main(["small.yaml", "tracking.enabled=false"]) == 0
    printed = capsys.readouterr().out
    result = recsys.train(recsys.load_training("small.yaml"))
    line = next(line for line in printed.splitlines() if line.startswith("everybody"))
    assert line.split()[1:3] == [str(result.per_user.height), f"{result.figure('ndcg'):.3f}"]
    for word in ("long-time users", "newcomers", "hot", "warm", "NDCG", "users"):
        assert word in printed
    assert max(len(line) for line in printed.splitlines() if "  " in line) <= 100
    assert f".venv/bin/recsys feed data/training/{folder.name}" in printed
    summary = pl.read_csv(folder / "summary.csv")
    assert summary["value"].to_list() == result.summary["value"].to_list()
    assert pl.read_parquet(folder / "per_user.parquet").equals(result.per_user)
    assert pl.read_parquet(folder / "feeds.parquet").equals(result.feeds)


def test_the_written_config_makes_the_same_run(there, folder):
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    config = str((folder / "config.yaml").relative_to(there))
    assert main([config, "tracking.enabled=false"]) == 0
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before
    assert len(list(folder.parent.iterdir())) == 1


def test_the_stored_model_serves_what_was_tested(folder):
    model, candidates = read_model(folder / "model")
    tested = pl.read_parquet(folder / "feeds.parquet")
    users = tested["user_id"].unique(maintain_order=True)
    assert model.recommend(users, 5, candidates).equals(tested)


def test_a_recommender_of_ones_own_is_tested_but_not_stored(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine_for_training.py").write_text(
        "from recsys.recommenders import Trending\nclass Mine(Trending): pass\n"
    )
    (tmp_path / "small.yaml").write_text(TRAINING)
    mine = "recommender=mine_for_training:Mine"  # by its name alone: replaces the file's
    assert main(["small.yaml", mine, "tracking.enabled=false", "--trust-config"]) == 0
    assert "The model is not stored" in capsys.readouterr().out
    assert not list(tmp_path.rglob("model.json"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.yaml"], "there is no such file"),
        (["small.yaml", "recommender.factor=3"], "did you mean 'factors'"),
        (["small.yaml", "recommender=alss"], "did you mean 'als'"),
        (["small.yaml", "k=200", "world.posts.per_creator_day=0.1"], "k: 200 is more than the"),
        (["small.yaml", "test_days=30"], "leaves nothing of the 6 days"),
    ],
)
def test_mistakes_are_one_message(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(TRAINING)
    assert main([*arguments, *["tracking.enabled=false"][: len(arguments) - 1]]) == 2
    streams = capsys.readouterr()
    assert words in streams.err
    assert "Traceback" not in streams.err
    assert not (tmp_path / "data").exists()


# MLflow


def test_the_run_holds_params_metrics_tags_and_data(run, folder):
    assert run.info.status == "FINISHED"
    assert run.data.params["recommender.options.factors"] == "4"
    assert run.data.params["test_days"] == "1.0"
    assert run.data.tags["role"] == "training"
    assert run.data.tags["recommender"] == "als"
    assert (run.data.params["recommender"], run.data.params["mitigation"]) == ("als", "none")
    summary = pl.read_csv(folder / "summary.csv")
    everybody = summary.filter(pl.col("value").is_not_null(), by="all")
    for row in everybody.iter_rows(named=True):
        assert run.data.metrics[row["metric"]] == pytest.approx(row["value"])
    assert run.data.metrics["n_users_hot"] > 0
    assert {"fit_s", "serve_s", "users_per_s"} <= set(run.data.metrics)
    assert len(run.data.metrics) <= 40
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "small world"
    assert data.tags[0].value == "training"


def test_the_model_is_logged_with_its_run(client, run):
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (str(model.status), model.name, model.model_type) == ("READY", "small", "als")
    assert model.source_run_id == run.info.run_id
    assert model.params["factors"] == "4"
    metrics = {metric.key: metric.value for metric in model.metrics}
    assert metrics == run.data.metrics
    assert {metric.dataset_name for metric in model.metrics} == {"small world"}


def test_the_same_training_again_has_the_same_run_and_model(
    client, run, trained, tmp_path, monkeypatch
):
    """With its new times, and with all detail the figures of each group are added."""
    place = tmp_path / "again"
    shutil.copytree(trained, place)
    monkeypatch.chdir(place)
    assert main(["small.yaml", "tracking.detail=full"]) == 0
    client = MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    (again,) = client.search_runs(["1"])
    assert again.info.run_id == run.info.run_id
    assert again.outputs.model_outputs[0].model_id == run.outputs.model_outputs[0].model_id
    assert again.data.metrics["test/all/ndcg_at_5"] == run.data.metrics["ndcg"]
    assert again.data.metrics["test/hot/users"] == run.data.metrics["n_users_hot"]
    assert len(client.get_metric_history(again.info.run_id, "fit_s")) == 2
    assert len(client.get_metric_history(again.info.run_id, "ndcg")) == 1


def test_no_pickle_is_in_the_model(client, run):
    (output,) = run.outputs.model_outputs
    place = Path(client.get_logged_model(output.model_id).artifact_location.removeprefix("file://"))
    names = {path.suffix for path in place.rglob("*") if path.is_file()}
    assert names <= {".json", ".npz", ".npy", ".parquet", ".py", ".yaml", ".txt", ""}
    config = yaml.safe_load((place / "MLmodel").read_text())["flavors"]["python_function"]
    assert config["model_code_path"].endswith("serving.py")
    assert "python_model" not in config


def test_pyfunc_answers_with_feeds(served, folder):
    model, candidates = read_model(folder / "model")
    nobody = 10**6
    asks = pd.DataFrame({"user_id": [3, nobody, 3, 7], "k": [4, 4, 2, 20]})
    got = pl.from_pandas(served.predict(asks))
    assert got.columns == ["user_id", "rank", "item_id", "score", "source"]
    assert got["user_id"].to_list() == [3] * 4 + [nobody] * 4 + [3] * 2 + [7] * 20
    expected = model.recommend([3], 4, candidates)
    assert got["item_id"][:4].to_list() == expected["item_id"].to_list()
    np.testing.assert_array_equal(got["score"][:4].to_numpy(), expected["score"].to_numpy())
    assert got["item_id"][8:10].to_list() == expected["item_id"][:2].to_list()
    cold = got.filter(user_id=nobody)
    assert cold["source"].unique().to_list() == ["fallback"]
    assert served.predict(pd.DataFrame({"user_id": [3]})).shape == (20, 5)


def test_pyfunc_has_a_signature_and_an_example(served):
    signature = served.metadata.signature
    assert signature.inputs.input_names() == ["user_id", "k"]
    assert [str(spec.type) for spec in signature.inputs.inputs] == ["Any", "Any"]
    assert signature.inputs.required_input_names() == ["user_id"]
    columns = ["user_id", "rank", "item_id", "score", "source", "error"]
    assert signature.outputs.input_names() == columns
    assert [str(spec.type) for spec in signature.outputs.inputs][:3] == ["DataType.long"] * 3
    example = served.input_example
    assert served.predict(example).shape[0] == 2 * 5


@pytest.mark.parametrize("k", [0, -3, 10**6])
def test_pyfunc_refuses_depths_that_cannot_be(served, k):
    with pytest.raises(MlflowException, match=rf"k is {k}; give 1 to \d+"):
        served.predict(pd.DataFrame({"user_id": [3], "k": [k]}))


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("ann", "user_id is 'ann'; give a whole number"),
        ("3", "user_id is '3'"),
        (3.5, "user_id is 3.5"),
        (-3, "user_id is -3; ids of this log are whole numbers from 0"),
        (2**63, "user_id is 9223372036854775808; ids"),
        (2.0**53, "user_id is 9007199254740992.0"),  # perhaps 2**53 + 1 before it was a float
        (float("inf"), "user_id is inf"),
        (None, "user_id is missing"),
        (float("nan"), "user_id is missing"),
        (True, "user_id is True"),
    ],
)
def test_pyfunc_refuses_what_is_no_id(served, user, message):
    with pytest.raises(MlflowException, match=message):
        served.predict(pd.DataFrame({"user_id": [user]}))


def test_a_bad_row_does_not_hinder_the_others(served):
    asks = pd.DataFrame({"user_id": [3, None, 7, 3.5], "k": [2, 2, None, 2]})
    got = served.predict(asks)
    assert got["user_id"].tolist()[:3] == [3, 3, None]
    assert got["rank"].tolist() == [1, 2, None, *range(1, 21), None]
    refused = got[got["error"].notna()]
    assert refused["error"].tolist() == [
        "user_id is missing; give the id of a user",
        "user_id is 3.5; give a whole number",
    ]
    alone = served.predict(pd.DataFrame({"user_id": [3], "k": [2]}))
    assert got["item_id"].tolist()[:2] == alone["item_id"].tolist()


@pytest.mark.slow
def test_a_server_answers_on_loopback(trained, run, served):
    """`mlflow models serve`, as the README has it; it is stopped at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (output,) = run.outputs.model_outputs
    roots = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{trained}/mlruns/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": os.pathsep.join(filter(None, roots)),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        f"models:/{output.model_id}",
        "--env-manager",
        "local",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    with (trained / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, env=environment, cwd=trained, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/ping", server, trained / "server.log")
        asks = [{"user_id": 3, "k": 4}, {"user_id": 10**6, "k": 4}]
        answer = _post(port, {"dataframe_records": asks})
        expected = served.predict(pd.DataFrame(asks))
        assert [row["item_id"] for row in answer] == expected["item_id"].to_list()
        assert {row["source"] for row in answer if row["user_id"] == 10**6} == {"fallback"}
        with pytest.raises(urllib.error.HTTPError) as refused:
            _post(port, {"dataframe_records": [{"user_id": 3, "k": 0}]})
        assert refused.value.code == 400
        assert "give 1 to" in refused.value.read().decode()
        refused.value.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        server.wait(30)


def _wait_for(url, server, log):
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            assert answer.status == 200
            return
        time.sleep(0.25)
    raise AssertionError(log.read_text())


def _post(port, content):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


# One user's feed


def test_a_feed_of_a_run_and_of_its_folder(there, run, folder, capsys):
    printed = []
    for name in (run.info.run_id, str(folder), str(folder / "model")):
        assert feed.main([name, "3", "--k", "4"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] == printed[2]
    model, candidates = read_model(folder / "model")
    expected = model.recommend([3], 4, candidates)
    rows = [line.split() for line in printed[0].splitlines() if line[:1].isdigit()]
    assert [row[1] for row in rows] == [str(item) for item in expected["item_id"]]
    assert [row[-1] for row in rows] == expected["source"].to_list()
    topics = model.log.items["topic"].gather(expected["item_id"])
    assert all(topic in " ".join(row) for topic, row in zip(topics, rows, strict=True))
    assert "user 3: hot, cohort incumbent" in printed[0]


def test_a_feed_of_somebody_unknown(there, folder, capsys):
    assert feed.main([str(folder), "12345", "--k", "2"]) == 0
    printed = capsys.readouterr().out
    assert "not in the log" in printed
    assert printed.count("fallback") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "3"], "nowhere: neither the id of a run at sqlite:"),
        (["FOLDER", "ann"], "USER: 'ann' is not a whole number"),
        (["FOLDER", "3", "--k", "0"], "--k: 0 is not between 1 and"),
    ],
)
def test_mistakes_of_a_feed(arguments, words, there, folder, capsys):
    arguments = [str(folder) if word == "FOLDER" else word for word in arguments]
    assert feed.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_rolling_evaluation_is_shown_written_and_recorded(tmp_path, monkeypatch, capsys):
    """By day and as means with intervals: in the terminal, in files and as steps in MLflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    text = TRAINING.replace("test_days: 1", "evaluation: {rolling: {days: 2}}")
    Path("rolling.yaml").write_text(text.replace("{kind: als, factors: 4}", "content"))
    assert main(["rolling.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "Day by day" in printed
    assert "posts of the day" in printed
    assert "minus that of the trending" in printed
    (folder,) = Path("data/training").glob("small-*")
    series, means = (pl.read_csv(folder / f"{name}.csv") for name in ("days", "means"))
    assert series["day"].unique().to_list() == [1, 2]
    client = MlflowClient("sqlite:///mlruns/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("recsys").experiment_id])
    history = client.get_metric_history(run.info.run_id, "ndcg_by_day")
    ours = series.filter(posts="all", metric="ndcg")
    assert [(m.step, m.value) for m in history] == list(ours.select("day", "value").iter_rows())
    ndcg = means.row(by_predicate=pl.col("metric") == "ndcg", named=True)
    for name in ("ci_low", "ci_high"):
        assert run.data.metrics[f"ndcg_{name}"] == ndcg[name]
        assert run.data.metrics[f"ndcg_over_trending_{name}"] == ndcg[f"difference_{name}"]
    assert run.data.metrics["ndcg_over_trending"] == ndcg["difference"]
    assert run.data.metrics["n_users_new"] > 0
    assert (folder / "model").is_dir()
