"""Finished parts of validations and proofs: kept, and not believed once damaged."""

import json

import polars as pl
import pytest

from pipelines.storage import digests
from pipelines.storage.figures import FigureStore, RowStore

ONE, OTHER = (json.dumps({"part": part}) for part in ("one", "other"))
ROWS = pl.DataFrame({"claim": [1], "value": [0.5]})


@pytest.fixture(params=["figures", "rows"])
def kept(request, tmp_path):
    """A store and a value of the kind that it keeps."""
    if request.param == "figures":
        return FigureStore(tmp_path), {"share": 0.25}
    return RowStore(tmp_path), ROWS


def same(left, right):
    return left.equals(right) if isinstance(left, pl.DataFrame) else left == right


def test_what_was_kept_comes_back(kept, tmp_path):
    store, value = kept
    store[ONE] = value
    assert same(store[ONE], value)
    assert list(store) == [ONE]
    assert OTHER not in store
    del store[ONE]
    assert len(store) == 0
    assert list((tmp_path / "parts").iterdir()) == []


def test_a_damaged_file_counts_as_missing(kept, tmp_path):
    store, value = kept
    store[ONE] = store[OTHER] = value
    next(iter((tmp_path / "parts").iterdir())).write_text("{", encoding="utf-8")
    assert len(store) == 1
    assert sum(part in store for part in (ONE, OTHER)) == 1


def test_another_figure_is_not_believed(tmp_path):
    store = FigureStore(tmp_path)
    store[ONE] = {"share": 0.0861, "none": float("nan")}
    assert store[ONE]["share"] == 0.0861
    file = next(iter((tmp_path / "parts").iterdir()))
    file.write_text(file.read_text().replace("0.0861", "0.0961"))
    assert ONE not in store
    assert len(store) == 0


def test_other_rows_are_not_believed(tmp_path):
    """Also where the file is sound and says what it is of."""
    store = RowStore(tmp_path)
    store[ONE] = ROWS
    file = next(iter((tmp_path / "parts").iterdir()))
    metadata = pl.read_parquet_metadata(file)
    kept = {name: metadata[name] for name in ("identity", "sha256")}
    ROWS.with_columns(value=0.75).write_parquet(file, metadata=kept)
    assert ONE not in store


def test_no_flipped_bit_is_believed(kept, tmp_path):
    store, value = kept
    store[ONE] = value
    file = next(iter((tmp_path / "parts").iterdir()))
    data = file.read_bytes()
    for place in range(0, len(data), max(len(data) // 60, 1)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        assert ONE not in store or same(store[ONE], value)
    file.write_bytes(data)
    assert same(store[ONE], value)


def test_other_code_computes_again(kept, monkeypatch):
    store, value = kept
    store[ONE] = value
    monkeypatch.setattr("pipelines.storage.figures.code_digest", lambda: "other code")
    assert ONE not in store
    assert len(store) == 0
    assert digests.code_digest() != "other code"
