"""Reads the files of a stored model; what does not fit together is refused before it is used.

Compiled code trusts the numbers that it is given: an index beyond an array, or a size that no array
has, would end the process or take all memory. So nothing from a file reaches it unchecked. Sizes
are held against the bytes of the file before memory is taken for them.
"""

import io
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.lib import format as npy
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.logs.lists import TAGS, is_known, is_vector
from recsys.logs.log import InteractionLog
from recsys.logs.schema import COHORTS, KINDS

_KINDS_OF_NUMBERS = "biufUS"
"""Truth values, numbers and texts: what an array of a model may hold."""
_CELLS, _CELLS_A_BYTE = 10**7, 100
"""Most cells of a table, and how many more for each byte of its file: columns of keys do not
compress, so that no log of ours comes near."""
_TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
"""Types in estimators of scikit-learn that are trusted besides those that skops trusts itself."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays in a file of `np.savez`, by name.

    Raises:
        ValueError: an array is compressed, larger than its part of the file, or of objects.
        OSError, zipfile.BadZipFile: the file cannot be read.
    """
    with path.open("rb") as file:
        return _arrays_in(file)


def read_array(path: Path) -> NDArray[Any]:
    """The array in a file of `np.save`; errors as for `read_arrays`."""
    with path.open("rb") as file:
        return _array(file, path.stat().st_size, path.name)


def _arrays_in(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    arrays = {}
    with _stored(file) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as member:
                name = entry.filename.removesuffix(".npy")
                arrays[name] = _array(member, entry.file_size, name)
    return arrays


def _stored(file: IO[bytes]) -> zipfile.ZipFile:
    """An archive whose entries are not compressed and do not share bytes, so none can swell."""
    archive = zipfile.ZipFile(file)
    entries = archive.infolist()
    size = file.seek(0, io.SEEK_END)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("an array is compressed")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("arrays are larger than their file")
    return archive


def _array(file: IO[bytes], size: int, name: str) -> NDArray[Any]:
    """An array, if its header tells the size of its data."""
    version = npy.read_magic(file)
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"the array {name} is of an unknown format")
    shape, in_columns, dtype = read_header[version](file)
    if dtype.kind not in _KINDS_OF_NUMBERS or dtype.hasobject:
        raise ValueError(f"Object arrays cannot be loaded, and {name} is one of {dtype}")
    count = 1
    for length in shape:  # not np.prod, which wraps around
        count *= length
    if any(length < 0 for length in shape) or file.tell() + count * dtype.itemsize != size:
        raise ValueError(f"the array {name} does not have the size that it tells")
    flat = np.frombuffer(bytearray(file.read()), dtype=dtype, count=count)
    return flat.reshape(shape, order="F" if in_columns else "C")


def checked_csr(parts: list[NDArray[Any]], shape: list[int]) -> csr_matrix:
    """A matrix from its data, column indices and row pointers.

    Raises:
        ValueError: they do not fit together.
    """
    data, indices, indptr = parts
    if len(shape) != 2 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise ValueError(f"a sparse matrix has the shape {shape}")
    if any(part.ndim != 1 for part in parts) or data.dtype.kind not in "biuf":
        raise ValueError("the parts of a sparse matrix are no rows of numbers")
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise ValueError("the indices of a sparse matrix are no whole numbers")
    if indptr.size != shape[0] + 1 or indices.size != data.size:
        raise ValueError("the parts of a sparse matrix do not fit its shape")
    if indptr[0] != 0 or indptr[-1] != data.size or (indptr[1:] < indptr[:-1]).any():
        raise ValueError("the rows of a sparse matrix do not fit its data")
    if indices.size and not (indices.min() >= 0 and indices.max() < shape[1]):
        raise ValueError("a sparse matrix names a column that it does not have")
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise ValueError("a sparse matrix holds a number that is not finite")
    matrix = csr_matrix((data, indices, indptr), shape=tuple(shape))
    matrix.check_format(full_check=True)
    return matrix


def read_table(path: Path) -> pl.DataFrame:
    """A table of a log.

    Raises:
        ValueError: it has more cells than its file can hold.
        OSError, PolarsError: the file cannot be read.
    """
    lazy = pl.scan_parquet(path, glob=False)
    rows = lazy.select(pl.len()).collect().item()
    cells = rows * sum(_width(kind, path.name) for kind in lazy.collect_schema().dtypes())
    if cells > _CELLS + _CELLS_A_BYTE * path.stat().st_size:
        raise ValueError(f"{path.name} has {cells:,} cells, more than its file can hold")
    return lazy.collect()


