"""`recsys tune`: trials in files and MLflow, seeded, resumed to the same bits."""

from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient

import recsys
from pipelines import tune, tuning
from pipelines.train import main as train
from pipelines.tune import main
from recsys.core.jobs import Threads
from recsys.mitigations.build import make_recommender
from recsys.training.evaluate import evaluate
from recsys.training.load import load_training
from recsys.training.train import log_of, split_for_tuning
from tests.kit.cluster import Here

CONFIGS = Path(recsys.__file__).parents[1] / "configs/tune"

TUNING = """
name: small
world:
  incumbents: 150
  influx: {kind: rednote_2025, newcomers: 40}
  days_before: 3
  days_after: 3
recommender: {kind: item_knn, neighbours: 20}
k: 5
test_days: 1
tune:
  space:
    neighbours: [5, 20, 80]
    shrinkage: {low: 0.1, high: 100, log: true}
  trials: 14
tracking: {enabled: false}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "small.yaml").write_text(TUNING, encoding="utf-8")
    return "small.yaml"


def folder():
    (found,) = Path("data/tuning").iterdir()
    return found


def trials():
    return pl.read_csv(folder() / "trials.csv").drop("fit_s")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_loads_and_says_how_to_run_it(path):
    training = load_training(path)
    assert training.tune is not None
    assert f".venv/bin/recsys tune configs/tune/{path.name}" in path.read_text()


def test_trials_are_evaluated_on_the_validation_part(config, capsys):
    assert main([config, "tune.trials=3"]) == 0
    printed = capsys.readouterr().out
    found = trials()
    assert found.height == 3
    first = found.row(0, named=True)
    training = load_training(config)
    own = training.recommender.options
    assert {name: first[name] for name in ("neighbours", "shrinkage")} == {
        "neighbours": 20,
        "shrinkage": own["shrinkage"],
    }  # the config's own and the default
    split = split_for_tuning(training, log_of(training))
    for row in found.iter_rows(named=True):
        options = {"neighbours": row["neighbours"], "shrinkage": row["shrinkage"]}
        spec = training.recommender.model_copy(update={"options": options})
        result = evaluate(training, make_recommender(spec), split)
        assert row["ndcg"] == result.figure("ndcg")
        assert row["coverage"] == result.figure("coverage")
    best = found.sort("ndcg", descending=True, maintain_order=True).row(0, named=True)
    chosen = load_training(folder() / "best.yaml")
    assert chosen.tune is None
    for option in ("neighbours", "shrinkage"):
        assert chosen.recommender.options[option] == best[option]
    assert f".venv/bin/recsys train {folder()}/best.yaml" in printed
    assert train([str(folder() / "best.yaml")]) == 0


def test_what_is_stopped_goes_on_to_the_same_bits(config, tmp_path, monkeypatch, capsys):
    assert main([config]) == 0
    whole = trials()
    assert whole["neighbours"].n_unique() > 1
    (tmp_path / "again").mkdir()
    (tmp_path / "again/small.yaml").write_text(TUNING)
    monkeypatch.chdir(tmp_path / "again")
    seen, suggested = [], tuning._suggested

    def interrupted(trial, name, choices):
        seen.append(name)
        if len(seen) in (2, 8, 28):  # in the middle of a trial: the first, an early, a late one
            raise KeyboardInterrupt
        return suggested(trial, name, choices)

    monkeypatch.setattr(tuning, "_suggested", interrupted)
    for done in (0, 2, 11):
        assert main([config]) == 130
        assert f"Interrupted with {done} of 14 trials done" in capsys.readouterr().err
    assert main([config]) == 0
    assert trials().equals(whole)
    assert main([config, "tune.trials=15"]) == 0  # a longer search goes on too
    assert trials().head(14).equals(whole)
    assert trials().height == 15
    assert main([config]) == 0  # nothing is left to do
    assert trials().equals(whole)


@pytest.mark.parametrize("engine", [Threads(3), Here(None, 3)], ids=["threads", "cluster"])
def test_trials_at_once_are_the_same_wherever_they_run(engine, config, tmp_path, monkeypatch):
    words = [config, "tune.at_once=6"]
    assert main([*words, "workers=1"]) == 0
    alone = trials()
    (tmp_path / "again").mkdir()
    (tmp_path / "again/small.yaml").write_text(TUNING)
    monkeypatch.chdir(tmp_path / "again")
    monkeypatch.setattr(tune, "engine_of", lambda training: engine)
    assert main([*words, "tune.trials=8"]) == 0  # ends in the middle of a round
    assert main(words) == 0
    assert trials().equals(alone)
    assert alone["shrinkage"].n_unique() == alone.height


def test_fields_of_an_option_are_searched_and_null_turns_it_off(config, tmp_path):
    (tmp_path / "recency.yaml").write_text(
        TUNING.replace(
            "    neighbours: [5, 20, 80]\n    shrinkage: {low: 0.1, high: 100, log: true}\n",
            "    recency.power: [null, 1.0]\n    recency.half_life_days: [0.1, 5.0]\n",
        ),
        encoding="utf-8",
    )
    assert main(["recency.yaml"]) == 0
    found = trials()
    off, on = (
        found.filter(pl.col("recency.power").is_null() == is_off) for is_off in (True, False)
    )
    assert off["recency.half_life_days"].n_unique() == 2
    assert off["ndcg"].n_unique() == 1  # a half-life of what is off changes nothing
    assert on["ndcg"].n_unique() > 1
    best = load_training(folder() / "best.yaml").recommender.options["recency"]
    row = found.sort("ndcg", "trial", descending=[True, False]).row(0, named=True)
    power, half_life = row["recency.power"], row["recency.half_life_days"]
    assert best == (None if power is None else {"power": power, "half_life_days": half_life})


def test_trials_of_a_round_do_not_know_of_one_another(config):
    assert main([config]) == 0
    one_by_one, place = trials(), folder()
    assert main([config, "tune.at_once=14"]) == 0
    (place,) = (path for path in Path("data/tuning").iterdir() if path != place)
    together = pl.read_csv(place / "trials.csv").drop("fit_s")
    assert together.head(10).equals(one_by_one.head(10))  # these are drawn at random anyway
    assert not together.equals(one_by_one)


def test_another_seed_is_another_search(config):
    assert main([config, "tune.trials=3"]) == 0
    first = trials()
    place = folder()
    assert main([config, "tune.trials=3", "seed=1"]) == 0
    (other,) = (path for path in Path("data/tuning").iterdir() if path != place)
    theirs = pl.read_csv(other / "trials.csv")
    assert theirs["shrinkage"].to_list()[1:] != first["shrinkage"].to_list()[1:]


def test_each_trial_is_a_child_run(config, tmp_path):
    assert main([config, "tune.trials=3", "tracking.enabled=true"]) == 0
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("recsys").experiment_id])
    (parent,) = (run for run in runs if run.data.tags["role"] == "tuning")
    children = {run.info.run_name: run for run in runs if run.data.tags["role"] == "trial"}
    assert sorted(children) == [f"item_knn trial {n}" for n in range(3)]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for number, row in enumerate(trials().iter_rows(named=True)):
        run = children[f"item_knn trial {number}"]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["neighbours"] == str(row["neighbours"])
        assert run.data.metrics["ndcg"] == pytest.approx(row["ndcg"])
    assert all(len(run.data.metrics) <= 40 for run in runs)
    assert parent.data.metrics["n_trials"] == 3
    assert parent.data.metrics["ndcg"] == pytest.approx(trials()["ndcg"].max())
    assert parent.data.params["best.neighbours"] in ("5", "20", "80")
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {
        "trials.csv",
        "best.yaml",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tune=null"], "small: tune: is missing; name what to search"),
        (["tune.metric=ndgc"], "tune.metric: there is no 'ndgc'; did you mean 'ndcg'?"),
        (["tune.space.neighbours=[0]"], "tune.space.neighbours: recommender item_knn: neighbours"),
        (["test_days=3.5"], "no event is left to train on; hold out less"),
    ],
)
def test_mistakes_are_one_message(arguments, words, config, capsys):
    assert main([config, *arguments]) == 2
    streams = capsys.readouterr()
    assert words in streams.err
    assert "Traceback" not in streams.err
