"""Stores models on disk as arrays, tables and JSON; to read a model runs no code from its files.

The folder of a model holds model.json, which names the recommender and says where each field of the
model is; arrays.npz; and three tables (users, items, events) for each log, with one more for each
column of tags. Nothing is unpickled. A class that model.json names must be one of the classes of
`RECOMMENDERS`, or of recommenders that the caller names. Estimators of scikit-learn are stored by
skops, which builds only trusted types. Files whose bytes have changed are refused, and so are files
that somebody made up with numbers that do not fit together (`recsys.recommenders.stored`).
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from polars.exceptions import PanicException
from pydantic import ValidationError
from scipy.sparse import csr_matrix

from recsys.config import Part
from recsys.core.errors import ModelError, first_line, nearest
from recsys.core.sums import check_sums, write_sums
from recsys.logs.log import InteractionLog
from recsys.recommenders import RECOMMENDERS, Model, Recommender
from recsys.recommenders.stored import (
    check_log,
    checked_csr,
    estimator,
    read_arrays,
    read_lists,
    read_table,
    untrusted,
    write_table,
)

_RECORD, _ARRAYS = "model.json", "arrays.npz"
_TABLES = ("users", "items", "dense")
_TABLE_FILES = "log-*.parquet"
_FORMAT = 3
_MOST_RECORD = 2**26
"""Largest model.json, in bytes; ours have a few thousand."""
_PLAIN = (bool, int, float, str, type(None))


def save_model(
    model: Model,
    folder: str | PathLike[str],
    recommenders: Mapping[str, type[Recommender]] = RECOMMENDERS,
) -> None:
    """Writes a model to a folder; the model that `load_model` reads back ranks to the same bits.

    The whole training log is stored with the model, because a model leaves out what a user has seen
    and fills gaps from a trending list. So give the folder only to people who may see the log.

    Args:
        model: a model that one of `recommenders` has fitted.
        folder: the folder, such as "models/als"; it is made if needed, and the files of another
            model in it are replaced.
        recommenders: recommenders by name, such as `recsys.RECOMMENDERS`.

    Raises:
        ModelError: none of `recommenders` made the model, or a field of it cannot be stored. Fields
            may be arrays, CSR matrices, logs, options, plain values, estimators of scikit-learn,
            and tuples, lists, dicts and models of these.

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
    for old in place.glob(_TABLE_FILES):
        old.unlink()
    np.savez(place / _ARRAYS, allow_pickle=False, **writer.arrays)
    for number, log in enumerate(writer.logs):
        for table in _TABLES:
            write_table(getattr(log, table), place / _table(number, table))
    (place / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    write_sums(place)


def load_model(
    folder: str | PathLike[str],
    recommenders: Mapping[str, type[Recommender]] = RECOMMENDERS,
) -> Model:
    """Reads a model that `save_model` wrote.

    Args:
        folder: the folder of the model, such as "models/als".
        recommenders: recommenders by name whose models may be read, such as `recsys.RECOMMENDERS`.

    Raises:
        ModelError: the folder holds no model, the model is of none of `recommenders`, its files
            have changed since they were written, or what they hold does not fit together.
    """
    place = Path(folder)
    if not (place / _RECORD).is_file():
        raise ModelError(
            f"{place.absolute()}: no stored model ({_RECORD} is missing); name a folder that "
            "recsys.save_model or pipelines.train wrote"
        )
    try:
        return _read(place, recommenders)
    except ModelError:
        raise
    except (Exception, PanicException) as error:  # whatever damaged files make libraries raise
        raise ModelError(
            f"{place}: the stored model is damaged: {first_line(error)}; train it again"
        ) from error


def _read(place: Path, recommenders: Mapping[str, type[Recommender]]) -> Model:
    if (place / _RECORD).stat().st_size > _MOST_RECORD:
        raise ValueError(f"{_RECORD} is too large")
    record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
    if record["format"] != _FORMAT:
        raise ModelError(
            f"{place}: stored in format {record['format']!r}, this version of recsys reads "
            f"{_FORMAT}; train it again"
        )
    check_sums(place, (_RECORD, _ARRAYS, *(table.name for table in place.glob(_TABLE_FILES))))
    _check_known(record["recommender"], recommenders, place)
    classes = _classes(recommenders, record["recommender"])
    model = _Reader(classes, read_arrays(place / _ARRAYS), place).decoded(record["model"])
    if not isinstance(model, Model):
        raise ModelError(f"{place}: {_RECORD} describes no model; train it again")
    model.check()
    if model.log.n_items:
        model.rank(np.array([min(0, model.log.n_users - 1), -1]), k=1)  # what else does not fit
    return model


@dataclass
class _Writer:
    """Turns a model into JSON, and collects its arrays and logs."""

    classes: Mapping[str, type[Any]]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    logs: list[InteractionLog] = field(default_factory=list)

    def encoded(self, value: Any, path: str) -> Any:
        """A value as JSON.

        Args:
            value: the value.
            path: its name in errors and among the arrays, such as "ALSModel.user_factors".
        """
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
        names = getattr(value, "_fields", None) or [f.name for f in fields(value)]
        encoded = {f: self.encoded(getattr(value, f), f"{path}.{f}") for f in names}
        return {"class": name, "fields": encoded}

    def _array(self, array: NDArray[Any], path: str) -> str:
        if array.dtype.hasobject:
            raise ModelError(f"{path}: an array of objects cannot be stored; use numbers or text")
        self.arrays[path] = array
        return path

    def _log(self, log: InteractionLog) -> int:
        """The number of a log; a log that several fields share is stored once."""
        for number, stored in enumerate(self.logs):
            if stored is log:
                return number
        self.logs.append(log)
        return len(self.logs) - 1

    def _class_of(self, value: Any, path: str) -> str:
        kind = type(value)
        if self.classes.get(kind.__name__) is not kind:
            raise ModelError(
                f"{path}: a {kind.__module__}.{kind.__qualname__} cannot be stored. Fields of a "
                "model may be arrays, CSR matrices, logs, options, plain values and models of "
                "recsys.RECOMMENDERS; pass your own recommenders as recommenders={NAME: CLASS}"
            )
        return kind.__name__


@dataclass
class _Reader:
    """Turns JSON back into a model."""

    classes: Mapping[str, type[Any]]
    arrays: Mapping[str, NDArray[Any]]
    place: Path
    logs: dict[int, InteractionLog] = field(default_factory=dict)

    def decoded(self, tree: Any) -> Any:
        """The value that `_Writer.encoded` turned into this JSON."""
        if not isinstance(tree, dict):
            return tree
        if "array" in tree:
            array = self.arrays[tree["array"]]
            return array[()] if array.ndim == 0 else array
        if "csr" in tree:
            return checked_csr([self.arrays[name] for name in tree["csr"]], tree["shape"])
        if "log" in tree:
            return self._log(int(tree["log"]))
        if "estimator" in tree:
            return estimator(self.arrays[tree["estimator"]].tobytes())
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
        if issubclass(kind, Part):
            raise ValueError(f"{kind.__name__} is no class with fields")
        return kind(**{name: self.decoded(value) for name, value in tree["fields"].items()})

    def _log(self, number: int) -> InteractionLog:
        if number not in self.logs:
            files = [self.place / _table(number, name) for name in _TABLES]
            users, items, dense = (read_lists(read_table(file), file) for file in files)
            self.logs[number] = InteractionLog(users, items, dense)
            check_log(self.logs[number])
        return self.logs[number]

    def _class(self, name: str) -> type[Any]:
        if name not in self.classes:
            raise ModelError(
                f"{self.place}: the model holds a {name!r}, which is no class of these "
                "recommenders; "
                f"{nearest(name, self.classes)}"
            )
        return self.classes[name]


def _estimator_bytes(value: Any, path: str) -> NDArray[np.uint8]:
    """An estimator of scikit-learn in the format of skops."""
    import skops.io

    data = skops.io.dumps(value)
    if names := untrusted(data):
        raise ModelError(
            f"{path}: a {type(value).__name__} holds {names}, which recsys would not read back"
        )
    return np.frombuffer(data, dtype=np.uint8)


def _check_known(name: str, recommenders: Mapping[str, type[Recommender]], place: Path) -> None:
    if name not in recommenders:
        raise ModelError(
            f"{place}: a model of {name!r}, which is no recommender here; "
            f"{nearest(str(name), recommenders)}. To read a model of your own recommender pass "
            "recommenders={NAME: CLASS}"
        )


def _name_of(model: Model, recommenders: Mapping[str, type[Recommender]]) -> str:
    """Name of the recommender whose module defines the class of the model."""
    for name, kind in recommenders.items():
        if kind.__module__ == type(model).__module__:
            return name
    raise ModelError(
        f"{type(model).__name__}: made by none of {', '.join(recommenders)}, whose models can be "
        "stored; pass your own recommender as recommenders={NAME: CLASS}"
    )


def _classes(recommenders: Mapping[str, type[Recommender]], name: str) -> dict[str, type[Any]]:
    """Classes that may be stored and read, by name.

    These are the dataclasses, named tuples and options that the modules of the recommenders define,
    or import from other modules of their package. Where two classes have the same name, that of the
    recommender called `name` is taken.
    """
    classes: dict[str, type[Any]] = {}
    for recommender in (recommenders[name], *recommenders.values()):
        waiting, visited = [recommender.__module__], {recommender.__module__}
        while waiting:
            module = waiting.pop()
            for kind in vars(sys.modules[module]).values():
                if not isinstance(kind, type) or not _is_value(kind) or not _beside(kind, module):
                    continue
                classes.setdefault(kind.__name__, kind)
                if kind.__module__ not in visited:
                    visited.add(kind.__module__)
                    waiting.append(kind.__module__)
    return classes


def _is_value(kind: type[Any]) -> bool:
    """Whether a class is a dataclass, a named tuple or options."""
    named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return is_dataclass(kind) or issubclass(kind, Part) or named_tuple


def _beside(kind: type[Any], module: str) -> bool:
    """Whether a class is defined in a module, or in another module of the same package."""
    package = module.rpartition(".")[0]
    same = package != "" and kind.__module__.rpartition(".")[0] == package
    return kind.__module__ == module or same


def _parts(matrix: csr_matrix) -> tuple[tuple[str, NDArray[Any]], ...]:
    return ("data", matrix.data), ("indices", matrix.indices), ("indptr", matrix.indptr)


def _table(number: int, name: str) -> str:
    return f"log-{number}-{'events' if name == 'dense' else name}.parquet"
