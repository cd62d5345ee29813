"""What the last bits of a figure depend on besides config and data: code, libraries, processor."""

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recsys.core.errors import ConfigError

_LIBRARIES = ("implicit", "numba", "numpy", "polars", "scikit-learn", "scipy")
"""Libraries of which another version may change figures in the last bits."""
_MOST_SHOWN = 3
"""Most differences that a message tells."""
_loaded: dict[str, str] = {}
"""Hashes of modules from elsewhere, as they were when this process had first loaded them."""


@cache
def code_digest() -> str:
    """A hash of recsys' source, its version in it, and of the libraries' versions that compute."""
    root = Path(__file__).parents[1]
    files = sorted(root.rglob("*.py"))
    sources = [f"{file.relative_to(root)} {_hash_of(file)}" for file in files]
    return sha256(*sources, *map(_version, _LIBRARIES))


def foreign_code(kind: str) -> str:
    """A hash of the source of a class from elsewhere, `package.module:Class`; empty for ours.

    Raises:
        ConfigError: the file was changed after this process had first hashed it: what is loaded
            may be another code than what lies there.
    """
    if ":" not in kind:
        return ""
    module = kind.partition(":")[0]
    spec = find_spec(module)
    file = Path(spec.origin) if spec is not None and spec.origin is not None else None
    digest = _hash_of(file) if file is not None and file.is_file() else ""
    if module in sys.modules and _loaded.setdefault(module, digest) != digest:
        raise ConfigError(
            f"{kind}: {file} was changed after this process had loaded it; start the program anew, "
            "and a cluster's processes too"
        )
    return digest


def sha256(*parts: str) -> str:
    """A hash of texts that tells ("ab", "c") from ("a", "bc")."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@cache
def machinery() -> Mapping[str, str]:
    """What figures depend on in this process, by what people call it.

    The processor is what the libraries take it for: NPY_DISABLE_CPU_FEATURES, NUMBA_CPU_NAME,
    NUMBA_CPU_FEATURES and OPENBLAS_CORETYPE make unlike processors alike.
    """
    import numpy as np
    import scipy.linalg  # noqa: F401  its BLAS is another one than NumPy's
    from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
    from numba import config
    from threadpoolctl import threadpool_info

    settings: Any = config
    features = settings.CPU_FEATURES
    if features is None:
        features = get_host_cpu_features().flatten()
    vectors = np.show_config(mode="dicts")["SIMD Extensions"]
    kernels = sorted({str(pool.get("architecture")) for pool in threadpool_info()} - {"None"})
    return {
        "recsys": code_digest()[:12],
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{library: _version(library) for library in _LIBRARIES},
        "machine": platform.machine(),
        "processor": settings.CPU_NAME or get_host_cpu_name(),
        "processor features for numba": features.replace(",", " "),
        "processor features for numpy": " ".join([*vectors["baseline"], *vectors["found"]]),
        "BLAS kernels": " ".join(kernels),
    }


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """How two processes differ in what figures depend on, in words; empty if they are alike.

    Args:
        here, there: from `machinery`, of this process and of another.

    >>> difference({"numpy": "2.4.2", "scipy": "1.17"}, {"numpy": "2.4.1", "scipy": "1.17"})
    'numpy 2.4.1 where this machine has 2.4.2'
    """
    found = []
    for name in [*here, *(name for name in there if name not in here)]:
        one, other = here.get(name, ""), there.get(name, "")
        if one == other:
            continue
        if "features" in name and one and other:
            mine, its = set(one.split()), set(other.split())
            found.append(f"{name} without {_some(mine - its)} and with {_some(its - mine)}")
        else:
            found.append(f"{name} {other or 'none'} where this machine has {one or 'none'}")
    return "; ".join(found[:_MOST_SHOWN])


def _some(names: set[str]) -> str:
    shown = sorted(names)[:_MOST_SHOWN]
    return " ".join(shown) + (" …" if len(names) > _MOST_SHOWN else "") if names else "none"


def _version(library: str) -> str:
    """The version of a library; empty if it is not installed, as some are not on each Python."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
