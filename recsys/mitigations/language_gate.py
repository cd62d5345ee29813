"""Language gate: bounds the share of posts in languages that the user does not read."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.errors import LogError
from recsys.core.lazy import lazy
from recsys.logs.log import InteractionLog, Seen
from recsys.mitigations.base import Dressed, Mitigation, Place
from recsys.mitigations.slots import limited
from recsys.recommenders.base import Model, Users
from recsys.recommenders.ranking import Ranking


class LanguageGate(Mitigation):
    """Allows at most floor(share·r) posts in unread languages among the first r ranks, for every r.

    A user reads the user's own language and the one that the user has declared to read beside it.
    Nothing else is known of what users read, and what they declare may be missing or wrong. Where
    the language of a post or a user is not known, nothing is held back. The bound is that of `cap`
    (Zehlike et al. 2017, "FA*IR"), on a set of posts that depends on the user. It does not hold for
    the slots of the platform, nor for slots that a fallback fills. Use it where newcomers speak
    another language: it treats incumbents and newcomers alike.

    >>> from recsys.mitigations.base import mitigated
    >>> from recsys.recommenders import Trending
    >>> log = InteractionLog.from_frames({"user_id": [1, 2, 3], "item_id": [7, 7, 8]},
    ...     {"user_id": [1, 2, 3], "language": ["zh", "en", "zh"]},
    ...     {"item_id": [7, 8], "language": ["en", "zh"]})
    >>> gate = LanguageGate(share=0.5, declared_column=None)
    >>> ranking = mitigated(Trending(), [gate]).fit(log).rank(np.array([0]), 2, None, False)
    >>> ranking.item_ids.tolist()
    [[1, 0]]
    """

    share: float = Field(default=0.1, ge=0, le=1)
    """Largest share of slots for posts in unread languages, such as 0.1 for one slot in ten."""
    user_column: str = "language"
    """Column of the users that holds their language."""
    item_column: str = "language"
    """Column of the items that holds their language."""
    declared_column: str | None = "declared_language"
    """Column of the users that holds another language that they have declared to read; null if
    there is none. A null in it adds nothing to what a user reads."""

    @property
    def place(self) -> Place:
        """See `Mitigation`."""
        return Place.RANKS

    def dress(self, model: Model, seed: int, previous: Model | None) -> "_Gated":
        """See `Mitigation.dress`.

        Raises:
            LogError: users or items lack one of the columns.
        """
        columns = {"users": [self.user_column], "items": [self.item_column]}
        if self.declared_column is not None:
            columns["users"].append(self.declared_column)
        for table, wanted in columns.items():
            for column in wanted:
                _check_column(model.log, table, column)
        return _Gated(model.log, model, self)


@dataclass(frozen=True)
class _Gated(Dressed):
    """A model whose rankings keep the bound of `LanguageGate`."""

    options: LanguageGate

    @lazy
    def groups(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Group of each user, int64 (n_users,), and posts held back, bool (n_groups, n_items).

        There is a group for each pair of own and declared language that a user has, and a last
        group, for which nothing is held back.
        """
        own = self.log.users[self.options.user_column].cast(pl.String)
        of_items = self.log.items[self.options.item_column].cast(pl.String)
        to_code = {name: code for code, name in enumerate(sorted({*own, *of_items} - {None}))}
        reads, written = _codes(own, to_code), _codes(of_items, to_code)
        also = np.full(reads.size, -1)
        if self.options.declared_column is not None:
            also = _codes(self.log.users[self.options.declared_column].cast(pl.String), to_code)
        pairs, group = np.unique(np.stack([reads, also], axis=1), axis=0, return_inverse=True)
        first, second = pairs[:, :1], pairs[:, 1:]
        held_back = (written >= 0) & (written != first) & (written != second) & (first >= 0)
        nothing = np.zeros((1, written.size), dtype=np.bool_)
        return group.astype(np.int64), np.concatenate([held_back, nothing])

    def rank(
        self,
        users: Users,
        k: int = 20,
        candidates: NDArray[np.bool_] | None = None,
        exclude_seen: bool | Seen = True,
    ) -> Ranking:
        """See `Model.rank`."""
        ranking = self.inner_rank(users, k, candidates, exclude_seen)
        group, held_back = self.groups
        users = np.asarray(users)
        group = np.where(users >= 0, group[users], held_back.shape[0] - 1)
        return limited(
            self.inner,
            ranking,
            users,
            candidates,
            exclude_seen,
            group,
            held_back,
            self.options.share,
        )


def _check_column(log: InteractionLog, table: str, column: str) -> None:
    columns = (log.users if table == "users" else log.items).columns
    if column not in columns:
        raise LogError(
            f"language_gate: {table} have no column {column!r} among {', '.join(columns)}; "
            "declared_column: null does without what users declare"
        )


def _codes(languages: pl.Series, to_code: dict[str, int]) -> NDArray[np.int64]:
    """Int64 (n,): number of each language; -1 where it has none or is not known."""
    numbered = languages.replace_strict(to_code, default=None, return_dtype=pl.Int64)
    return numbered.fill_null(-1).to_numpy()
