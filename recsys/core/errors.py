"""Mistakes a user can mend: each message says what was wrong, where, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Base of the errors that a user can mend; programs print it alone and exit with code 2."""


class ConfigError(UserError):
    """A config file or an override that cannot be run."""


class LogError(UserError):
    """A log that cannot be read or measured."""


class ModelError(UserError):
    """A model that cannot be stored or read back."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Says what `word` may have meant: the closest known names, else all of them.

    >>> nearest("als_", ["als", "ease"])
    "did you mean 'als'? known: als, ease"
    """
    names = sorted(known)
    close = get_close_matches(word, names, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(name) for name in close)}? " if close else ""
    return f"{hint}known: {', '.join(names)}"
