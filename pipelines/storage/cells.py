"""Finished cells on disk, from which a study that was stopped continues."""

import hashlib
import json
from collections.abc import Iterator, MutableMapping
from dataclasses import fields
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from pipelines.storage.digests import cell_digest
from pipelines.storage.files import explained, remove, sweep, whole_folder
from recsys.config import Study
from recsys.study.arms.result import CellResult

CELLS = Path("data/cells")

_FRAMES = tuple(field.name for field in fields(CellResult))
_RECORD = "cell.json"


class CellStore(MutableMapping[str, CellResult]):
    """Results of a study's cells by `Cell.identity`, each in a folder of its own under `root`.

    The folder of a cell holds a Parquet file for each frame of its `CellResult`, and cell.json with
    the identity and the checksums of the files. A cell whose files do not match the checksums
    counts as missing.

    Args:
        study: the study whose cells are kept. Its data and the code are part of their address.
        root: the folder of all cells.
    """

    shared = False
    """Whether the root is a folder that all machines of a cluster see."""

    def __init__(self, study: Study, root: Path = CELLS) -> None:
        self._study = study
        self._root = root
        sweep(root)

    def path(self, identity: str) -> Path:
        """The folder of a cell, whether it exists or not."""
        return self._root / cell_digest(self._study, identity)

    def __getitem__(self, identity: str) -> CellResult:
        try:
            return _read_cell(self.path(identity), identity)
        except (OSError, PolarsError, ValueError, KeyError, TypeError) as error:
            raise KeyError(identity) from error

    def __setitem__(self, identity: str, result: CellResult) -> None:
        place = self.path(identity)
        with explained(self._root), whole_folder(place, lambda: identity in self) as part:
            _write_cell(part, identity, result)

    def __delitem__(self, identity: str) -> None:
        if identity not in self:
            raise KeyError(identity)
        remove(self.path(identity))

    def __iter__(self) -> Iterator[str]:
        for record in sorted(self._root.glob(f"*/{_RECORD}")):
            identity = _identity_in(record)
            if identity is not None and identity in self:
                yield identity

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _write_cell(place: Path, identity: str, result: CellResult) -> None:
    for name in _FRAMES:
        getattr(result, name).write_parquet(place / f"{name}.parquet")
    sums = {f"{name}.parquet": _checksum(place / f"{name}.parquet") for name in _FRAMES}
    record = {"identity": json.loads(identity), "sha256": sums}
    (place / _RECORD).write_text(json.dumps(record, indent=2, sort_keys=True), encoding="utf-8")


def _read_cell(place: Path, identity: str) -> CellResult:
    """The result of a cell; raises ValueError unless every byte is as it was written."""
    record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
    if record["identity"] != json.loads(identity):
        raise ValueError(f"{place} holds another cell")
    for name in (f"{frame}.parquet" for frame in _FRAMES):
        if _checksum(place / name) != record["sha256"][name]:
            raise ValueError(f"{place / name} has changed since it was written")
    return CellResult(**{name: pl.read_parquet(place / f"{name}.parquet") for name in _FRAMES})


def _identity_in(record: Path) -> str | None:
    try:
        return json.dumps(
            json.loads(record.read_text(encoding="utf-8"))["identity"], sort_keys=True
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
