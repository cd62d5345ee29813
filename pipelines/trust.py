"""Whether a config may name classes of somebody's own, whose code then runs: `--trust-config`."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Protocol, TypeVar

import typer

from pipelines.program import config_in

TRUST_CONFIG = "--trust-config"

Trust = Annotated[
    bool,
    typer.Option(
        TRUST_CONFIG,
        help="Load the classes that the config names as module:Class, which runs their code; "
        "modules of the working directory are found.",
    ),
]

T_co = TypeVar("T_co", covariant=True)


class Loader(Protocol[T_co]):
    """`recsys.load_study`, `recsys.load_studies` or `recsys.load_training`."""

    def __call__(self, source: str, overrides: Sequence[str], *, trust: bool) -> T_co:
        """Reads a config."""


def words_of(config: str | None, changes: Sequence[str] | None, trust: bool) -> list[str]:
    """The words of a command about a config.

    Args:
        config: the config, or None where the program has one of its own.
        changes: `key=value`.
        trust: whether the config is trusted.

    >>> words_of("configs/demo.yaml", ["seeds=8"], True)
    ['configs/demo.yaml', 'seeds=8', '--trust-config']
    """
    return [*filter(None, [config]), *(changes or ()), *([TRUST_CONFIG] if trust else [])]


def read_config(load: "Loader[T_co]", words: Sequence[str], default: str | None = None) -> T_co:
    """Reads the config among the words of a command.

    Args:
        load: such as `recsys.load_study`.
        words: such as `["configs/demo.yaml", "seeds=8", "--trust-config"]`.
        default: the config if none is named.

    Raises:
        ConfigError: no config is named, the config has mistakes, or it names classes from elsewhere
            and is not trusted.
    """
    config, changes = config_in([word for word in words if word != TRUST_CONFIG], default)
    trust = TRUST_CONFIG in words
    if trust:
        _find_modules_here()
    return load(config, changes, trust=trust)


def _find_modules_here() -> None:
    """Puts the working directory among the places where modules are looked for, as the last."""
    with suppress(OSError):  # the folder was removed
        here = os.getcwd()
        if here not in sys.path:
            sys.path.append(here)
