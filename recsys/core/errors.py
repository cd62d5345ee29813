"""Errors for mistakes that a user can correct: a message says what was wrong, where, what to do."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, marks that change the direction of writing, and halves of pairs."""


def visible(text: str, keep: str = "") -> str:
    """A text in which control characters are shown, so that they do nothing to a terminal or page.

    Args:
        text: such as a name from a config or from data.
        keep: characters that stay as they are, such as line breaks.

    >>> visible("a\\tb\\x1b[2J"), visible("two\\nlines", keep="\\n").count("\\n")
    ('a\\\\tb\\\\x1b[2J', 1)
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


class UserError(Exception):
    """Base of the errors that a user can correct; programs print the message and exit with 2."""

    def __str__(self) -> str:
        """The message; control characters in what it quotes are shown."""
        return visible(super().__str__(), keep="\n")


class ConfigError(UserError):
    """A config file or an override that cannot be run."""


class LogError(UserError):
    """A log that cannot be read or measured."""


class EngineError(UserError):
    """A cluster that cannot be reached, or whose results cannot be used."""


class ModelError(UserError):
    """A model that cannot be stored or read back."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the known names, and first those that are spelled alike.

    Args:
        word: the unknown name, such as "als_".
        known: the names that exist.

    >>> nearest("als_", ["als", "ease"])
    "did you mean 'als'? known: als, ease"
    """
    names = sorted(known)
    close = get_close_matches(word[:200], names, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(name) for name in close)}? " if close else ""
    return f"{hint}known: {', '.join(names)}"


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line of at most 300 characters.

    >>> first_line(ValueError("cannot read\\n  at line 3"))
    'cannot read'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
