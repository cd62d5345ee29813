"""The files of a validation, a proof or a test of designs: finished parts, and tables."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import polars as pl
from polars.exceptions import PanicException, PolarsError

from pipelines.report.proof import plots_of
from pipelines.storage.digests import code_digest, study_digest
from pipelines.storage.files import explained, sweep, whole, written_in
from pipelines.storage.results import config_text
from recsys.checks.proof.run import Proof
from recsys.config import Study

VALIDATIONS = Path("data/validations")
PROOFS = Path("data/proofs")
DESIGNS = Path("data/designs")

V = TypeVar("V")

_UNREADABLE = (
    OSError,
    PolarsError,
    PanicException,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)
"""What reading a file raises that is missing or damaged."""


class _PartStore(MutableMapping[str, V]):
    """Values by the identity of the part that they belong to, a file each under `root`/parts.

    The name of a file is a digest of the code and the identity. A file that cannot be read, that
    holds another identity, or whose checksum is not that of what it holds counts as missing.
    """

    _suffix: str
    shared = False
    """Whether the root is a folder that all machines of a cluster see."""

    def __init__(self, root: Path) -> None:
        self._root = root / "parts"
        sweep(self._root)

    @abstractmethod
    def _read(self, path: Path) -> tuple[str, V]:
        """The identity and the value in a file."""

    @abstractmethod
    def _write(self, path: Path, identity: str, value: V) -> None:
        """Writes a file."""

    def path(self, identity: str) -> Path:
        """The file of a part, whether it exists or not."""
        digest = hashlib.sha256(f"{code_digest()} {identity}".encode()).hexdigest()
        return self._root / f"{digest}{self._suffix}"

    def __getitem__(self, identity: str) -> V:
        try:
            stored, value = self._read(self.path(identity))
        except _UNREADABLE as error:
            raise KeyError(identity) from error
        if stored != identity:
            raise KeyError(identity)
        return value

    def __setitem__(self, identity: str, value: V) -> None:
        with explained(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            with whole(self.path(identity)) as part:
                self._write(part, identity, value)

    def __delitem__(self, identity: str) -> None:
        if identity not in self:
            raise KeyError(identity)
        self.path(identity).unlink()

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._root.glob(f"*{self._suffix}")):
            with suppress(*_UNREADABLE):
                identity, _ = self._read(path)
                if self.path(identity) == path:  # of this version of the code
                    yield identity

    def __len__(self) -> int:
        return sum(1 for _ in self)


class FigureStore(_PartStore[dict[str, float]]):
    """The figures of a validation's parts, by identity: a JSON file each.

    Args:
        root: the folder of all validations.
    """

    _suffix = ".json"

    def __init__(self, root: Path = VALIDATIONS) -> None:
        super().__init__(root)

    def _read(self, path: Path) -> tuple[str, dict[str, float]]:
        record = json.loads(path.read_text(encoding="utf-8"))
        identity = json.dumps(record["identity"], sort_keys=True)
        figures = {str(name): float(value) for name, value in record["figures"].items()}
        _check_sum(record["sha256"], identity, json.dumps(figures))
        return identity, figures

    def _write(self, path: Path, identity: str, value: dict[str, float]) -> None:
        figures = {str(name): float(figure) for name, figure in value.items()}
        record = {
            "identity": json.loads(identity),
            "figures": figures,
            "sha256": _sum_of(identity, json.dumps(figures)),
        }
        path.write_text(json.dumps(record, indent=2), encoding="utf-8")


class RowStore(_PartStore[pl.DataFrame]):
    """The rows of the parts of a proof or a test of designs, by identity: a Parquet file each.

    The file's metadata hold the identity and a checksum of the rows.

    Args:
        root: the folder of all proofs, or of all tests of designs.
    """

    _suffix = ".parquet"

    def __init__(self, root: Path = PROOFS) -> None:
        super().__init__(root)

    def _read(self, path: Path) -> tuple[str, pl.DataFrame]:
        metadata, rows = pl.read_parquet_metadata(path), pl.read_parquet(path)
        _check_sum(metadata["sha256"], metadata["identity"], _text_of(rows))
        return metadata["identity"], rows

    def _write(self, path: Path, identity: str, value: pl.DataFrame) -> None:
        sha256 = _sum_of(identity, _text_of(value))
        value.write_parquet(path, metadata={"identity": identity, "sha256": sha256})


def _text_of(rows: pl.DataFrame) -> str:
    """The types and values of rows; numbers with all their digits."""
    return f"{rows.schema} {rows.rows()}"


def _sum_of(identity: str, content: str) -> str:
    return hashlib.sha256(f"{identity}\n{content}".encode()).hexdigest()


def _check_sum(sha256: str, identity: str, content: str) -> None:
    if sha256 != _sum_of(identity, content):
        raise ValueError("the file has changed since it was written")


def save_verdicts(
    study: Study, verdicts: pl.DataFrame, measured: pl.DataFrame, root: Path = VALIDATIONS
) -> Path:
    """Writes the tables of a validation.

    Args:
        study: the study whose world was validated.
        verdicts, measured: the result of `recsys.checks.validation.run.validate`.
        root: the folder of all validations.

    Returns:
        The folder. It holds verdicts.csv, measured.csv and config.yaml.
    """
    tables = {"verdicts": verdicts, "measured": measured}
    return _save(study, tables, root, "validate")


def save_proof(study: Study, proof: Proof, root: Path = PROOFS) -> Path:
    """Writes the tables and plots of a proof.

    Args:
        study: the study whose world the proof ran on.
        proof: the result of `recsys.checks.proof.run.prove`.
        root: the folder of all proofs.

    Returns:
        The folder. It holds verdicts.csv, a file for each table of the proof, its plots, and
        config.yaml.
    """
    place = _save(study, {"verdicts": proof.verdicts, **proof.tables}, root, "prove")
    with explained(place):
        for name, svg in plots_of(proof).items():
            with whole(place / f"{name}.svg") as part:
                part.write_text(svg, encoding="utf-8")
    return place


def save_designs(
    study: Study, table: pl.DataFrame, rows: pl.DataFrame, root: Path = DESIGNS
) -> Path:
    """Writes what designs are worth.

    Args:
        study: the study in whose world they were tested.
        table, rows: the result of `recsys.checks.designs.run_designs`.
        root: the folder of all tests of designs.

    Returns:
        The folder. It holds designs.csv, estimates.csv (an estimate per seed) and config.yaml.
    """
    return _save(study, {"designs": table, "estimates": rows}, root, "design")


def _save(study: Study, tables: Mapping[str, pl.DataFrame], root: Path, program: str) -> Path:
    place = root / f"{study.name}-{study_digest(study)[:12]}"
    with written_in(place):
        for name, frame in tables.items():
            with whole(place / f"{name}.csv") as part:
                frame.write_csv(part)
        with whole(place / "config.yaml") as part:
            part.write_text(config_text(study, place, program), encoding="utf-8")
    return place
