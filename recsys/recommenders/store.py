"""Models on disk as plain data: arrays, tables and JSON. Reading one runs no code from the files.

A folder holds model.json, which names the recommender and says where each field of the model is;
arrays.npz; and for each log the tables users, items and events. Classes are looked up by name among
those of `RECOMMENDERS`, or of the recommenders that the caller names; nothing is ever unpickled.
Estimators of scikit-learn are written by skops, which builds only types that are named here.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from pydantic import ValidationError
from scipy.sparse import csr_matrix

from recsys.config import Part
from recsys.core.errors import ModelError, nearest
from recsys.logs.log import InteractionLog
from recsys.recommenders import RECOMMENDERS, Model, Recommender

_RECORD, _ARRAYS = "model.json", "arrays.npz"
_TABLES = ("users", "items", "dense")
_FORMAT = 1
_PLAIN = (bool, int, float, str, type(None))
_TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
"""What scikit-learn's estimators may hold besides the types that skops trusts itself."""


def save_model(
    model: Model,
    folder: str | PathLike[str],
    recommenders: Mapping[str, type[Recommender]] = RECOMMENDERS,
) -> None:
    """Writes a model; `load_model` gives one that ranks to the same bits.

    The log that it was trained on goes with it, every event: models exclude what was seen, and the
    trending list that fills gaps is made from events. Take care whom you give the folder to.

    Args:
        model: fitted by one of `recommenders`.
        folder: where to; made if it is not there, files of a model in it are replaced.
        recommenders: by name, as in `recsys.RECOMMENDERS`.

    Raises:
        ModelError: a model of a class of one's own, or with a field that is neither arrays, CSR
            matrices, logs, options, plain values, estimators of scikit-learn nor made of these.

    >>> from tempfile import mkdtemp
    >>> log = InteractionLog.from_frames({"user_id": [1, 1, 2], "item_id": [7, 8, 7]})
    >>> folder = mkdtemp()
    >>> save_model(RECOMMENDERS["item_knn"]().fit(log), folder)
    >>> load_model(folder).recommend([2], k=1)["item_id"].to_list()
    [8]
    """
    place, name = Path(folder), _name_of(model, recommenders)
    writer = _Writer(_classes(recommenders, name))
    tree = writer.encoded(model, type(model).__name__)
    record = {"format": _FORMAT, "recommender": name, "model": tree}
    place.mkdir(parents=True, exist_ok=True)
    np.savez(place / _ARRAYS, allow_pickle=False, **writer.arrays)
    for number, log in enumerate(writer.logs):
        for table in _TABLES:
            getattr(log, table).write_parquet(place / _table(number, table))
    (place / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def load_model(
    folder: str | PathLike[str],
    recommenders: Mapping[str, type[Recommender]] = RECOMMENDERS,
) -> Model:
    """Reads a model that `save_model` wrote.

    Args:
        folder: where it is.
        recommenders: whose models may be read, by name.

    Raises:
        ModelError: no model there, one of a recommender that is not among these, or files that do
            not fit together.
    """
    place = Path(folder)
    if not (place / _RECORD).is_file():
        raise ModelError(
            f"{place.absolute()}: no stored model ({_RECORD} is missing); name a folder that "
            "recsys.save_model or pipelines.train wrote"
        )
    try:
        record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ModelError(
                f"{place}: stored in format {record['format']}, this version of recsys reads "
                f"{_FORMAT}; train it again"
            )
        _check_known(record["recommender"], recommenders, place)
        with (place / _ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            classes = _classes(recommenders, record["recommender"])
            reader = _Reader(classes, dict(arrays), place)
        model = reader.decoded(record["model"])
    except ModelError:
        raise
    except _UNREADABLE as error:
        raise ModelError(
            f"{place}: the stored model is damaged: {error}; train it again"
        ) from error
    if not isinstance(model, Model):
        raise ModelError(f"{place}: {_RECORD} describes no model; train it again")
    return model


_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    BadZipFile,
    PolarsError,
    EOFError,
)


@dataclass
class _Writer:
    """Turns a model into JSON, and collects its arrays and logs."""

    classes: Mapping[str, type[Any]]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    logs: list[InteractionLog] = field(default_factory=list)

    def encoded(self, value: Any, path: str) -> Any:
        """JSON for a value; `path` names it in errors and among the arrays."""
        if isinstance(value, _PLAIN) and not isinstance(value, np.generic):
            return value
        if isinstance(value, np.ndarray | np.generic):
            return {"array": self._array(np.asarray(value), path)}
        if isinstance(value, csr_matrix):
            return {
                "csr": [self._array(part, f"{path}.{name}") for name, part in _parts(value)],
                "shape": list(value.shape),
            }
        if isinstance(value, InteractionLog):
            return {"log": self._log(value)}
        if type(value).__module__.startswith("sklearn."):
            return {"estimator": self._array(_estimator_bytes(value, path), path)}
        if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
            parts = [self.encoded(part, f"{path}.{n}") for n, part in enumerate(value)]
            return {"tuple" if isinstance(value, tuple) else "list": parts}
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {"dict": {key: self.encoded(v, f"{path}.{key}") for key, v in value.items()}}
        name = self._class_of(value, path)
        if isinstance(value, Part):
            return {"options": name, "values": value.model_dump(mode="json")}
        known = getattr(value, "_fields", None) or [f.name for f in fields(value)]
        inside = {f: self.encoded(getattr(value, f), f"{path}.{f}") for f in known}
        return {"class": name, "fields": inside}

    def _array(self, array: NDArray[Any], path: str) -> str:
        if array.dtype.hasobject:
            raise ModelError(f"{path}: an array of objects cannot be stored; use numbers or text")
        self.arrays[path] = array
        return path

    def _log(self, log: InteractionLog) -> int:
        """Its number; the same log is stored once."""
        for number, known in enumerate(self.logs):
            if known is log:
                return number
        self.logs.append(log)
        return len(self.logs) - 1

    def _class_of(self, value: Any, path: str) -> str:
        kind = type(value)
        if self.classes.get(kind.__name__) is not kind:
            raise ModelError(
                f"{path}: a {kind.__module__}.{kind.__qualname__} cannot be stored. A model's "
                "fields are arrays, CSR matrices, logs, options, plain values and models of "
                "recsys.RECOMMENDERS; name recommenders of your own as recommenders={...}"
            )
        return kind.__name__


@dataclass
class _Reader:
    """Turns the JSON of a model back into one."""

    classes: Mapping[str, type[Any]]
    arrays: Mapping[str, NDArray[Any]]
    place: Path
    logs: dict[int, InteractionLog] = field(default_factory=dict)

    def decoded(self, tree: Any) -> Any:
        """The value that `_Writer.encoded` made JSON of."""
        if not isinstance(tree, dict):
            return tree
        if "array" in tree:
            array = self.arrays[tree["array"]]
            return array[()] if array.ndim == 0 else array
        if "csr" in tree:
            data, indices, indptr = (self.arrays[name] for name in tree["csr"])
            matrix = csr_matrix((data, indices, indptr), shape=tuple(tree["shape"]))
            matrix.check_format(full_check=True)
            return matrix
        if "log" in tree:
            return self._log(int(tree["log"]))
        if "estimator" in tree:
            return _estimator(self.arrays[tree["estimator"]].tobytes(), self.place)
        for name, kind in (("tuple", tuple), ("list", list)):
            if name in tree:
                return kind(self.decoded(part) for part in tree[name])
        if "dict" in tree:
            return {key: self.decoded(value) for key, value in tree["dict"].items()}
        if "options" in tree:
            kind = self._class(tree["options"])
            try:
                return kind.model_validate_json(json.dumps(tree["values"]))
            except ValidationError as error:
                raise ValueError(str(error)) from error
        kind = self._class(tree["class"])
        return kind(**{name: self.decoded(value) for name, value in tree["fields"].items()})

    def _log(self, number: int) -> InteractionLog:
        if number not in self.logs:
            users, items, dense = (
                pl.read_parquet(self.place / _table(number, name)) for name in _TABLES
            )
            self.logs[number] = InteractionLog(users, items, dense)
            _check_log(self.logs[number])
        return self.logs[number]

    def _class(self, name: str) -> type[Any]:
        if name not in self.classes:
            raise ModelError(
                f"{self.place}: it holds a {name!r}, which is no class of these recommenders; "
                f"{nearest(name, self.classes)}"
            )
        return self.classes[name]


def _estimator_bytes(value: Any, path: str) -> NDArray[np.uint8]:
    """An estimator of scikit-learn as skops writes it."""
    import skops.io

    data = skops.io.dumps(value)
    unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - set(_TRUSTED))
    if unknown:
        raise ModelError(
            f"{path}: a {type(value).__name__} holds {', '.join(unknown)}, which are not read back"
        )
    return np.frombuffer(data, dtype=np.uint8)


