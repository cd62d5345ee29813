"""A look at an MLflow server before the work begins: is it there, and has it the experiment?"""

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request

from pipelines.tracking.addresses import address
from pipelines.tracking.local import deleted

_QUICK = 3.0
"""Seconds that a server gets to answer."""


def trouble(experiment: str) -> str | None:
    """Why a server will take no runs, as far as one question shows it; None if it may take them.

    Args:
        experiment: the experiment that is to be written to.
    """
    if not address().startswith(("http://", "https://")):
        return None
    parts = urllib.parse.urlsplit(address())
    query = urllib.parse.urlencode({"experiment_name": experiment})
    path = f"{parts.path.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name"
    place = parts.netloc.rpartition("@")[2]
    url = urllib.parse.urlunsplit((parts.scheme, place, path, query, ""))
    request = urllib.request.Request(url, headers=_credentials(parts))
    try:
        with urllib.request.urlopen(request, timeout=_QUICK) as answer:
            found = json.loads(answer.read(1_000_000))["experiment"]
    except urllib.error.HTTPError as error:
        return f"it answers {error.code} {error.reason}" if error.code >= 500 else None
    except (OSError, ValueError) as error:  # what is no address is a ValueError
        return f"it does not answer ({getattr(error, 'reason', None) or error})"
    except (KeyError, TypeError):
        return "it answers, but not as MLflow does"
    if found.get("lifecycle_stage") == "deleted":
        return deleted(experiment, str(found.get("experiment_id")))
    return None


def _credentials(parts: urllib.parse.SplitResult) -> dict[str, str]:
    """The header that MLflow would send: of its variables, else of the address."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    unquoted = urllib.parse.unquote
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or unquoted(parts.username or "")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or unquoted(parts.password or "")
    if not user:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
