"""Two towers: sums of embeddings describe users and items, trained by a sampled softmax."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from recsys.core.lazy import lazy
from recsys.core.noise import Stream, integer_seed
from recsys.core.threads import single_threaded_blas
from recsys.logs.log import InteractionLog
from recsys.recommenders.base import (
    COLD,
    HOT,
    WARM,
    Model,
    ModelNumber,
    Recommender,
    Users,
    binary,
)
from recsys.recommenders.factors import ProductModel, warm_factors
from recsys.recommenders.fits import check_array
from recsys.recommenders.pairs import all_finite
from recsys.recommenders.recency import Recency, log_recency
from recsys.recommenders.tower_log import (
    N_BUCKETS,
    Tower,
    carried,
    context_of,
    examples_of,
    tower_of,
)
from recsys.recommenders.towers import (
    Context,
    Examples,
    Table,
    add_histories,
    adjust,
    batches,
    corrected,
    distinct,
    histories,
    leave_out,
    share_histories,
    slopes,
)

_START = 10.0
"""Factor by which vectors are longer at the start than those of als."""


class TwoTower(Recommender):
    """Learns which item a user picks, from sums of embeddings of what is known of both.

    Minimises Σ -ln p(i | u, t) over likes of item i by user u at time t, where p is a softmax of

        s_uj(t) = x_u(t)·y_j + b_j + f(age of j at t) + g(age of j at t) · ln(heat of j at t)

    over the items j of a batch. x_u sums an embedding of the user, one of each attribute of the
    user, and, over √n, those of the n items that the user liked before. y_j and the bias b_j sum
    embeddings of the item and of each of its attributes, creator included. Heat counts earlier
    likes, half as much for every `half_life_days`. The items that other users of the batch liked
    are the negatives, each counted over its share of all likes (the logQ correction: Yi et al.
    2019, "Sampling-bias-corrected neural modeling for large corpus item recommendations"). The
    user's own likes, and posts published later, are none. Embeddings, f and g take steps of AdaGrad
    (Duchi, Hazan & Singer 2011). Covington, Adams & Sargin 2016, "Deep neural networks for YouTube
    recommendations", learn from history and age likewise, with hidden layers.

    So the model serves everybody, and posts without a click, as soon as an attribute of theirs is
    known. Use it where posts or people are new all the time and attributes are known.

    The order of steps, the batches and the starting vectors depend on the training seed and on keys
    alone: one more like joins one batch in each epoch, and leaves the others as they are.

    >>> log = InteractionLog.from_frames({"user_id": [1, 1, 2, 2], "item_id": [7, 8, 9, 10]},
    ...     items={"item_id": [7, 8, 9, 10, 11, 12], "topic": ["pets", "pets", "food", "food"] + [
    ...     "food", "pets"]})
    >>> TwoTower(iterations=50).fit(log).recommend([1, 2], k=1)["item_id"].to_list()
    [12, 11]
    """

    deterministic: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = True

    factors: int = Field(default=32, ge=1, le=1024)
    """Length of the vectors; an item also has a bias."""
    history: int = Field(default=10, ge=0)
    """Number of items whose embeddings a user's vector sums: those that the user liked last."""
    regularization: float = Field(default=0.2, ge=0)
    """Penalty λ on an embedding for each like that it takes part in."""
    learning_rate: float = Field(default=0.07, gt=0)
    """Length of the first step in each coordinate; AdaGrad shortens later steps."""
    iterations: int = Field(default=3, ge=1)
    """Number of epochs; an epoch goes through all likes."""
    warm_iterations: int = Field(default=1, ge=1)
    """Number of epochs where the fit starts from a previous model."""
    batch: int = Field(default=512, ge=2)
    """Least number of likes in a batch on average; the number of batches is a power of two."""
    half_life_days: float = Field(default=2.0, gt=0)
    """Days in which a like loses half of its weight in the heat of an item."""
    recency: Recency | None = None
    """Adds power · log popularity to the scores, with likes that decay; null adds nothing."""

    def fit(
        self, log: InteractionLog, seed: int = 0, previous: Model | None = None
    ) -> "TwoTowerModel":
        """Takes steps down the gradient, batch by batch; see `Recommender.fit`.

        Args:
            log: the training log.
            seed: training seed of the starting vectors and the batches, such as 0.
            previous: a model whose embeddings the fit starts from, if it is a `TwoTowerModel` with
                vectors of the same length. Attributes are matched by the users or items that have
                them in both logs.

        Raises:
            LogError: the log holds no positive event, or the embeddings become infinite.
        """
        liked, hot = binary(log), log.interactions
        before = previous if isinstance(previous, TwoTowerModel) else None
        if before is not None and before.tastes.shape[1] != self.factors:
            before = None
        order_seed = integer_seed(seed, ModelNumber.TWO_TOWER)
        examples, lasts = examples_of(log, liked, self.history, order_seed)
        context, now = context_of(log, examples, self.half_life_days)
        towers = tower_of(log.users, hot.users), tower_of(log.items, hot.items)
        learner = _Learner(self, log, seed, towers, before)
        epochs = self.iterations if before is None else self.warm_iterations
        with single_threaded_blas(), np.errstate(over="ignore", invalid="ignore"):
            for epoch in range(epochs):
                epoch_seed = integer_seed(seed, ModelNumber.TWO_TOWER, 1 + epoch)
                for batch in batches(examples.words, epoch_seed, self.batch):
                    learner.step(examples, context, batch)
            return learner.model(lasts, now)


