"""Mitigations that share a fit: the same rankings as with fits of their own, and fewer fits."""

import numpy as np
import pytest

from recsys.mitigations import MITIGATIONS, Calibrated, Offset, WarmStart, mitigated
from recsys.recommenders import ALS, Trending
from recsys.study.arms.shared_fits import SharedFits
from recsys.testing import example_mitigations, quick_recommender, takes
from recsys.world.simulate import simulate
from tests.kit.open_loop import a_world

KINDS = ("als", "trending", "platform_ranker")


@pytest.fixture(scope="module")
def logs():
    """The logs of two days, the second with newcomers."""
    world = simulate(a_world(), "influx", seed=1)
    return world.log_before(0, 5), world.log_before(2, 5)


def chains_of(kind):
    """A recommender without mitigations, and under each that takes it, as an open loop fits it."""
    plain = quick_recommender(kind)
    cold = [WarmStart(enabled=False)] if plain.warm_starts else []
    chains = [plain]
    for name in MITIGATIONS:
        for example in example_mitigations(name):
            if takes(example, plain):
                late = example.place >= Offset().place
                chains.append(mitigated(plain, [*cold, example] if late else [example]))
    return chains


def rankings(model):
    return model.rank(np.arange(model.log.n_users), 6)


@pytest.mark.parametrize("kind", KINDS)
def test_shared_fits_change_no_ranking(kind, logs):
    chains = chains_of(kind)
    shared = SharedFits(chains)
    for chain in [*chains, *chains]:
        own = chain.fit(logs[0], 3) if chain.needs_previous else None
        before = shared(chain, logs[0], 3, None).model if chain.needs_previous else None
        expected = rankings(chain.fit(logs[1], 4, own))
        found = rankings(shared(chain, logs[1], 4, before).model)
        assert (found.item_ids == expected.item_ids).all()
        assert np.array_equal(found.scores, expected.scores, equal_nan=True)


class Counted(Trending):
    """The trending list, whose fits are counted."""

    def fit(self, log, seed=0, previous=None):
        FITS.append((log, seed))
        return super().fit(log, seed, previous)


FITS = []


@pytest.mark.parametrize(("most_bytes", "fits"), [(2**30, 2), (0, 6)])
def test_a_log_and_a_seed_are_fitted_once(most_bytes, fits, logs):
    FITS.clear()
    chains = [Counted(), mitigated(Counted(), [Offset()]), mitigated(Counted(), [Calibrated()])]
    shared = SharedFits(chains, most_bytes)
    for chain in chains:
        shared(chain, logs[0], 0, None)
        assert shared(chain, logs[1], 0, None).seconds > 0
    assert len(FITS) == fits


def test_other_options_are_other_fits(logs):
    chains = [mitigated(ALS(factors=n), [Offset()]) for n in (4, 8, 4)]
    shared = SharedFits(chains)
    models = [shared(chain, logs[0], 0, None).model.inner for chain in chains]
    assert models[0] is models[2]
    assert models[0] is not models[1]
    assert shared(chains[0], logs[0], 1, None).model.inner is not models[0]
