"""Shapley values: splits a total among channels, the players of a game.

The value of a coalition is a measure with the channels of the coalition open and all others closed.
All coalitions are used, so the shares are exact and sum to the total: Shapley (1953), "A value for
n-person games", Contributions to the Theory of Games II; Grabisch & Roubens (1999), "An axiomatic
approach to the concept of interaction", Int. J. Game Theory 28.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from recsys.statistics.arrays import Floats

_MOST_PLAYERS = 12


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of n players in the total of a game; trailing axes are those of the games.

    Attributes:
        total: (...), value of all players together minus value of none.
        shapley: (n, ...), what each player adds when it joins, as a mean over all orders of
            joining; these sum to the total.
        first_in: (n, ...), what each player adds when it joins first.
        last_in: (n, ...), what each player adds when it joins last, which is lost without it.
        interaction: (n (n - 1) / 2, ...), Shapley interaction index of each pair, in the order of
            `pairs_of`; above 0 where two players add more together than apart.
    """

    total: Floats
    shapley: Floats
    first_in: Floats
    last_in: Floats
    interaction: Floats


def shapley(values: ArrayLike) -> Shares:
    """Splits the total of a game among its players.

    Args:
        values: float (2^n, ...), value of each coalition, in any unit. Player i is in coalition c
            if bit i of c is set. Trailing axes hold further games.

    Raises:
        ValueError: the first axis is not 2^n long, for n from 1 to 12.

    Example:
        >>> shares = shapley([0.0, 0.1, 0.2, 0.5])  # nobody, a, b, both
        >>> shares.shapley.round(3).tolist(), shares.interaction.round(3).tolist()
        ([0.2, 0.3], [0.2])
        >>> shares.first_in.round(3).tolist(), shares.last_in.round(3).tolist()
        ([0.1, 0.2], [0.3, 0.4])
    """
    v = np.asarray(values, dtype=np.float64)
    size = v.shape[0] if v.ndim else 0
    n = size.bit_length() - 1
    if size != 1 << max(n, 0) or not 1 <= n <= _MOST_PLAYERS:
        raise ValueError(
            f"values has shape {v.shape}; the first axis must be 2^n long, n from 1 to "
            f"{_MOST_PLAYERS}: a value for every coalition of n players"
        )
    weights = _weights(n)
    return Shares(v[-1] - v[0], *(np.tensordot(weight, v, axes=1) for weight in weights))


def pairs_of(n: int) -> list[tuple[int, int]]:
    """The pairs of n players in the order of `Shares.interaction`.

    Args:
        n: number of players, such as 3.

    >>> pairs_of(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(combinations(range(n), 2))


@cache
def _weights(n: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Weights of coalitions, (·, 2^n), in `shapley`, `first_in`, `last_in` and `interaction`."""
    coalitions = np.arange(1 << n)
    size = np.array([int(c).bit_count() for c in coalitions])
    all_players = (1 << n) - 1
    shares, first, last = (np.zeros((n, 1 << n)) for _ in range(3))
    for i in range(n):
        without = coalitions[coalitions & (1 << i) == 0]
        weight = np.array([1 / (n * comb(n - 1, s)) for s in size[without]])
        shares[i, without | 1 << i] += weight
        shares[i, without] -= weight
        first[i, [1 << i, 0]] = 1, -1
        last[i, [all_players, all_players ^ 1 << i]] = 1, -1
    interaction = np.zeros((comb(n, 2), 1 << n))
    for row, (i, j) in enumerate(pairs_of(n)):
        pair = 1 << i | 1 << j
        without = coalitions[coalitions & pair == 0]
        weight = np.array([1 / ((n - 1) * comb(n - 2, s)) for s in size[without]])
        for part, sign in ((pair, 1), (1 << i, -1), (1 << j, -1), (0, 1)):
            interaction[row, without | part] += sign * weight
    return shares, first, last, interaction
