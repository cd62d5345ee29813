"""Where a cluster's processes write what they have finished: `engine.storage` of a config.

A path that all machines share holds what data/cells and the like hold. At an address of fsspec,
such as an S3 bucket, the same files are read and written by way of a temporary folder.
"""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, Protocol, TypeVar

import polars as pl

from pipelines.storage.cells import CELLS, CellStore
from pipelines.storage.figures import PROOFS, VALIDATIONS, FigureStore, RowStore
from pipelines.storage.files import StorageError
from pipelines.tracking.addresses import masked
from recsys.config import Study
from recsys.core.errors import ConfigError, first_line
from recsys.study.arms.result import CellResult

V = TypeVar("V")


class Store(Protocol[V]):
    """A store on disk: a file or a folder for each identity, under a root."""

    shared: bool

    def path(self, identity: str) -> Path:
        """The file or folder of an entry."""

    def __getitem__(self, identity: str) -> V: ...
    def __setitem__(self, identity: str, value: V) -> None: ...
    def __iter__(self) -> Iterator[str]: ...


def cell_store(study: Study) -> MutableMapping[str, CellResult]:
    """The store of a study's cells: in `engine.storage`, or else in data/cells.

    Args:
        study: from `recsys.load_study`.

    Raises:
        ConfigError: fsspec does not know the address, or what it needs is not installed.
    """
    store: MutableMapping[str, CellResult] = _store(study, partial(CellStore, study), CELLS)
    return store


def figure_store(study: Study) -> MutableMapping[str, dict[str, float]]:
    """The store of a validation's parts; as `cell_store`."""
    store: MutableMapping[str, dict[str, float]] = _store(study, FigureStore, VALIDATIONS)
    return store


def row_store(study: Study, root: Path = PROOFS) -> MutableMapping[str, pl.DataFrame]:
    """The store of a proof's parts; as `cell_store`.

    Args:
        study: see `cell_store`.
        root: the folder of all proofs, or of all tests of designs.

    Raises:
        ConfigError: see `cell_store`.
    """
    store: MutableMapping[str, pl.DataFrame] = _store(study, RowStore, root)
    return store


def _store(study: Study, make: Callable[[Path], Any], root: Path) -> Any:
    storage = study.engine.storage
    if storage is None:
        return make(root)
    if "://" in storage:
        return FarStore(f"{storage.rstrip('/')}/{root.name}", make)
    store = make(Path(storage).absolute() / root.name)
    store.shared = True
    return store


class FarStore(MutableMapping[str, V], Generic[V]):
    """A store at an address of fsspec, with the files that a store on disk has.

    An entry whose files are not all there, or not as they were written, counts as missing: the
    store on disk finds that out when it reads the copies.

    Args:
        root: such as `s3://bucket/recsys/cells`.
        make: makes the store on disk, from its root. It can be pickled.

    Raises:
        ConfigError: fsspec does not know the address, or what it needs is not installed.
    """

    shared = True

    def __init__(self, root: str, make: Callable[[Path], Store[V]]) -> None:
        self._root, self._make = root, make
        self._files()

    def __getitem__(self, identity: str) -> V:
        with self._copied(identity) as store:
            return store[identity]

    def __setitem__(self, identity: str, value: V) -> None:
        with TemporaryDirectory() as folder:
            store = self._make(Path(folder))
            store[identity] = value
            place = store.path(identity)
            paths = sorted(place.rglob("*")) if place.is_dir() else [place]
            with self._explained("write to"):
                files, root = self._files()
                for path in sorted(paths, key=lambda path: path.suffix == ".json"):  # last
                    target = f"{root}/{path.relative_to(folder).as_posix()}"
                    files.makedirs(target.rpartition("/")[0], exist_ok=True)
                    files.put_file(str(path), target)

    def __delitem__(self, identity: str) -> None:
        if identity not in self:
            raise KeyError(identity)
        with TemporaryDirectory() as folder, self._explained("delete in"):
            files, root = self._files()
            name = self._make(Path(folder)).path(identity).relative_to(folder).as_posix()
            files.rm(f"{root}/{name}", recursive=True)

    def __iter__(self) -> Iterator[str]:
        with self._copied() as store:
            yield from list(store)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @contextmanager
    def _copied(self, identity: str | None = None) -> Iterator[Store[V]]:
        """A store on disk with a copy of one entry, or of all."""
        with TemporaryDirectory() as folder:
            store = self._make(Path(folder))
            with self._explained("read"):
                files, root = self._files()
                if identity is None:
                    there = root
                else:
                    there = f"{root}/{store.path(identity).relative_to(folder).as_posix()}"
                for name in files.find(there):
                    here = Path(folder, *name.removeprefix(f"{root}/").split("/"))
                    here.parent.mkdir(parents=True, exist_ok=True)
                    files.get_file(name, str(here))
            yield store

    def _files(self) -> tuple[Any, str]:
        """The file system, and the root without its protocol."""
        try:
            from fsspec.core import url_to_fs

            files, root = url_to_fs(self._root)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"engine.storage: {masked(self._root)} cannot be used ({masked(first_line(error))})"
                "; install what it names, or give a path that all machines share"
            ) from error
        files.invalidate_cache()
        return files, str(root).rstrip("/")

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Says in one sentence what went wrong; each file system has errors of its own."""
        try:
            yield
        except (ConfigError, StorageError):
            raise
        except Exception as error:
            raise StorageError(
                f"cannot {what} {masked(self._root)}: {masked(first_line(error))}; check "
                "engine.storage, and that this machine may use it"
            ) from error
