"""A training run as data: one recommender, the log it learns from, and what is held out of it."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from recsys.config.base import Part
from recsys.config.engine import Engine, Workers, threads_of
from recsys.config.study import OwnLog, RecommenderSpec, Tracking, log_in, the_source, world_in
from recsys.config.world import World

Choice = bool | int | float | str | None
"""A value of an option that a search may try."""


class Range(Part):
    """Numbers from `low` to `high`, both included; whole ones where both ends are."""

    low: int | float
    """The smallest number."""
    high: int | float
    """The largest number."""
    log: bool = False
    """Draw the logarithm evenly, for options that matter in orders of magnitude."""

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, but they are {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, but it is {self.low}")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Tuning(Part):
    """A search for hyper-parameters, judged on a part of the training data held out for it."""

    space: Mapping[str, Range | Annotated[tuple[Choice, ...], Field(min_length=1)]] = Field(
        min_length=1
    )
    """Option of the recommender: a list of values, or a range `{low: 0.01, high: 10, log: true}`.
    Options that are not named keep their value. `recency.power` names a field of the option
    `recency`; null among its values turns that option off."""
    trials: int = Field(default=20, ge=1, le=10_000)
    """Number of settings that are tried; the first is the config's own if the space holds it. A
    finished search goes on if this number is raised."""
    at_once: int = Field(default=1, ge=1, le=256)
    """Number of trials that are suggested from the same trials before them, so that they can run
    side by side, in `workers` threads or on a cluster. It changes which settings are tried."""
    metric: str = "ndcg"
    """The metric that is maximised on the held-out part: a key of
    `recsys.measures.metrics.METRICS` that has a value per user."""


class Rolling(Part):
    """A test on several days, each with a model of the days before it."""

    days: int = Field(ge=1, le=366)
    """Number of days at the end of the log, of 24 hours each, that are tested one after the other:
    every morning a model is fitted to all events before it, from yesterday's model where the
    recommender can start from one."""


class Testing(Part):
    """How a recommender is tested, if not on a single part of the log."""

    rolling: Rolling | None = None
    """Test on each of the last days, `{days: 7}`. Posts that are first seen on the day itself can
    then be recommended, by recommenders that can."""


class Training(Part):
    """One config file: a source, a recommender, and how it is tested."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    """Name of the results: letters, digits, - and _."""
    world_: World | None = Field(default=None, alias="world")
    """Source: a synthetic platform, whose house policy makes the log. Give either world or log."""
    log_: OwnLog | None = Field(default=None, alias="log")
    """Source: your own log."""
    arm: Literal["control", "influx", "placebo"] = "influx"
    """Arm of the world whose log is used."""
    recommender: RecommenderSpec
    k: int = Field(default=20, ge=1, le=200)
    """Number of items recommended to a user."""
    test_days: Annotated[float, Field(gt=0)] | None = None
    """Test on the likes of the last so many days. Give one of test_days, test_share and
    evaluation.rolling."""
    test_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Test on the likes among the last so large a share of the events, .2 if neither is given. In a
    log without times the share is drawn at random."""
    evaluation: Testing = Testing()
    metrics: tuple[str, ...] = ()
    """Keys of `recsys.measures.metrics.METRICS`; all of them if empty."""
    seed: int = Field(default=0, ge=0, lt=2**62)
    """Seed of the world, of the random test part of a log without times, and of the training."""
    tune: Tuning | None = None
    """The search that `pipelines.tune` makes."""
    workers: Workers = "auto"
    """Threads that simulate a world and run trials; `auto` takes as many as this process may use
    processors. Their number changes no figure."""
    engine: Engine = Engine()
    """What runs the trials of a search: threads of this process, or a cluster. It changes no
    figure."""
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _source_fits(self) -> Self:
        source = the_source(self.world_, self.log_)
        if self.test_days is not None and self.test_share is not None:
            raise ValueError("test_days and test_share: give one of them, not both")
        if self.rolling is not None and (self.test_days or self.test_share) is not None:
            raise ValueError("evaluation.rolling: leave out test_days and test_share beside it")
        if isinstance(source, World):
            self._check_test_days(source.days_before + source.days_after)
        else:
            self._check_own_log(source)
        return self

    def _check_test_days(self, days: int) -> None:
        if self.held_out is not None and self.held_out >= days:
            raise ValueError(
                f"{self.held_out_by}: {self.held_out} leaves nothing of the {days} days"
            )

    def _check_own_log(self, log: OwnLog) -> None:
        for key in ("holdout_days", "holdout_share"):
            if getattr(log, key) is not None:
                ours = key.replace("holdout", "test")
                raise ValueError(f"log.{key}: a training run holds out by {ours}; use that")
        if self.arm != "influx":
            raise ValueError("arm: a log has no arms; leave it out")

    @property
    def rolling(self) -> Rolling | None:
        """The test on several days, if there is one."""
        return self.evaluation.rolling

    @property
    def held_out_by(self) -> str:
        """The key that says what is held out."""
        if self.rolling is not None:
            return "evaluation.rolling.days"
        return "test_share" if self.test_days is None else "test_days"

    @property
    def held_out(self) -> float | None:
        """Days at the end of the log that are tested; None where a share of it is."""
        return self.test_days if self.rolling is None else float(self.rolling.days)

    @property
    def threads(self) -> int:
        """The number of threads that `workers` means on this machine."""
        return threads_of(self.workers)

    @property
    def source(self) -> World | OwnLog:
        """Where the events come from."""
        return the_source(self.world_, self.log_)

    @property
    def world(self) -> World:
        """The source of a training run on a world.

        Raises:
            ConfigError: a training run on a log.
        """
        return world_in(self.source, self.name)

    @property
    def log(self) -> OwnLog:
        """The source of a training run on a log.

        Raises:
            ConfigError: a training run on a world.
        """
        return log_in(self.source, self.name)