def _estimator(data: bytes, place: Path) -> Any:
    import skops.io

    unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - set(_TRUSTED))
    if unknown:
        raise ModelError(f"{place}: an estimator holds {', '.join(unknown)}, which are not read")
    return skops.io.loads(data, trusted=_TRUSTED)


def _check_log(log: InteractionLog) -> None:
    """Rows that events name must be there: compiled code does not look."""
    for column, rows in (("user", log.n_users), ("item", log.n_items)):
        largest = log.dense[column].max()
        if isinstance(largest, int) and largest >= rows:
            raise ValueError(f"events name {column} {largest} of {rows}")


def _check_known(name: str, recommenders: Mapping[str, type[Recommender]], place: Path) -> None:
    if name not in recommenders:
        raise ModelError(
            f"{place}: a model of {name!r}, which is no recommender here; "
            f"{nearest(str(name), recommenders)}. One of your own is read with "
            "recommenders={NAME: CLASS}"
        )


def _name_of(model: Model, recommenders: Mapping[str, type[Recommender]]) -> str:
    """The recommender whose module defines the model's class."""
    for name, kind in recommenders.items():
        if kind.__module__ == type(model).__module__:
            return name
    raise ModelError(
        f"{type(model).__name__}: made by none of {', '.join(recommenders)}, whose models can be "
        "stored; name yours: recommenders={NAME: CLASS}"
    )


