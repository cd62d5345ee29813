"""Values of users by seeds: drawn with known variances, and one example worked by hand."""

import numpy as np

EXAMPLE = np.array([[0.1, 0.2, 0.3], [0.2, 0.2, 0.5], [0.0, 0.1, 0.4], [0.3, 0.5, 0.4]])


def crossed(rng, repetitions, n_users, n_seeds, sd_users=0.2, sd_seeds=0.05, sd_residual=0.2):
    """(repetitions, users, seeds) of a + b + e with mean 0."""
    users = rng.normal(0, sd_users, (repetitions, n_users, 1))
    seeds = rng.normal(0, sd_seeds, (repetitions, 1, n_seeds))
    return users + seeds + rng.normal(0, sd_residual, (repetitions, n_users, n_seeds))


def anova_by_hand(y):
    """Mean squares from the textbook sums, in plain loops."""
    n_users, n_seeds = y.shape
    grand = y.mean()
    users = sum(n_seeds * (row.mean() - grand) ** 2 for row in y) / (n_users - 1)
    seeds = sum(n_users * (column.mean() - grand) ** 2 for column in y.T) / (n_seeds - 1)
    cells = (
        (y[u, s] - y[u].mean() - y[:, s].mean() + grand) ** 2
        for u in range(n_users)
        for s in range(n_seeds)
    )
    return users, seeds, sum(cells) / ((n_users - 1) * (n_seeds - 1))