def _width(kind: pl.DataType, name: str) -> int:
    """Number of cells of a value of a column."""
    if is_vector(kind):
        return kind.shape[0]  # type: ignore[attr-defined, no-any-return]
    if kind.is_nested() or kind.is_object():
        raise ValueError(f"{name} holds a column of {kind}")
    return 1


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Writes a table of a log; `read_lists` tells where its tags go.

    Nested columns that are neither tags nor vectors are left out: no model uses them.
    """
    kept = table.select(name for name, kind in table.schema.items() if is_known(kind))
    tags = [name for name, kind in kept.schema.items() if kind == TAGS]
    for name in tags:
        rows = pl.int_range(pl.len(), dtype=pl.UInt32)
        flat = kept.select(row=rows, tag=name).explode("tag").drop_nulls("tag")
        flat.write_parquet(_of_tags(path, kept.columns.index(name)))
    kept.with_columns(pl.lit(None, pl.String).alias(name) for name in tags).write_parquet(path)


def read_lists(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """A table from `read_table` with its tags.

    Lists could swell without bound in a file, so tags stand in a table of their own, row · tag, for
    each column, whose position is in the name of the file.

    Raises:
        ValueError: these tables do not fit.
    """
    for position, name in enumerate(table.columns):
        file = _of_tags(path, position)
        if file.is_file():
            flat = read_table(file)
            rows = flat["row"]
            if flat.schema != {"row": pl.UInt32, "tag": pl.String} or any(flat.null_count().row(0)):
                raise ValueError(f"{file.name} holds no rows and tags")
            if not rows.is_sorted() or (flat.height and rows[-1] >= table.height):
                raise ValueError(f"{file.name} names a row that {path.name} does not have")
            lists = flat.group_by("row", maintain_order=True).agg("tag")
            every = pl.DataFrame({"row": np.arange(table.height, dtype=np.uint32)})
            found = every.join(lists, on="row", how="left", maintain_order="left")["tag"]
            table = table.with_columns(found.cast(TAGS).alias(name))
    return table


def _of_tags(path: Path, position: int) -> Path:
    return path.with_name(f"{path.stem}-tags-{position}{path.suffix}")


def check_log(log: InteractionLog) -> None:
    """Raises ValueError unless the tables of a log fit together and have their types."""
    for table, ids, name in ((log.users, "user_id", "users"), (log.items, "item_id", "items")):
        _check_columns(table, {"key": pl.UInt64}, name)
        kind = table.schema.get(ids)
        if kind is None or not (kind.is_integer() or kind == pl.String):
            raise ValueError(f"{name} have no {ids} of integers or texts, but {kind}")
        if table.height >= 2**31 or table[ids].null_count() or table[ids].n_unique() < table.height:
            raise ValueError(f"{name}: {ids} is not known, or not another in each row")
    _check_columns(log.users, {"cohort": COHORTS}, "users")
    types = {"user": pl.UInt32, "item": pl.UInt32, "kind": KINDS, "weight": pl.Float32}
    _check_columns(log.dense, types, "events")
    _check_columns(log.dense.drop_nulls("rank"), {"rank": pl.UInt16}, "events")
    time = log.dense.schema.get("timestamp")
    if not (time == pl.Datetime("ms", "UTC") or time == pl.Null):
        raise ValueError(f"events have no timestamp in milliseconds, but {time}")
    if log.dense["timestamp"].null_count() not in (0, log.dense.height):
        raise ValueError("some events have a time, and some have none")
    if not log.dense["weight"].is_finite().all():
        raise ValueError("an event has a weight that is not finite")
    for column, rows in (("user", log.n_users), ("item", log.n_items)):
        largest = log.dense[column].max()
        if isinstance(largest, int) and largest >= rows:
            raise ValueError(f"events name {column} {largest}, but there are {rows}")


def _check_columns(table: pl.DataFrame, types: dict[str, Any], name: str) -> None:
    for column, kind in types.items():
        found = table.schema.get(column)
        if found != kind or table[column].null_count():
            raise ValueError(f"{name} have no {column} of {kind} in each row, but {found}")


def estimator(data: bytes) -> Any:
    """The estimator of scikit-learn in data of skops.

    Raises:
        ValueError: it holds types that are not trusted, or arrays that swell.
        zipfile.BadZipFile: the data are damaged.
    """
    import skops.io

    with _stored(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".npy"):
                with archive.open(entry) as member:
                    _check_header(member, entry)
    if names := untrusted(data):
        raise ValueError(f"an estimator holds {names}, which recsys does not read")
    return skops.io.loads(data, trusted=_TRUSTED)


def _check_header(member: IO[bytes], entry: zipfile.ZipInfo) -> None:
    """Raises where an array of an estimator, which may be structured, tells more than it has."""
    version = npy.read_magic(member)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(member)
    count = 1
    for length in shape:
        count *= length
    if dtype.hasobject or count < 0 or member.tell() + count * dtype.itemsize != entry.file_size:
        raise ValueError("an array of an estimator does not have the size that it tells")


def untrusted(data: bytes) -> str:
    """Names of the types in data of skops that are not trusted, separated by commas."""
    import skops.io

    return ", ".join(sorted(set(skops.io.get_untrusted_types(data=data)) - set(_TRUSTED)))