def _classes(recommenders: Mapping[str, type[Recommender]], name: str) -> dict[str, type[Any]]:
    """What may be read, by name: the dataclasses, named tuples and options that the modules of
    recommenders define, or import from modules beside them.

    Of two classes with one name, that of the recommender called `name` is meant.
    """
    found: dict[str, type[Any]] = {}
    for recommender in (recommenders[name], *recommenders.values()):
        waiting, known = [recommender.__module__], {recommender.__module__}
        while waiting:
            module = waiting.pop()
            for kind in vars(sys.modules[module]).values():
                if not isinstance(kind, type) or not _is_value(kind) or not _beside(kind, module):
                    continue
                found.setdefault(kind.__name__, kind)
                if kind.__module__ not in known:
                    known.add(kind.__module__)
                    waiting.append(kind.__module__)
    return found


def _is_value(kind: type[Any]) -> bool:
    named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return is_dataclass(kind) or issubclass(kind, Part) or named_tuple


def _beside(kind: type[Any], module: str) -> bool:
    """Whether a class is defined in a module, or in one of the same package."""
    package = module.rpartition(".")[0]
    same = package != "" and kind.__module__.rpartition(".")[0] == package
    return kind.__module__ == module or same


def _parts(matrix: csr_matrix) -> tuple[tuple[str, NDArray[Any]], ...]:
    return ("data", matrix.data), ("indices", matrix.indices), ("indptr", matrix.indptr)


def _table(number: int, name: str) -> str:
    return f"log-{number}-{'events' if name == 'dense' else name}.parquet"
