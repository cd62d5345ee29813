"""Models on disk: the same bits come back, and nothing but data is ever read."""

import json
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from polars.testing import assert_frame_equal
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import FunctionTransformer

from recsys.core.errors import ModelError
from recsys.core.sums import write_sums
from recsys.logs.log import InteractionLog
from recsys.recommenders import RECOMMENDERS, Model, Recommender, stored
from recsys.recommenders.store import load_model, save_model
from recsys.testing.promises import same_ranking

SMALL = {"als": {"factors": 8}, "ease": {"regularization": 10.0}}
ASKED = np.array([20, 3, 650, 7, -1, 11])


@pytest.fixture(scope="module")
def log():
    """700 people of whom some only saw things, 60 items with attributes; string ids, times."""
    rng = np.random.default_rng(5)
    n = 5000
    item = (58 * rng.random(n) ** 2).astype(int)
    events = pl.DataFrame(
        {
            "user_id": [f"user {u}" for u in (*rng.integers(10, 700, n), *range(5, 10))],
            "item_id": [f"item {i}" for i in (*item, *range(5, 10))],
            "kind": [*rng.choice(["click", "share", "impression"], n), *["impression"] * 5],
            "timestamp": 1_736_640_000 + np.sort(rng.integers(0, 5 * 86_400, n + 5)),
        }
    )
    users = {"user_id": [f"user {u}" for u in range(700)]}
    users["cohort"] = ["incumbent"] * 600 + ["newcomer"] * 100
    items = pl.DataFrame(
        {
            "item_id": [f"item {i}" for i in range(60)],
            "topic": pl.Series(["food", "pets"] * 30, dtype=pl.Enum(["food", "pets"])),
            "language": ["zh", "en", None] * 20,
        }
    )
    return InteractionLog.from_frames(events, users, items)


@pytest.fixture(params=RECOMMENDERS)
def model(request, log):
    name = request.param
    return RECOMMENDERS[name](**SMALL.get(name, {})).fit(log, seed=3)


def test_the_log_comes_back(model, log, tmp_path):
    save_model(model, tmp_path)
    again = load_model(tmp_path).log
    for table in ("users", "items", "dense"):
        assert_frame_equal(getattr(again, table), getattr(log, table))


def test_files_are_arrays_tables_and_json_that_can_be_read_without_pickle(model, tmp_path):
    save_model(model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.json",
        "arrays.npz",
        "log-0-users.parquet",
        "log-0-items.parquet",
        "log-0-events.parquet",
        "SHA256SUMS",
    }
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
        assert not any(array.dtype.hasobject for array in arrays.values())
    json.loads((tmp_path / "model.json").read_text())


