"""Random numbers by address: each draw has an address of its own, so no draw shifts another.

An ordinary stream of random numbers moves for everybody as soon as one more user takes a number.
Here a draw is a function of a seed and an address, and of nothing else. The address says what is
drawn, for whom, about what and when.

The generator is Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2,
3"). It turns a 64-bit seed and an address of four 32-bit words (stream, entity, item, when) into
four random words. `key_words` and `pair_words` make words of 64-bit keys.
"""

# mypy: disallow-untyped-decorators=False
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLY = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_TO_UNIT = 2.0**-32


class Stream(IntEnum):
    """First word of an address: what is drawn. A number never gets a second meaning."""

    USER_KEY = 1
    POST_KEY = 2
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
    POST = 13
    POST_LATENT = 14
    VISIT = 20
    DEPTH = 21
    CLICK = 22
    FRESH = 23
    TICK = 24
    DISCONTENT = 25
    MOOD = 26
    REPLY = 27
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
    LUCK = 46
    HALF = 47
    THOMPSON = 50
    THOMPSON_USER = 51
    TRIAL = 60


@njit(inline="always")
def philox4x32(stream, entity, item, when, seed):  # type: ignore[no-untyped-def]
    """Four random 32-bit words at an address, as uint64; for compiled code.

    All arguments are uint64 scalars. The low 32 bits of each part of the address count, and all 64
    bits of the seed.
    """
    c0, c1, c2, c3 = stream & _LOW, entity & _LOW, item & _LOW, when & _LOW
    k0, k1 = seed & _LOW, seed >> _HALF
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
    for row in range(entity.size):
        words = philox4x32(stream, entity[row], item[row], when[row], seed)
        for word in range(4):
            out[row, word] = words[word]


def philox(
    seed: int, stream: int, entity: ArrayLike, item: ArrayLike = 0, when: ArrayLike = 0
) -> NDArray[np.uint32]:
    """Four random 32-bit words at each address.

    The three parts of an address are integers of any shapes that broadcast against one another.
    Their low 32 bits count.

    Args:
        seed: 64 bits, such as the seed of a world or of a training.
        stream: what is drawn, such as `Stream.CLICK`.
        entity: for whom, such as the address of a user.
        item: about what, such as the key of a post.
        when: at which time, such as `moment(7, visit=2)`, or any other third part.

    Returns:
        uint32 (*shape, 4).

    >>> [hex(word) for word in philox(0, 0, 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    parts = np.broadcast_arrays(*(_unsigned(part) for part in (entity, item, when)))
    flat = [part.flatten() for part in parts]  # copies: numba dislikes read-only views
    out = np.empty((flat[0].size, 4), dtype=np.uint32)
    entities, items, whens = flat
    _philox_rows(np.uint64(seed & (2**64 - 1)), np.uint64(stream), entities, items, whens, out)
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
    """Four standard normals at each address (Box–Muller); arguments as in `philox`.

    Returns:
        float64 (*shape, 4).

    >>> bool(abs(normals(1, Stream.LATENT, np.arange(10_000)).mean()) < 0.02)
    True
    """
    u = uniforms(seed, stream, entity, item, when)
    radius = np.sqrt(-2 * np.log(u[..., :2]))
    angle = 2 * np.pi * u[..., 2:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def key_words(keys: ArrayLike) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Two words of an address from 64-bit keys: the low half and the high half.

    Args:
        keys: integers of 64 bits, any shape, such as the keys of users.

    Returns:
        Low halves and high halves, uint64 in the shape of `keys`.

    >>> lots = uniforms(0, Stream.PANEL, *key_words([5, 5 + 2**32]))[:, 0]
    >>> bool(lots[0] == lots[1])  # the high half counts
    False
    """
    wide = _unsigned(keys)
    return wide & _LOW, wide >> _HALF


