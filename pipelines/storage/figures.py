"""What a validation or a proof measures, on disk: parts that are done, and tables."""

import hashlib
import json
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from pipelines.report.proof import plots_of
from pipelines.storage.digests import code_digest, study_digest
from pipelines.storage.files import explained, whole
from pipelines.storage.results import config_text
from recsys.checks.proof.run import Proof
from recsys.config import Study

VALIDATIONS = Path("data/validations")
PROOFS = Path("data/proofs")


class FigureStore(MutableMapping[str, dict[str, float]]):
    """Figures by identity of the part that they are of, a JSON file each under `root`/parts.

    Args:
        root: where validations live.
    """

    def __init__(self, root: Path = VALIDATIONS) -> None:
        self._root = root / "parts"

    def _path(self, identity: str) -> Path:
        digest = hashlib.sha256(f"{code_digest()} {identity}".encode()).hexdigest()
        return self._root / f"{digest}.json"

    def __getitem__(self, identity: str) -> dict[str, float]:
        try:
            kept = json.loads(self._path(identity).read_text(encoding="utf-8"))
            if kept["identity"] == json.loads(identity):
                return {str(name): float(value) for name, value in kept["figures"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise KeyError(identity) from error
        raise KeyError(identity)

    def __setitem__(self, identity: str, figures: dict[str, float]) -> None:
        with explained(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"identity": json.loads(identity), "figures": figures}, indent=2)
            with whole(self._path(identity)) as part:
                part.write_text(text, encoding="utf-8")

    def __delitem__(self, identity: str) -> None:
        if identity not in self:
            raise KeyError(identity)
        self._path(identity).unlink()

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._root.glob("*.json")):
            identity = json.dumps(
                json.loads(path.read_text(encoding="utf-8"))["identity"], sort_keys=True
            )
            if identity in self:
                yield identity

    def __len__(self) -> int:
        return sum(1 for _ in self)


class RowStore(MutableMapping[str, pl.DataFrame]):
    """Rows by identity of the part that they are of: Parquet files under `root`/parts.

    A file holds its identity among its metadata; one that cannot be read is as good as none.

    Args:
        root: where proofs live.
    """

    def __init__(self, root: Path = PROOFS) -> None:
        self._root = root / "parts"

    def _path(self, identity: str) -> Path:
        digest = hashlib.sha256(f"{code_digest()} {identity}".encode()).hexdigest()
        return self._root / f"{digest}.parquet"

    def __getitem__(self, identity: str) -> pl.DataFrame:
        try:
            if pl.read_parquet_metadata(self._path(identity)).get("identity") == identity:
                return pl.read_parquet(self._path(identity))
        except (OSError, PolarsError) as error:
            raise KeyError(identity) from error
        raise KeyError(identity)

    def __setitem__(self, identity: str, rows: pl.DataFrame) -> None:
        with explained(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            with whole(self._path(identity)) as part:
                rows.write_parquet(part, metadata={"identity": identity})

    def __delitem__(self, identity: str) -> None:
        if identity not in self:
            raise KeyError(identity)
        self._path(identity).unlink()

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._root.glob("*.parquet")):
            identity = pl.read_parquet_metadata(path).get("identity", "")
            if identity in self:
                yield identity

    def __len__(self) -> int:
        return sum(1 for _ in self)


def save_verdicts(
    study: Study, verdicts: pl.DataFrame, measured: pl.DataFrame, root: Path = VALIDATIONS
) -> Path:
    """Writes the tables of a validation.

    Args:
        study: what was validated.
        verdicts, measured: as `recsys.checks.validation.run.validate` gives them.
        root: where validations live.

    Returns:
        The directory: verdicts.csv, measured.csv and config.yaml.
    """
    tables = {"verdicts": verdicts, "measured": measured}
    return _save(study, tables, root, "validate")


def save_proof(study: Study, proof: Proof, root: Path = PROOFS) -> Path:
    """Writes the tables and plots of a proof.

    Args:
        study: what gave its world.
        proof: as `recsys.checks.proof.run.prove` gives it.
        root: where proofs live.

    Returns:
        The directory: verdicts.csv, a file for each of the proof's tables, plots if there are any,
        and config.yaml.
    """
    place = _save(study, {"verdicts": proof.verdicts, **proof.tables}, root, "prove")
    with explained(place):
        for name, svg in plots_of(proof).items():
            with whole(place / f"{name}.svg") as part:
                part.write_text(svg, encoding="utf-8")
    return place


def _save(study: Study, tables: Mapping[str, pl.DataFrame], root: Path, program: str) -> Path:
    place = root / f"{study.name}-{study_digest(study)[:12]}"
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        for name, frame in tables.items():
            with whole(place / f"{name}.csv") as part:
                frame.write_csv(part)
        with whole(place / "config.yaml") as part:
            part.write_text(config_text(study, place, program), encoding="utf-8")
    return place
