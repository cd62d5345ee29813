"""Fits that several mitigations of a recommender share.

A mitigation that acts on scores or rankings leaves the fit as it is. So a study with several such
mitigations needs the fit of a day, an arm and a seed only once.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from recsys.core.kept import Kept
from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog
from recsys.mitigations import Mitigation, WarmStart
from recsys.mitigations.base import Mitigated, Place, undressed
from recsys.recommenders import Model, Recommender

_MOST_BYTES = 2 * 2**30
"""Once the kept models of a recommender take this much memory, no further ones are kept."""


class Fitted(NamedTuple):
    """A model and what it cost."""

    model: Model
    seconds: float
    """Seconds that the fit takes, whether it was made now or before."""


class SharedFits:
    """The fits of one recommender under several chains of mitigations, in the worlds of one seed.

    >>> from recsys.mitigations import Offset, mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2], "item_id": [7, 8]})
    >>> little, much = (mitigated(Trending(), [Offset(strength=s)]) for s in (0.5, 2.0))
    >>> fits = SharedFits([little, much])
    >>> fits(little, log, 0, None).model.inner is fits(much, log, 0, None).model.inner
    True
    """

    def __init__(self, recommenders: Iterable[Recommender], most_bytes: int = _MOST_BYTES) -> None:
        """Keeps nothing yet.

        Args:
            recommenders: the recommender under each chain, as the study fits it. A fit is kept only
                if at least two of them need it.
            most_bytes: memory in bytes beyond which no further models are kept.
        """
        cores = Counter(_key(_split(recommender)[0]) for recommender in recommenders)
        self._shared = {core for core, users in cores.items() if users > 1}
        self._kept = Kept[tuple[str, int, int, int], _Fit]()
        self._left = most_bytes

    def __call__(
        self, recommender: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> Fitted:
        """The model of `recommender.fit(log, seed, previous)`.

        Args:
            recommender: one of those that were given.
            log: the training log.
            seed: training seed, such as 0.
            previous: the model of the morning of day 0, or None if it is not needed.
        """
        core, dressing = _split(recommender)
        before = [previous]  # for the outermost mitigation, the next, …, and the core
        for _ in dressing:
            before.append(undressed(before[-1]))
        fit = self._fit(core, log, seed, before.pop() if _goes_on(core) else None)
        model, started = fit.made.model, time.perf_counter()
        for mitigation in dressing:
            model = mitigation.dress(model, seed, before.pop())
        return Fitted(model, fit.made.seconds + time.perf_counter() - started)

    def _fit(
        self, core: Recommender, log: InteractionLog, seed: int, previous: Model | None
    ) -> "_Fit":
        fit = _Fit(core, log, seed, previous)
        if _key(core) not in self._shared or self._left <= 0:
            return fit
        kept = self._kept((_key(core), id(log), seed, id(previous)), lambda: fit)
        if kept is fit:
            self._left -= _bytes(fit.made.model)
        return kept


@dataclass(frozen=True)
class _Fit:
    """A fit, made when it is first asked for. It holds all that its key names by `id`."""

    recommender: Recommender
    log: InteractionLog
    seed: int
    previous: Model | None

    @lazy
    def made(self) -> Fitted:
        """The model."""
        started = time.perf_counter()
        model = self.recommender.fit(self.log, self.seed, self.previous)
        return Fitted(model, time.perf_counter() - started)


def _split(recommender: Recommender) -> tuple[Recommender, list[Mitigation]]:
    """The part of a chain that changes the fit, and the mitigations around it, innermost first.

    A warm start that is switched off is left out: the caller gives no earlier model then.
    """
    dressing: list[Mitigation] = []
    while isinstance(recommender, Mitigated) and _only_dresses(recommender.mitigation):
        dressing.insert(0, recommender.mitigation)
        recommender = recommender.inner
    if isinstance(recommender, Mitigated) and _is_cold(recommender.mitigation):
        return recommender.inner, dressing
    return recommender, dressing


def _only_dresses(mitigation: Mitigation) -> bool:
    at_the_end = mitigation.place in (Place.SCORES, Place.RANKS)
    return at_the_end and type(mitigation).fit is Mitigation.fit


def _is_cold(mitigation: Mitigation) -> bool:
    return isinstance(mitigation, WarmStart) and not mitigation.enabled


def _goes_on(core: Recommender) -> bool:
    """Whether a fit depends on an earlier model in an open loop."""
    return core.needs_previous or isinstance(core, Mitigated)


def _key(core: Recommender) -> str:
    """What tells recommenders apart: their classes and options, and those of mitigations."""
    kinds: list[type[Recommender] | type[Mitigation]] = [type(core)]
    inner = core
    while isinstance(inner, Mitigated):
        kinds += [type(inner.mitigation), type(inner.inner)]
        inner = inner.inner
    return f"{[f'{kind.__module__}.{kind.__qualname__}' for kind in kinds]}{core!r}"


def _bytes(model: Model) -> int:
    """Memory of the arrays that a model holds beside its log, in bytes."""
    total = 0
    for value in vars(model).values():
        if isinstance(value, np.ndarray):
            total += value.nbytes
        elif isinstance(value, csr_matrix):
            total += value.data.nbytes + value.indices.nbytes + value.indptr.nbytes
    return total