def pair_words(
    user_keys: ArrayLike, item_keys: ArrayLike
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
    """The three words of an address that names a user and an item by their 64-bit keys.

    Three words cannot hold two keys whole. The item's key stands in two of them. The user's key is
    folded into one: its low half, with its high half added bit by bit (exclusive or).

    Args:
        user_keys: integers of 64 bits, any shape that broadcasts against `item_keys` later on.
        item_keys: integers of 64 bits.

    Returns:
        Folded user keys, low halves and high halves of the item keys, uint64.

    >>> users, items = np.array([[5], [6]], np.uint64), np.array([7, 8, 9], np.uint64)
    >>> uniforms(0, Stream.MODEL_RANDOM, *pair_words(users, items)).shape
    (2, 3, 4)
    """
    low, high = key_words(user_keys)
    return low ^ high, *key_words(item_keys)


def wide_words(words: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """64 random bits of each draw: its first word, then its second.

    Args:
        words: uint32 (*shape, 4), from `philox`.

    Returns:
        uint64 (*shape,).

    >>> hex(wide_words(philox(0, 0, 0)))
    '0x6627e8d5e169c58d'
    """
    first, second = words[..., 0].astype(np.uint64), words[..., 1].astype(np.uint64)
    return np.asarray(first << _HALF | second)


def moment(day: ArrayLike, tick: int = 0, visit: ArrayLike = 0, draw: int = 0) -> NDArray[np.int64]:
    """Last word of an address: a time in a world.

    Args:
        day: from -2^15 (before the influx) to 2^15 - 1; day 0 is the first day of the influx.
        tick: part of the day, 0 to 15.
        visit: number of the user's visit on that day, 0 to 15.
        draw: number of the draw within the visit, 0 to 255.

    >>> int(moment(1, tick=1, visit=2, draw=3)) == (1 + 2**15 << 16 | 1 << 12 | 2 << 8 | 3)
    True
    """
    since = np.asarray(day, dtype=np.int64) + 2**15
    return (since << 16) | (tick << 12) | (np.asarray(visit, dtype=np.int64) << 8) | draw


def integer_seed(seed: int, *coordinates: int) -> int:
    """A 31-bit seed from a seed and up to three numbers, each below 2^32.

    For libraries that keep a random stream of their own, and for parts of a study that have a seed
    of their own.

    Args:
        seed: 64 bits.
        coordinates: what the new seed is for, such as a number of the part and one of the epoch.

    >>> 0 <= integer_seed(7, 3) < 2**31 and integer_seed(7, 3) != integer_seed(8, 3)
    True
    """
    entity, item, when = (*coordinates, 0, 0, 0)[:3]
    return int(philox(seed, Stream.MODEL_SEED, entity, item, when)[0] >> 1)


def training_seed(seed: int, arm: str) -> int:
    """The seed of a fit: one for the reference arm, another for all arms compared with it.

    Influx, placebo and retrain then hold the same training noise, so that total = influx - retrain
    is exactly 0 where nobody comes. If the influx arm had the reference's seed, total would be
    minus the training noise there.

    Args:
        seed: of the study's cell, such as 0.
        arm: name of the arm, such as "influx". "control" and "full" are references.

    >>> training_seed(0, "influx") == training_seed(0, "retrain") != training_seed(0, "control")
    True
    """
    return integer_seed(seed, 0 if arm in ("control", "full") else 1)


def stable_keys(stream: int, ids: ArrayLike, sub: ArrayLike = 0) -> NDArray[np.uint64]:
    """64-bit keys from integer ids: the name under which an entity's draws are addressed.

    The key of an id is the same whoever else is there. So it survives arrivals, removals and new
    numberings.

    Args:
        stream: `Stream.USER_KEY` or `Stream.POST_KEY`.
        ids: integers below 2**64, any shape.
        sub: a second part of the id below 2**32, such as the number of a creator's post.

    Returns:
        uint64, in the shape to which `ids` and `sub` broadcast.

    >>> int(stable_keys(Stream.USER_KEY, [5])[0]) == int(stable_keys(Stream.USER_KEY, [1, 5])[1])
    True
    """
    return wide_words(philox(0, stream, *key_words(ids), sub))


def _unsigned(part: ArrayLike) -> NDArray[np.uint64]:
    return np.asarray(part).astype(np.uint64)