class _Learner:
    """Embeddings while they are learned.

    Args:
        options: the recommender.
        log: the training log.
        seed: training seed.
        towers: how users and items are put together.
        before: the model from which the embeddings start; None to draw them.
    """

    def __init__(
        self,
        options: TwoTower,
        log: InteractionLog,
        seed: int,
        towers: tuple[Tower, Tower],
        before: "TwoTowerModel | None",
    ) -> None:
        self.options, self.log, self.towers = options, log, towers
        hot, n = log.interactions, options.factors
        self.bags = towers[0].bags(hot.users), towers[1].bags(hot.items)
        self.hot_bags = self.bags[0].rows(hot.users), self.bags[1].rows(hot.items)
        users = np.zeros((towers[0].height(hot.users.size), n), dtype=np.float32)
        items = np.zeros((towers[1].height(hot.items.size), n + 1), dtype=np.float32)
        tastes = np.zeros((len(items), n), dtype=np.float32)
        users[: hot.users.size] = _drawn(seed, Stream.MODEL_USER, hot.user_keys, n)
        items[: hot.items.size, :-1] = _drawn(seed, Stream.MODEL_ITEM, hot.item_keys, n)
        self.effects = np.zeros((2, N_BUCKETS), dtype=np.float32)
        self.effects[1] = 1
        self.squares = np.zeros(self.effects.shape)
        if before is not None:
            old = before.log.interactions
            mine = carried(
                towers[0], hot.users, hot.user_keys, before.user_tower, old.users, old.user_keys
            )
            users[mine >= 0] = before.users[mine[mine >= 0]]
            mine = carried(
                towers[1], hot.items, hot.item_keys, before.item_tower, old.items, old.item_keys
            )
            items[mine >= 0] = before.items[mine[mine >= 0]]
            tastes[mine >= 0] = before.tastes[mine[mine >= 0]]
            self.effects[:] = before.effects
        self.users, self.items, self.tastes = Table(users), Table(items), Table(tastes)
        self.slot = np.full(hot.items.size, -1, dtype=np.int64)

    def step(self, examples: Examples, context: Context, batch: NDArray[np.int64]) -> None:
        """A step down the gradient of Σ -ln p over the likes of a batch.

        Args:
            examples: the likes.
            context: ages and heat.
            batch: int64 (n,), positions of the likes.
        """
        user, day, hour = examples.user[batch], examples.day[batch], examples.hour[batch]
        columns, place, count = distinct(examples.item[batch], self.slot)
        start, liked = histories(examples.history, batch)
        before, place_before, count_before = distinct(liked, self.slot)
        x = self.users.sum(self.hot_bags[0], user)
        tastes = self.tastes.sum(self.hot_bags[1], before)
        add_histories(start, place_before, tastes, x)
        x = np.concatenate([x, np.ones((user.size, 1), dtype=np.float32)], axis=1)
        y = self.items.sum(self.hot_bags[1], columns)
        p = x @ y.T
        base = context.rarity[columns] + np.log(count)
        heat = np.ascontiguousarray(context.heat[:, columns])
        published = context.published[columns]
        corrected(p, base, heat, published, context.bucket, self.effects, day, hour, place)
        leave_out(p, user, place, columns, *examples.likes, self.slot)
        np.exp(p, out=p)
        by_effect = np.zeros(self.effects.shape)
        slopes(p, heat, published, context.bucket, day, hour, place, by_effect)
        by_user = p @ np.ascontiguousarray(y[:, :-1])
        by_taste = np.zeros_like(tastes)
        share_histories(start, place_before, by_user, by_taste)
        once = np.ones(user.size, dtype=np.float32)
        rate = np.float32(self.options.learning_rate)
        penalty = np.float32(self.options.regularization)
        self.users.step(self.hot_bags[0], user, by_user, once, rate, penalty)
        by_item = np.asarray(p.T @ x, dtype=np.float32)
        self.items.step(self.hot_bags[1], columns, by_item, count, rate, penalty)
        share = (count_before / max(self.options.history, 1)).astype(np.float32)
        self.tastes.step(self.hot_bags[1], before, by_taste, share, rate, penalty)
        if self.log.has_times:
            adjust(self.effects, self.squares, by_effect, rate)

    def model(
        self,
        lasts: tuple[NDArray[np.int64], NDArray[np.int64]],
        now: tuple[NDArray[np.int64], NDArray[np.float32]],
    ) -> "TwoTowerModel":
        """The model: the vectors of all users and items, and the embeddings to go on from.

        Args:
            lasts: where each user's last likes begin, int64 (n_hot_users + 1,), and their columns.
            now: bucket of the age and log of the heat of each item when feeds are made, (n_items,).
        """
        log, hot = self.log, self.log.interactions
        tastes = self.tastes.sum(self.hot_bags[1], np.arange(hot.items.size))
        history = np.zeros((hot.users.size, tastes.shape[1]), dtype=np.float32)
        add_histories(*lasts, tastes, history)
        x = np.zeros((log.n_users + 1, tastes.shape[1] + 1), dtype=np.float32)
        x[:-1, :-1] = self.users.sum(self.bags[0], np.arange(log.n_users))
        x[hot.users, :-1] += history
        x[:, -1] = 1
        y = self.items.sum(self.bags[1], np.arange(log.n_items))
        bucket, heat = now
        y[:, -1] += self.effects[0, bucket] + self.effects[1, bucket] * heat
        all_finite("two_tower", x, y)
        return TwoTowerModel(
            log,
            x,
            y,
            *self.towers,
            self.users.values,
            self.items.values,
            self.tastes.values,
            self.effects,
            log_recency(log, self.options.recency),
        )


