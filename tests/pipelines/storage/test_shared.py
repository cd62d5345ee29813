"""Stores that a cluster's processes write to: at a path, or at an address of fsspec."""

import json
import pickle
from functools import partial

import polars as pl
import pytest
import yaml

import recsys
from pipelines.storage.cells import CellStore
from pipelines.storage.figures import FigureStore, RowStore
from pipelines.storage.files import StorageError
from pipelines.storage.shared import FarStore, cell_store, figure_store, row_store
from recsys.core.errors import ConfigError
from recsys.study.arms.result import CellResult
from recsys.study.plan import plan
from tests.kit.tiny import WORLD

ONE, OTHER = (json.dumps({"part": part}) for part in ("one", "other"))
ROWS = pl.DataFrame({"claim": [1], "value": [0.5]})
MAKES = {"figures": (FigureStore, {"share": 0.25}), "rows": (RowStore, ROWS)}


def study(storage=None):
    words = [] if storage is None else ["engine.kind=dask", f"engine.storage={storage}"]
    return recsys.load_study(yaml.safe_load(WORLD), words)


def same(left, right):
    return left.equals(right) if isinstance(left, pl.DataFrame) else left == right


@pytest.fixture
def address():
    """An address whose files are in memory."""
    memory = pytest.importorskip("fsspec", reason="fsspec is not installed").filesystem("memory")
    yield "memory://bucket/recsys"
    memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize("name", MAKES)
def test_what_was_kept_far_away_comes_back(name, address):
    make, value = MAKES[name]
    store = FarStore(f"{address}/{name}", make)
    assert ONE not in store
    store[ONE] = store[OTHER] = value
    again = pickle.loads(pickle.dumps(store))
    assert again.shared
    assert same(again[ONE], value)
    assert sorted(again) == sorted([ONE, OTHER])
    assert len(again) == 2
    del again[ONE]
    assert list(store) == [OTHER]
    with pytest.raises(KeyError):
        del store[ONE]


@pytest.fixture
def far(address):
    """A store of cells far away, the identity of a cell, and its result in the store."""
    tiny = study(address)
    store, identity = cell_store(tiny), plan(tiny)[0].identity
    store[identity] = CellResult.of_games(pl.DataFrame({"value": [0.1, 0.2]}))
    return store, identity


def test_cells_lie_far_away_as_they_do_on_disk(far, tmp_path):
    store, identity = far
    near = CellStore(study(), tmp_path)
    near[identity] = store[identity]
    files, root = store._files()
    names = {name.removeprefix(f"{root}/") for name in files.find(root)}
    assert names == {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")}
    assert store[identity].games.equals(near[identity].games)


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
@pytest.mark.parametrize("name", ["cell.json", "games.parquet"])
def test_a_cell_that_is_not_as_it_was_written_counts_as_missing(far, name, damage):
    store, identity = far
    files, root = store._files()
    (path,) = (path for path in files.find(root) if path.endswith(name))
    content = files.cat_file(path)
    if damage == "gone":
        files.rm(path)
    else:
        files.pipe_file(path, content[:-9] + (b"" if damage == "cut" else b"*********"))
    assert identity not in store
    assert len(store) == 0


def test_a_folder_holds_what_data_holds(tmp_path):
    store = cell_store(study(tmp_path / "shared"))
    identity = plan(study())[0].identity
    store[identity] = CellResult.of_games(pl.DataFrame({"value": [0.1]}))
    assert (tmp_path / "shared/cells").is_dir()
    assert pickle.loads(pickle.dumps(store))[identity].games.height == 1
    figure_store(study(tmp_path))[ONE] = {"share": 0.5}
    row_store(study(tmp_path))[ONE] = ROWS
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["proofs", "shared", "validations"]
    for make in (cell_store, figure_store, row_store):
        assert make(study(tmp_path)).shared
        assert not make(study()).shared


def test_an_address_that_cannot_be_used_is_told(monkeypatch, address):
    with pytest.raises(ConfigError, match=r"engine\.storage: nowhere://x/cells cannot be used"):
        cell_store(study("nowhere://x"))

    def full(*given, **named):
        raise PermissionError("the bucket is not yours")

    store = FarStore(f"{address}/parts", partial(FigureStore))
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.put_file", full)
    with pytest.raises(StorageError, match=r"cannot write to .*: the bucket is not yours; check"):
        store[ONE] = {"share": 0.25}


def test_no_message_tells_a_password():
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    with pytest.raises((ConfigError, StorageError)) as told:
        _ = FarStore("no-such-protocol://ann:s3cret@host/recsys", FigureStore)[ONE]
    assert "s3cret" not in str(told.value)
    assert "ann:***@host" in str(told.value)
