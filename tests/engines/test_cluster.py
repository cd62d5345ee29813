"""What clusters share: jobs in groups, results from other processes, workers that are refused."""

import sys
from dataclasses import dataclass
from importlib import import_module

import pytest
import yaml

import recsys
from pipelines.storage.cells import CellStore
from recsys.checks.validation import run as validation
from recsys.core.alike import difference, machinery
from recsys.core.errors import ConfigError, EngineError
from recsys.core.jobs import Threads, run_all
from recsys.engines import engine_of
from recsys.engines.cluster import groups_of
from recsys.engines.there import carry_out
from recsys.study import sources
from recsys.study.plan import plan
from recsys.study.sources import together
from tests.kit.cluster import Here, assert_same_tables
from tests.kit.tiny import WORLD

CREATORS = "impressions to small creators"
ALIKE = "homogeneity of what people are shown"
RUN = import_module("recsys.study.run")  # the package has a function of that name
ENGINES = [Threads(2), Here(None, 1), Here(None, 5)]
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=["threads", "one", "five"])
LOG = {
    "name": "log",
    "recommenders": ["trending", "item_knn"],
    "evaluation": {"k": 4, "panel": 20},
}


@dataclass(frozen=True)
class Sum:
    number: int

    @property
    def name(self):
        return f"sum of {self.number}"

    @property
    def identity(self):
        return str(self.number)


class Elsewhere(dict):
    """A store that is another one once it has been sent."""

    shared = True


def square(job):
    if job.number == 13:
        raise ConfigError("13 brings bad luck")
    return job.number**2


def study(*overrides):
    return recsys.load_study(yaml.safe_load(WORLD), overrides)


