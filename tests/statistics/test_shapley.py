"""Splitting a total among channels: golden game, axioms, and a slow reference."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from recsys.statistics import pairs_of, shapley

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "measures.json"


def by_orders(values, n):
    """Shapley values the slow way: what each player adds, over all orders."""
    adds = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        there = 0
        for player in order:
            adds[player] += values[there | 1 << player] - values[there]
            there |= 1 << player
    return adds / len(orders)


def test_the_golden_game():
    if not GOLDEN.exists():
        pytest.skip("the golden values do not lie beside the project")
    game = json.loads(GOLDEN.read_text())["shapley"]
    players = "AST"
    values = np.zeros(8)
    for coalition, value in game["v"].items():
        values[sum(1 << players.index(player) for player in coalition)] = value
    found = shapley(values)
    for i, player in enumerate(players):
        assert found.shapley[i] == pytest.approx(game["phi"][player], abs=1e-10)
        assert found.last_in[i] == pytest.approx(game["last_in"][player], abs=1e-10)
        assert found.first_in[i] == pytest.approx(game["v"][player], abs=1e-10)
    for row, (i, j) in enumerate(pairs_of(3)):
        expected = game["interaction"][players[i] + players[j]]
        assert found.interaction[row] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_equals_the_mean_over_all_orders(n):
    values = np.random.default_rng(n).normal(size=(1 << n, 2))
    found = shapley(values)
    for game in range(2):
        np.testing.assert_allclose(found.shapley[:, game], by_orders(values[:, game], n))


def test_axioms():
    """Parts sum to the whole; a player who never adds has nothing; equals share equally."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(32, 7, 4))
    found = shapley(values)
    np.testing.assert_allclose(found.shapley.sum(axis=0), values[-1] - values[0])
    assert found.shapley.shape == (5, 7, 4)
    assert found.interaction.shape == (10, 7, 4)
    coalitions = np.arange(32)
    idle = shapley(values[coalitions & ~4])  # player 2 changes nothing
    np.testing.assert_allclose(idle.shapley[2], 0, atol=1e-12)
    np.testing.assert_allclose(idle.last_in[2], 0, atol=1e-12)
    for row, pair in enumerate(pairs_of(5)):
        if 2 in pair:
            np.testing.assert_allclose(idle.interaction[row], 0, atol=1e-12)
    swapped = coalitions & ~3 | (coalitions & 1) << 1 | (coalitions & 2) >> 1
    same = shapley(values + values[swapped])  # players 0 and 1 are alike
    np.testing.assert_allclose(same.shapley[0], same.shapley[1])


def test_players_who_only_add_do_not_interact():
    effects = np.array([0.3, -0.2, 0.05, 0.0, 1.0])
    bits = np.arange(32)[:, None] >> np.arange(5) & 1
    found = shapley(bits @ effects)
    for part in (found.shapley, found.first_in, found.last_in):
        np.testing.assert_allclose(part, effects, atol=1e-12)
    np.testing.assert_allclose(found.interaction, 0, atol=1e-12)


@pytest.mark.parametrize("length", [0, 1, 3, 31, 2**13])
def test_a_game_needs_every_coalition(length):
    with pytest.raises(ValueError, match="every coalition"):
        shapley(np.zeros(length))
