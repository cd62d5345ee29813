"""The address of the store of MLflow runs, and what of it may be shown.

It is a database in `mlruns/` of the working directory, unless MLFLOW_TRACKING_URI names another.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOCAL = Path("mlruns")
"""The folder of the local store."""
DATABASE = LOCAL / "mlflow.db"

_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN")
_SHORTEST_SECRET = 4
_PASSWORD = re.compile(r"(?<=://)([^/\s@:]*):\S*@")
_TOKEN = re.compile(r"(?<=https://)[^/\s@:]+@|(?<=http://)[^/\s@:]+@")
_IN_QUERY = re.compile(r"(?i)([?&;](?:[\w-]*(?:password|passwd|pwd|token|secret|key))=)[^&;\s'\"]+")


def address() -> str:
    """The address of the store.

    That of the local database is absolute, since MLflow keeps databases open by their address. In a
    folder whose name would have to be escaped it is relative: MLflow, SQLAlchemy and alembic do
    not escape alike.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return named
    path = DATABASE.absolute().as_posix()
    return f"sqlite:///{path if re.fullmatch(r'[A-Za-z0-9_./:-]+', path) else DATABASE.as_posix()}"


def is_local() -> bool:
    """Whether the store is `mlruns/` in the working directory."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def is_server() -> bool:
    """Whether the store is behind a network, so that it can be slow or silent."""
    return not address().startswith(("sqlite:", "file:", "."))


def masked(text: str) -> str:
    """A text without passwords: those in addresses, and those in MLflow's variables.

    >>> masked("no answer from postgresql://ann:s3cret@db/runs?sslpassword=x")
    'no answer from postgresql://ann:***@db/runs?sslpassword=***'
    """
    text = _TOKEN.sub("***@", _PASSWORD.sub(r"\1:***@", text))
    text = _IN_QUERY.sub(r"\1***", text)
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def shown() -> str:
    """The address as it may be shown."""
    return masked(address())


def _secrets() -> set[str]:
    """Passwords of this environment, as they are written and as they are meant."""
    found = {os.environ.get(name, "") for name in _SECRETS}
    with suppress(ValueError):  # no address that can be taken apart
        found.add(urlsplit(address()).password or "")
    forms = {form for secret in found for form in (secret, unquote(secret))}
    return {form for form in forms if len(form) >= _SHORTEST_SECRET}
