"""Names of metrics and params: two things that are called differently never get one name.

MLflow takes letters, digits and the signs `_ - . : space /` alone. A name that holds others, such
as that of the cohort `<=30 days`, is written with `_` in their place and ends in a hash of the
whole name, which keeps it apart from `>30 days`. A name that MLflow takes stays as it is.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

_SIGNS = r"\w.\- " if os.name == "nt" else r"\w.\- :"  # MLflow takes no colon on Windows
_LONGEST_PART, _LONGEST_NAME, _LONGEST_VALUE = 80, 250, 500


def metric_name(*parts: str) -> str:
    """A name for the pages of MLflow, where `/` opens a group.

    Args:
        parts: what the name says, from the group to the figure; each may hold any character.

    >>> metric_name("drift", "incumbent", "language:en", "total")
    'drift/incumbent/language:en/total'
    >>> metric_name("drift", "<=30 days"), metric_name("drift", ">30 days")
    ('drift/_30 days-223e817d', 'drift/_30 days-91c6de81')
    """
    return _cut("/".join(_escaped(part) for part in parts), _LONGEST_NAME)


def as_params(tree: Mapping[str, Any]) -> dict[str, str]:
    """The leaves of a config as params, without values that are too long for MLflow's tables.

    Args:
        tree: nested mappings, such as a config; a list of mappings counts as one.

    >>> as_params({"world": {"incumbents": 750}, "recommenders": [{"kind": "als"}]})
    {'world.incumbents': '750', 'recommenders.0.kind': 'als'}
    """
    params = {_cut(".".join(path), _LONGEST_NAME): _text(value) for path, value in _leaves(tree)}
    return {name: text for name, text in params.items() if len(text) <= _LONGEST_VALUE}


@lru_cache(maxsize=4096)
def _escaped(name: str, more: str = "") -> str:
    """A name without signs that mean something to MLflow; `more` are signs that are taken too.

    What looks like an escaped name is escaped again, so that no two names meet.
    """
    short = re.sub(rf"[^{_SIGNS}]+" if not more else rf"[^{_SIGNS}]+|[{more}]", "_", name)
    plain = short.strip() == name and name.strip(".") != ""
    if plain and len(name) <= _LONGEST_PART and not re.search(r"-[0-9a-f]{8}\Z", name):
        return name
    return f"{short[:_LONGEST_PART].strip()}-{_hash(name)}"


def _cut(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 9].rstrip()}-{_hash(name)}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Leaves with their paths; a list is a leaf unless it holds mappings."""
    if isinstance(tree, Mapping):
        pairs: Any = tree.items()
    elif isinstance(tree, list) and any(isinstance(entry, Mapping) for entry in tree):
        pairs = enumerate(tree)
    else:
        yield path, tree
        return
    for key, value in pairs:
        yield from _leaves(value, (*path, _escaped(str(key), ".")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
