"""What a user gets of an error of ours: one sentence, and a file with the rest to send to us."""

import os
import platform
import shlex
import sys
import tempfile
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipelines.tracking.addresses import masked

ERRORS = Path("data/errors")


def reported(error: BaseException) -> str:
    """Writes an error that should not have been to a file, and says where it is.

    Args:
        error: the error. Passwords in it are masked.

    Returns:
        A sentence for the user, and how to report the error.
    """
    summary = masked(f"{type(error).__name__}: {error}".partition("\n")[0][:300])
    try:
        rest = f"The traceback is in {_written(_text(error))}; please report it with that file"
    except OSError:
        sys.stderr.write(_text(error))
        rest = "Please report it with the traceback above, which could not be written to a file"
    return (
        f"This is a fault of recsys, not yours ({summary}).\n{rest} and the config (how: "
        "docs/reliability.md). What was finished is kept."
    )


def _text(error: BaseException) -> str:
    lines = traceback.format_exception(error)
    try:
        own = version("recsys")
    except PackageNotFoundError:
        own = "unknown"
    head = f"command: {shlex.join(sys.argv)}\nrecsys {own}, Python {platform.python_version()}, "
    return masked(f"{head}{platform.platform()}\n\n{''.join(lines)}")


def _written(text: str) -> Path:
    """The file that a text was written to: among the data, else among temporary files."""
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        ERRORS.mkdir(parents=True, exist_ok=True)
        path = ERRORS / name
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        path = Path(tempfile.gettempdir()) / f"recsys-error-{name}"
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path
