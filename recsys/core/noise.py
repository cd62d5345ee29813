"""Key-addressed randomness: every draw has an address, so no draw can shift another.

A stream of random numbers moves for everybody when one more user takes a number from it. Here a
draw is a pure function of (key, counter): the key is a seed, the counter names what is drawn, for
whom, about what and when. Generator: Philox4x32-10 (Salmon et al., SC 2011, "Parallel random
numbers: as easy as 1, 2, 3").
"""

# mypy: disallow-untyped-decorators=False
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray


def training_seed(seed: int, arm: str) -> int:
    """The seed of a fit: one for the reference, another for every arm that is compared with it.

    So influx, placebo and retrain hold the same training noise: total = influx - retrain is
    exactly 0 where nobody comes. With the reference's own seed in the influx arm it would be
    minus the noise.

    >>> training_seed(0, "influx") == training_seed(0, "retrain") != training_seed(0, "control")
    True
    """
    return integer_seed(seed, 0 if arm in ("control", "full") else 1)


_LOW = np.uint64(0xFFFFFFFF)


_HALF = np.uint64(32)


_MULTIPLY = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))


_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))


_TO_UNIT = 2.0**-32


class Stream(IntEnum):
    """First word of a counter: what is drawn. A number is never reused for another purpose."""

    USER_KEY = 1
    NOTE_KEY = 2
    TASTE = 3
    LATENT = 4
    LANGUAGE = 5
    FORMAT = 6
    HABIT = 7
    FOLLOW = 8
    CREATOR = 9
    ARRIVAL = 10
    LEAVING = 11
    POSTING = 12
    NOTE = 13
    NOTE_LATENT = 14
    VISIT = 20
    DEPTH = 21
    CLICK = 22
    FRESH = 23
    TICK = 24
    DISCONTENT = 25
    MOOD = 26
    MODEL_USER = 30
    MODEL_ITEM = 31
    MODEL_RANDOM = 32
    MODEL_SEED = 33
    MODEL_PAIR = 34
    PANEL = 40
    HOLDOUT = 41
    PLACEBO_DRAW = 42
    SHUFFLE = 43
    WINDOW_DRAW = 44
    RESAMPLE = 45
    THOMPSON = 50
    THOMPSON_READER = 51


@njit(inline="always")
def philox4x32(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Ten rounds on uint64 scalars that hold 32-bit words; returns four such words."""
    for _ in range(10):
        left = _MULTIPLY[0] * c0
        right = _MULTIPLY[1] * c2
        c0, c1, c2, c3 = (
            (right >> _HALF) ^ c1 ^ k0,
            right & _LOW,
            (left >> _HALF) ^ c3 ^ k1,
            left & _LOW,
        )
        k0 = (k0 + _WEYL[0]) & _LOW
        k1 = (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


@njit(inline="always")
def unit(word):  # type: ignore[no-untyped-def]
    """A 32-bit word as a float64 in the open interval (0, 1)."""
    return (np.float64(word) + 0.5) * _TO_UNIT


@njit(nogil=True, cache=True)
def _philox_rows(seed, stream, entity, item, when, out):  # type: ignore[no-untyped-def]
    k0, k1 = seed & _LOW, seed >> _HALF
    for row in range(entity.size):
        words = philox4x32(stream, entity[row], item[row], when[row], k0, k1)
        for word in range(4):
            out[row, word] = words[word]


def philox(
    seed: int, stream: int, entity: ArrayLike, item: ArrayLike = 0, when: ArrayLike = 0
) -> NDArray[np.uint32]:
    """Four random 32-bit words at each address.

    Args:
        seed: 64-bit key: a world seed or a training seed.
        stream: what is drawn (`Stream`).
        entity: u32, any shape: for whom; broadcast against `item` and `when`.
        item: u32: about what.
        when: u32: `moment(day, …)`, or any other third coordinate.

    Returns:
        uint32 (*shape, 4).

    >>> [hex(word) for word in philox(0, 0, 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    parts = np.broadcast_arrays(*(_word(part) for part in (entity, item, when)))
    flat = [part.flatten() for part in parts]  # copies: numba dislikes read-only views
    out = np.empty((flat[0].size, 4), dtype=np.uint32)
    entities, items, whens = flat
    key = np.uint64(seed & (2**64 - 1))
    _philox_rows(key, np.uint64(stream), entities, items, whens, out)
    return out.reshape((*parts[0].shape, 4))


def uniforms(
    seed: int, stream: int, entity: ArrayLike, item: ArrayLike = 0, when: ArrayLike = 0
) -> NDArray[np.float64]:
    """Four uniforms in (0, 1) at each address; arguments as in `philox`; shape (*shape, 4).

    >>> uniforms(1, Stream.VISIT, [0, 1]).shape
    (2, 4)
    """
    words = philox(seed, stream, entity, item, when).astype(np.float64)
    return (words + 0.5) * _TO_UNIT


def normals(
    seed: int, stream: int, entity: ArrayLike, item: ArrayLike = 0, when: ArrayLike = 0
) -> NDArray[np.float64]:
    """Four standard normals at each address (Box–Muller); shape (*shape, 4).

    >>> bool(abs(normals(1, Stream.LATENT, np.arange(10_000)).mean()) < 0.02)
    True
    """
    u = uniforms(seed, stream, entity, item, when)
    radius = np.sqrt(-2 * np.log(u[..., :2]))
    angle = 2 * np.pi * u[..., 2:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def moment(day: ArrayLike, tick: int = 0, visit: ArrayLike = 0, draw: int = 0) -> NDArray[np.int64]:
    """Last word of a counter: day (16 bits, days before the influx too), tick, visit, draw.

    >>> int(moment(1, tick=1, visit=2, draw=3)) == (1 + 2**15 << 16 | 1 << 12 | 2 << 8 | 3)
    True
    """
    since = np.asarray(day, dtype=np.int64) + 2**15
    return (since << 16) | (tick << 12) | (np.asarray(visit, dtype=np.int64) << 8) | draw


def integer_seed(seed: int, *coordinates: int) -> int:
    """A 31-bit seed from a seed and up to three coordinates, each below 2^32.

    For libraries that keep a random stream of their own, and for seeds that belong to a part.

    >>> 0 <= integer_seed(7, 3) < 2**31 and integer_seed(7, 3) != integer_seed(8, 3)
    True
    """
    entity, item, when = (*coordinates, 0, 0, 0)[:3]
    return int(philox(seed, Stream.MODEL_SEED, entity, item, when)[0] >> 1)


def stable_keys(stream: int, ids: ArrayLike, sub: ArrayLike = 0) -> NDArray[np.uint64]:
    """64-bit keys from integer ids: the name under which an entity's randomness is addressed.

    A key depends on the id alone, never on who else is there, so it survives arrivals, removals
    and renumbering.

    Args:
        stream: `Stream.USER_KEY` or `Stream.NOTE_KEY`.
        ids: integers below 2**64, any shape.
        sub: a second coordinate below 2**32, such as a creator's slot.

    >>> int(stable_keys(Stream.USER_KEY, [5])[0]) == int(stable_keys(Stream.USER_KEY, [1, 5])[1])
    True
    """
    wide = np.asarray(ids).astype(np.uint64)
    words = philox(0, stream, wide & _LOW, wide >> _HALF, sub).astype(np.uint64)
    return words[..., 0] << _HALF | words[..., 1]


def _word(part: ArrayLike) -> NDArray[np.uint64]:
    return np.asarray(part).astype(np.uint64) & _LOW