def test_nothing_is_unpickled(log, tmp_path, monkeypatch):
    """Not on the way out, not on the way in, not if somebody puts a pickle there."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "dump", "dumps", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    save_model(Options().fit(log), tmp_path / "mine", MINE)
    load_model(tmp_path / "mine", MINE)
    save_model(RECOMMENDERS["trending"]().fit(log), tmp_path)
    load_model(tmp_path)
    monkeypatch.undo()
    np.savez(tmp_path / "arrays.npz", **{"TrendingModel.heat": np.array([Bomb()], dtype=object)})
    write_sums(tmp_path)
    with pytest.raises(ModelError, match="damaged: Object arrays cannot be loaded"):
        load_model(tmp_path)
    assert not Bomb.gone_off


class Bomb:
    gone_off = False

    def __reduce__(self):
        return (setattr, (Bomb, "gone_off", True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(recommender="os"), "a model of 'os', which is no recommender here"),
        (lambda r: r["model"].update({"class": "Path"}), "holds a 'Path', which is no class of"),
        (lambda r: r["model"].update({"class": "os.system"}), "'os.system', which is no class"),
        (lambda r: r["model"].update({"class": "InteractionLog"}), "which is no class of these"),
        (lambda r: r["model"]["fields"].pop("heat"), "damaged"),
        (lambda r: r["model"]["fields"].update(more=1), "damaged"),
        (lambda r: r["model"]["fields"]["heat"].update(array="none"), "damaged"),
        (lambda r: r["model"]["fields"]["log"].update(log=7), "damaged"),
        (lambda r: r.update(format=99), "stored in format 99, this version of recsys reads 3"),
        (lambda r: r.update(model=5), "describes no model"),
        (lambda r: r.pop("format"), "damaged"),
    ],
)
def test_other_records_are_refused(change, message, log, tmp_path):
    save_model(RECOMMENDERS["trending"]().fit(log), tmp_path)
    record = json.loads((tmp_path / "model.json").read_text())
    change(record)
    (tmp_path / "model.json").write_text(json.dumps(record))
    write_sums(tmp_path)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["arrays.npz", "log-0-users.parquet", "model.json"])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_damaged_files(name, harm, log, tmp_path):
    save_model(RECOMMENDERS["item_knn"]().fit(log), tmp_path)
    file = tmp_path / name
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelError, match=r"damaged|no stored model"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["arrays.npz", "model.json", "log-0-events.parquet", "SHA256SUMS"])
def test_no_flipped_bit_is_believed(name, log, tmp_path):
    save_model(RECOMMENDERS["als"](factors=2).fit(log), tmp_path)
    file = tmp_path / name
    data = file.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(data), 25):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        file.write_bytes(bytes(changed))
        with pytest.raises(ModelError, match=r"damaged|stored in format|no stored model"):
            load_model(tmp_path)
    file.write_bytes(data)
    load_model(tmp_path)


def test_other_values_of_the_same_shape_are_not_believed(log, tmp_path):
    save_model(RECOMMENDERS["trending"]().fit(log), tmp_path)
    file = tmp_path / "log-0-events.parquet"
    table = pl.read_parquet(file)
    table.with_columns(item=(pl.col("item") + 1) % log.n_items).write_parquet(file)
    with pytest.raises(ModelError, match=r"log-0-events.parquet has changed since it was written"):
        load_model(tmp_path)


def test_events_beyond_the_tables_are_found(log, tmp_path):
    save_model(RECOMMENDERS["trending"]().fit(log), tmp_path)
    log.items.head(3).write_parquet(tmp_path / "log-0-items.parquet")
    write_sums(tmp_path)
    with pytest.raises(ModelError, match="events name item"):
        load_model(tmp_path)


def test_no_model_there(tmp_path):
    with pytest.raises(ModelError, match="no stored model"):
        load_model(tmp_path / "nowhere")


# Models of one's own


class Options(Recommender):
    power: float = 2.0

    def fit(self, log, seed=0, previous=None):
        base = RECOMMENDERS["trending"]().fit(log)
        part = Detail(np.float32(0.5), ("a", 1, None), {"x": np.arange(3)}, trees())
        return Nested(log, self, base, part, [0.1, float("inf")])


@dataclass(frozen=True)
class Detail:
    scale: Any
    words: tuple[Any, ...]
    table: dict[str, NDArray[Any]]
    trees: "Wood"


class Wood(NamedTuple):
    columns: NDArray[Any]
    classifier: Any


def trees():
    """A classifier with missing values in what it learned from."""
    rng = np.random.default_rng(0)
    X = rng.random((400, 3))
    X[rng.random(X.shape) < 0.1] = np.nan
    y = np.nan_to_num(X[:, 0]) > rng.random(400)
    kind = HistGradientBoostingClassifier
    return Wood(np.arange(3), kind(max_iter=5, random_state=0).fit(X, y))


@dataclass(frozen=True)
class Nested(Model):
    options: Options
    base: Model
    detail: Detail
    numbers: list[float]

    def score(self, users, items):
        return self.base.score(users, items) ** self.options.power * self.detail.scale


@dataclass(frozen=True)
class Unstorable(Model):
    file: Any

    def score(self, users, items):
        return np.zeros((users.size, items.size))


MINE = {**RECOMMENDERS, "mine": Options}


def test_models_of_ones_own_are_read_if_they_are_named(log, tmp_path):
    model = Options(power=3.0).fit(log)
    with pytest.raises(ModelError, match=r"Nested: made by none of random, .*; pass your own"):
        save_model(model, tmp_path)
    save_model(model, tmp_path, MINE)
    again = load_model(tmp_path, MINE)
    same_ranking(again.rank(ASKED, 20), model.rank(ASKED, 20), "a stored model ranks otherwise")
    assert again.options == model.options
    assert again.base.log is again.log  # stored once
    assert again.detail.words == ("a", 1, None)
    assert again.detail.scale.dtype == np.float32
    assert again.numbers == [0.1, float("inf")]
    X = np.random.default_rng(1).random((50, 3))
    was, now = (m.detail.trees.classifier.predict_proba(X) for m in (model, again))
    np.testing.assert_array_equal(now, was)
    with pytest.raises(ModelError, match="a model of 'mine', which is no recommender here"):
        load_model(tmp_path)


@pytest.mark.parametrize("value", [Path("x"), object(), np.array([object()]), {1: 2}, {"a"}])
def test_fields_that_cannot_be_stored(value, log, tmp_path):
    with pytest.raises(ModelError, match=r"Unstorable.file: .*cannot be stored"):
        save_model(Unstorable(log, value), tmp_path / "model", MINE)
    assert not (tmp_path / "model").exists()


def test_estimators_that_hold_code_are_refused(log, tmp_path, monkeypatch):
    transform = FunctionTransformer(Path.unlink)
    with pytest.raises(ModelError, match=r"FunctionTransformer holds .*would not read back"):
        save_model(Unstorable(log, transform), tmp_path, MINE)
    with monkeypatch.context() as patch:
        patch.setattr(stored, "_TRUSTED", [*stored._TRUSTED, "pathlib.Path.unlink"])
        patch.setattr("skops.io.get_untrusted_types", lambda data: [])
        save_model(Unstorable(log, transform), tmp_path, MINE)
    with pytest.raises(ModelError, match=r"an estimator holds .*which recsys does not read"):
        load_model(tmp_path, MINE)


def test_a_stored_model_is_the_same_bytes_but_for_the_clock(log, tmp_path):
    for name in ("first", "second"):
        save_model(RECOMMENDERS["als"](factors=4).fit(log), tmp_path / name)
    for file in (tmp_path / "first").iterdir():
        other = tmp_path / "second" / file.name
        if file.suffix == ".npz":
            with zipfile.ZipFile(file) as mine, zipfile.ZipFile(other) as theirs:
                assert mine.namelist() == theirs.namelist()
                for entry in mine.namelist():
                    assert mine.read(entry) == theirs.read(entry)
        else:
            assert file.read_bytes() == other.read_bytes()
