"""Checksums of the files in a folder, which `sha256sum -c SHA256SUMS` checks too."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

SUMS = "SHA256SUMS"
"""The file that holds the checksums of the files beside and below it."""


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Writes the checksums of all files in a folder and below to `SHA256SUMS` in it.

    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> _ = (folder / "a.txt").write_text("a")
    >>> write_sums(folder)
    >>> read_sums(folder)["a.txt"][:8]
    'ca978112'
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = (f"{digest_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths)
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def read_sums(folder: Path) -> dict[str, str]:
    """The checksums in a folder's `SHA256SUMS`, by the path of the file in it.

    Raises:
        OSError: there is no such file.
        ValueError: it is damaged.
    """
    sums = {}
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, gap, name = line.partition("  ")
        if len(digest) != 64 or not gap or not name:
            raise ValueError(f"{SUMS} is damaged")
        sums[name] = digest
    return sums


def check_sums(folder: Path, needed: Iterable[str] = ()) -> None:
    """Compares the files in a folder with their checksums.

    Args:
        folder: holds `SHA256SUMS`.
        needed: names of files that must have a checksum.

    Raises:
        OSError: a file is missing.
        ValueError: a file has changed since it was written, or has no checksum.
    """
    sums = read_sums(folder)
    for name in needed:
        if name not in sums:
            raise ValueError(f"{name} has no checksum in {SUMS}")
    for name, digest in sums.items():
        if digest_of(folder / name) != digest:
            raise ValueError(f"{name} has changed since it was written")
