"""The code that made a result: git commit and versions."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import recsys

_LIBRARIES = ("implicit", "mlflow", "numpy", "polars")


def version_tags() -> dict[str, str]:
    """Versions of recsys, Python and the main libraries, as MLflow tags."""
    libraries = {f"version.{name}": version(name) for name in _LIBRARIES}
    own = {"version.recsys": recsys.__version__, "version.python": platform.python_version()}
    return {**own, **libraries}


def git_tags() -> dict[str, str]:
    """The git commit of the source and whether files differ from it; empty outside a repository."""
    commit = _git("rev-parse", "--verify", "HEAD")
    if commit is None:
        return {}
    changes = _git("status", "--porcelain")
    dirty = "unknown" if changes is None else str(bool(changes)).lower()
    return {"git_commit": commit, "git_dirty": dirty, "mlflow.source.git.commit": commit}


def _git(*arguments: str) -> str | None:
    root = Path(recsys.__file__).parent
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