@each_engine
def test_results_are_in_the_order_of_jobs_and_kept(engine):
    jobs = [Sum(number) for number in (3, 1, 2)]
    told, store = [], {"1": 100}
    results = run_all(jobs, square, engine, lambda *done: told.append(done), store)
    assert results == [9, 100, 4]
    assert store == {"1": 100, "2": 4, "3": 9}
    assert [(done, total) for done, total, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert sorted(name for _, _, name in told) == ["sum of 1", "sum of 2", "sum of 3"]


@each_engine
def test_what_a_job_raises_is_raised(engine):
    with pytest.raises(ConfigError, match="13 brings bad luck"):
        run_all([Sum(2), Sum(13)], square, engine)


def test_nothing_is_asked_of_a_cluster_if_all_is_kept():
    class Away(Here):
        def connected(self):
            raise AssertionError

    assert run_all([Sum(2)], square, Away(None, 1), store={"2": 5}) == [5]


def test_jobs_that_share_go_together_unless_there_are_more_processors():
    engine = Here(None, 2)
    run_all([Sum(n) for n in range(6)], square, engine, together=lambda job: job.number % 2)
    assert engine.sent == 2
    assert groups_of("abcdef", "010101", 2) == [["a", "c", "e"], ["b", "d", "f"]]
    assert groups_of("abcdef", "010101", 4) == [["a", "c"], ["e"], ["b", "d"], ["f"]]
    assert groups_of("abc", "000", 99) == [["a"], ["b"], ["c"]]
    assert groups_of("", "", 4) == []


def test_another_machinery_is_refused_in_one_sentence():
    other = {**machinery(), "numpy": "1.0", "BLAS kernels": "Prescott"}
    with pytest.raises(EngineError) as refused:
        carry_out(other, b"never opened")
    message = str(refused.value)
    assert "is refused" in message
    assert f"numpy {machinery()['numpy']} where this machine has 1.0" in message
    assert "where this machine has Prescott" in message
    assert "docs/scaling.md" in message
    assert "\n" not in message


def test_features_that_differ_are_named():
    one, other = ({"features of it": text} for text in ("AVX AVX2", "AVX FMA"))
    assert difference(one, other) == "features of it without AVX2 and with FMA"
    assert difference(one, dict(one)) == ""


@pytest.fixture(scope="module")
def local():
    return recsys.run(study())


@pytest.mark.parametrize("processors", [1, 4])
def test_a_study_has_the_same_bits(local, processors, monkeypatch):
    monkeypatch.setattr(RUN, "engine_of", lambda study: Here(None, processors))
    assert_same_tables(recsys.run(study()), local)


def test_worlds_of_a_seed_are_simulated_once(monkeypatch):
    simulated = []
    make = sources.house_worlds

    def counted(world, evaluation, arms, seed, threads):
        simulated.append((seed, threads))
        return make(world, evaluation, arms, seed, threads)

    monkeypatch.setattr(sources, "house_worlds", counted)
    monkeypatch.setattr(RUN, "engine_of", lambda study: Here(None, 2))
    recsys.run(study("seeds=3", "workers=2", "evaluation.panel=39"))
    assert sorted(simulated) == [(0, 1), (1, 1), (2, 1)]


def test_a_shared_store_is_written_by_workers_and_read_here(local, tmp_path, monkeypatch):
    monkeypatch.setattr(RUN, "engine_of", lambda study: Here(None, 2))
    store = CellStore(study(), tmp_path)
    store.shared = True
    sent = []
    completed = Here.completed

    def watched(self, function, calls):
        for number, results in completed(self, function, calls):
            sent.extend(results)
            yield number, results

    monkeypatch.setattr(Here, "completed", watched)
    assert_same_tables(recsys.run(study(), store=store), local)
    assert sent == [None] * 4
    assert len(store) == 4


def test_a_store_that_is_not_the_same_everywhere_is_an_error():
    with pytest.raises(EngineError, match=r"engine\.storage: a worker has written"):
        run_all([Sum(2)], square, Here(None, 1), store=Elsewhere())


def test_a_log_has_the_same_bits_and_must_be_the_same_file(tmp_path, monkeypatch):
    events, users = tmp_path / "events.csv", tmp_path / "users.csv"
    rows = [(u, (u * 7 + i * i) % 23) for u in range(90) for i in range(6 + u % 3)]
    events.write_text("user_id,item_id\n" + "".join(f"{u},{i}\n" for u, i in rows))
    users.write_text("user_id,days\n" + "".join(f"{u},{u % 8}\n" for u in range(90)))
    source = {"events": str(events), "users": str(users), "newcomers": "days = 0"}
    config = {**LOG, "log": {**source, "placebo_draws": 30, "holdout_share": 0.2}}
    log_study = recsys.load_study(config)
    here = recsys.run(log_study)
    monkeypatch.setattr(RUN, "engine_of", lambda study: Here(None, 2))
    assert_same_tables(recsys.run(log_study), here)

    read = {"log.events": "another", "log.users": "file"}
    monkeypatch.setattr(
        "recsys.study.sources._read_by", lambda study: dict(read, **{"log.events": str(id(study))})
    )
    with pytest.raises(EngineError, match=r"log\.events is another file on a worker"):
        recsys.run(log_study)


def test_a_process_that_lives_on_reads_a_log_anew_if_it_has_changed(tmp_path, monkeypatch):
    events, users = tmp_path / "events.csv", tmp_path / "users.csv"
    users.write_text("user_id,days\n" + "".join(f"{u},{u % 8}\n" for u in range(90)))
    source = {"events": str(events), "users": str(users), "newcomers": "days = 0"}
    config = {**LOG, "log": {**source, "placebo_draws": 20, "holdout_share": 0.2}}

    def bits(step):
        rows = [(u, (u * step + i * i) % 23) for u in range(90) for i in range(6 + u % 3)]
        events.write_text("user_id,item_id\n" + "".join(f"{u},{i}\n" for u, i in rows))
        return recsys.run(recsys.load_study(config))

    monkeypatch.setattr(RUN, "engine_of", lambda study: Here(None, 1))
    bits(7)
    second = bits(11)
    monkeypatch.setattr(RUN, "engine_of", lambda study: Threads(1))
    assert_same_tables(second, bits(11))


def test_cells_of_a_closed_loop_are_on_their_own():
    open_loop, closed = plan(study()), plan(study("loop=closed"))
    assert len({together(cell) for cell in open_loop}) == 2
    assert len({together(cell) for cell in closed}) == len(closed) == 4


def test_parts_of_a_validation_run_on_a_cluster(monkeypatch):
    monkeypatch.setattr(validation, "measure_platform", lambda *given: {CREATORS: 0.5})
    monkeypatch.setattr(validation, "measure_feedback", lambda *given: {ALIKE: 1.0})
    monkeypatch.setattr(validation, "engine_of", lambda study: Here(None, 3))
    small = study("recommenders=[trending]", "world.days_after=16")
    _, measured = validation.validate(small)
    assert measured.height == 2 * 3
    assert set(measured["quantity"]) == {CREATORS, ALIKE}


def test_the_engine_of_a_config():
    assert engine_of(study("workers=3")) == Threads(3)
    assert engine_of(study()) == Threads(study().threads)
    assert type(engine_of(study("engine.kind=ray"))).__name__ == "RayCluster"
    assert type(engine_of(study("engine.kind=dask"))).__name__ == "DaskCluster"


@pytest.mark.parametrize(("kind", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_missing_extra_is_named(kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError, match=rf"pip install 'recsys\[{kind}\]'"):
        recsys.run(study(f"engine.kind={kind}"))
