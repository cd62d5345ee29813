"""The journal of a search: what Optuna did, a line each, in a chain of checksums.

Each line begins with a checksum of itself and of the line before. What comes after the first line
that does not fit was cut off or changed: it is set aside, and the search goes on from before it.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from pipelines.storage.files import explained, force

_DIGITS = 16


class Journal(BaseJournalBackend):
    """The entries of a search on disk. One program may write to it at a time.

    Args:
        path: the file; it is made if it is missing.

    Attributes:
        dropped: how many lines did not fit and were set aside when the journal was opened.

    Raises:
        StorageError: if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with explained(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            self._entries, self._last, sound = _checked(content)
            rest = content[sound:]
            self.dropped = len(rest.splitlines())
            if rest:
                aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
                aside.write_bytes(rest)
                os.truncate(path, sound)
                force(path)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The entries from a number on, for Optuna."""
        return iter(self._entries[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends entries, for Optuna; they are on the disk when this returns."""
        lines, last = [], self._last
        for entry in logs:
            text = json.dumps(entry, separators=(",", ":"))
            last = _sum(last, text.encode())
            lines.append(f"{last} {text}\n")
        with explained(self._path.parent), self._path.open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())
        self._entries += logs
        self._last = last


def _checked(content: bytes) -> tuple[list[dict[str, Any]], str, int]:
    """The entries up to the first line that does not fit, the last sum, and the bytes of these."""
    entries: list[dict[str, Any]] = []
    last, sound = "", 0
    for line in content.splitlines(keepends=True):
        given, text = line[:_DIGITS], line[_DIGITS + 1 : -1]
        if line != b"%b %b\n" % (_sum(last, text).encode(), text):
            break
        entries.append(json.loads(text))
        last, sound = given.decode(), sound + len(line)
    return entries, last, sound


def _sum(last: str, text: bytes) -> str:
    return hashlib.sha256(last.encode() + b" " + text).hexdigest()[:_DIGITS]