def _drawn(
    seed: int, stream: Stream, keys: NDArray[np.uint64], factors: int
) -> NDArray[np.float32]:
    return np.float32(_START) * warm_factors(seed, stream, keys, factors, None)


@dataclass(frozen=True)
class TwoTowerModel(ProductModel):
    """The model that two_tower learns.

    Attributes:
        user_factors: float32 (n_users + 1, factors + 1), the last column 1; the last row is that of
            somebody who is not in the log.
        item_factors: float32 (n_items, factors + 1), the last column the bias with all effects of
            age and heat.
        user_tower, item_tower: how users and items are put together.
        users: float32, embeddings of hot users in the order of keys, then of attributes.
        items: float32, embeddings of items, likewise; the last column is the bias.
        tastes: float32, embeddings of items for the histories of users, likewise.
        effects: float32 (2, n_buckets), f and g by age.
        recency: float64 (n_items,), the `log_recency` of the log; None without the option.
    """

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    user_tower: Tower
    item_tower: Tower
    users: NDArray[np.float32]
    items: NDArray[np.float32]
    tastes: NDArray[np.float32]
    effects: NDArray[np.float32]
    recency: NDArray[np.float64] | None
    log_odds: ClassVar[bool] = True
    serves: ClassVar[tuple[str, ...]] = (HOT, WARM, COLD)

    def check(self) -> None:
        """See `Model.check`."""
        log, hot = self.log, self.log.interactions
        check_array("tastes", self.tastes, (None, None), np.float32)
        width = self.tastes.shape[1] + 1
        check_array("user_factors", self.user_factors, (log.n_users + 1, width), np.float32)
        check_array("item_factors", self.item_factors, (log.n_items, width), np.float32)
        self.user_tower.check("user_tower", log.n_users)
        self.item_tower.check("item_tower", log.n_items)
        height = self.item_tower.height(hot.items.size)
        users = self.user_tower.height(hot.users.size)
        check_array("users", self.users, (users, width - 1), np.float32)
        check_array("items", self.items, (height, width), np.float32)
        check_array("tastes", self.tastes, (height, width - 1), np.float32)
        check_array("effects", self.effects, (2, N_BUCKETS), np.float32)
        if self.recency is not None:
            check_array("recency", self.recency, (log.n_items,), np.float64)

    @lazy
    def scorable(self) -> NDArray[np.int32]:
        """Int32, dense ids of the items with a like or an attribute, in the order of their keys."""
        can_score = (self.item_tower.codes >= 0).any(axis=1) | (self.hot_column >= 0)
        items = np.flatnonzero(can_score)
        keys = self.log.items["key"].to_numpy()
        return items[np.argsort(keys[items], kind="stable")].astype(np.int32)

    def vectors_of_users(self, users: Users) -> NDArray[np.float32]:
        """See `ProductModel`."""
        return self.user_factors[users]

    def vectors_of_items(self, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """See `ProductModel`."""
        return self.item_factors[items]
