"""A study as data: where the feeds come from, which recommenders make them, what is measured."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)

from recsys.config.base import Part
from recsys.config.world import World
from recsys.core.errors import ConfigError

AUTO = "auto"
"""`log.newcomers` that are found by a change point in arrivals."""

ArmName = Literal["control", "influx", "placebo", "retrain"]


class RecommenderSpec(Part):
    """A recommender by name; in a file, options stand beside `kind`: `{kind: als, factors: 32}`."""

    kind: str
    """A key of `recsys.RECOMMENDERS`, or `package.module:Class`."""
    name: str
    """What the results call it; `kind` unless given."""
    options: Mapping[str, JsonValue] = {}
    """Hyper-parameters: fields of the recommender's class."""


class MitigationSpec(Part):
    """A mitigation by name; in a file, options stand beside `kind`: `{kind: cap, share: 0.1}`."""

    kind: str
    """A key of `recsys.MITIGATIONS`, or `package.module:Class`."""
    name: str
    """What the results call it; `kind` unless given."""
    options: Mapping[str, JsonValue] = {}
    """Fields of the mitigation's class."""


class Chain(Part):
    """Mitigations one around the other; in a file a list, the first is innermost.

    `{parts: [anchor], only: [als]}` tries it on some of the recommenders.
    """

    parts: tuple[MitigationSpec, ...] = ()
    """None or more."""
    only: tuple[str, ...] | None = None
    """Names of the recommenders that it is for; null for all."""

    @property
    def name(self) -> str:
        """What the results call it.

        >>> Chain().name
        'none'
        """
        return " + ".join(part.name for part in self.parts) or "none"


class Evaluation(Part):
    """Whose feeds are measured, when and how deep."""

    days: tuple[int, ...] = (1, 6, 13)
    """Days of a world on which feeds are measured; 0 is the first day of the influx."""
    k: int = Field(default=20, ge=1, le=200)
    """Depth of a feed."""
    training_days: int | None = Field(default=None, ge=1)
    """In a world, recommenders learn from the last so many days; null for all. What was shown
    before still counts as seen."""
    panel: int = Field(default=1000, ge=2)
    """How many incumbents are measured, drawn by lot before the influx."""
    one_step: bool = False
    """In a world, measure one-step drift too: the same morning's feeds by a fit with and by one
    without newcomers' events. It costs another fit a day and arm."""
    groups: tuple[str, ...] = ()
    """Attributes of users to break the headline down by. Of a world: activity, skill, language,
    main_topic, curious, posts; of a log: activity, tenure, main_topic, and its users' columns.
    Numbers are cut into thirds of the panel."""
    snapshots: bool = False
    """Keep the measured feeds themselves, a row a slot, beside their measures; of a log, not those
    of its placebo groups."""

    @model_validator(mode="after")
    def _days_are_sorted(self) -> Self:
        if not self.days or list(self.days) != sorted(set(self.days)):
            raise ValueError("days must be distinct and increasing, with at least one")
        if len(set(self.groups)) < len(self.groups):
            raise ValueError(f"groups: {list(self.groups)} names an attribute twice")
        return self


class FirstSeen(Part):
    """A window of days: `{from: 2025-01-13, to: 2025-01-20}`, both included."""

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    from_: date = Field(alias="from")
    to: date | None = None
    """Left out: the end of the log. Who comes later is neither incumbent nor newcomer."""

    @model_validator(mode="after")
    def _days_are_in_order(self) -> Self:
        if self.to is not None and self.to < self.from_:
            raise ValueError(f"to: {self.to} is before from, {self.from_}")
        return self


class Newcomers(Part):
    """Who counts as a newcomer, by time."""

    first_seen: FirstSeen
    """Window of the first event; of the users' column `joined` where that is known."""


def _how(newcomers: Any) -> str:
    return "condition" if isinstance(newcomers, str) else "rule"


class OwnLog(Part):
    """A platform's own log: files, what their columns mean, and who counts as a newcomer."""

    events: str
    """Parquet or CSV file with one row an event."""
    users: str | None = None
    items: str | None = None
    columns: Mapping[str, str] = {}
    """Our name of a column: theirs, for events, users and items alike (`item_id: video`)."""
    kinds: Mapping[str, str] = {}
    """Kind of event: SQL condition on the events' columns; the first that holds counts, a row that
    meets none is an impression. Empty: the column `kind`, or else every row is a click."""
    weights: Mapping[str, Annotated[float, Field(ge=-1000, le=1000)]] = {}
    """Weight by kind of event, where it is not that of `recsys.logs.schema.WEIGHTS`. 0: seen, not
    liked.
    Below 0: also takes back what the same user did with the item before."""
    cancels: Mapping[str, str] = {}
    """Kind of event: SQL condition on the events' columns, or a value of the column `kind`. Such a
    row is no event: it takes back the user's last event of that kind on the item."""
    timezone: str = "UTC"
    """Where days begin, and what times without a zone are in: a name such as `Asia/Shanghai`."""
    newcomers: Annotated[
        Annotated[str, Tag("condition")] | Annotated[Newcomers, Tag("rule")], Discriminator(_how)
    ]
    """SQL condition on the users' columns, such as `register_days <= 365`; or
    `{first_seen: {from: 2025-01-13, to: 2025-01-20}}`; or `auto`, a change point in arrivals."""
    arrived: date | None = None
    """Day on which the newcomers of a condition began to arrive, for the view by exposure."""
    attributes: Mapping[str, str] = {}
    """Attribute of items to measure the mix of feeds by: the items' column that holds it."""
    min_item_events: int = Field(default=1, ge=1)
    """Items with fewer positive events are left out."""
    holdout_days: Annotated[float, Field(gt=0)] | None = None
    """Quality is measured on the clicks of the last so many days (a log with times)."""
    holdout_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Quality is measured on this share of the clicks, drawn at random (a log without times)."""
    panel_min_events: int = Field(default=5, ge=1)
    """Positive events that make an incumbent eligible for the panel."""
    max_pool_fraction: Annotated[float, Field(gt=0, le=0.9)] = 0.5
    """Most of the incumbents of a kind that one placebo group may take; where newcomers would need
    more, some of them are left out. Groups that share most of their members look too much alike."""
    placebo_draws: int = Field(default=199, ge=20, le=10_000)
    """Groups of incumbents removed for comparison; the smallest p-value is 1 / (draws + 1)."""

    @field_validator("timezone")
    @classmethod
    def _timezone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(
                f"no time zone {name!r}; give a name such as UTC, Asia/Shanghai, America/New_York"
            ) from error
        return name

    @model_validator(mode="after")
    def _date_is_known_once(self) -> Self:
        by_time = self.newcomers == AUTO or isinstance(self.newcomers, Newcomers)
        if self.arrived is not None and by_time:
            raise ValueError("arrived: newcomers by time have a date of their own; leave it out")
        return self

    @model_validator(mode="after")
    def _one_way_to_hold_out(self) -> Self:
        if self.holdout_days is not None and self.holdout_share is not None:
            raise ValueError("holdout_days and holdout_share: give one of them, not both")
        return self


class Tracking(Part):
    """Where a study is recorded."""

    enabled: bool = True
    """Log to MLflow; MLFLOW_TRACKING_URI wins over the local database in mlruns/."""
    experiment: str = "recsys"


def the_source(world: World | None, log: OwnLog | None) -> World | OwnLog:
    """The one source that is given.

    Args:
        world, log: what stands under these keys of a file.

    Raises:
        ValueError: none of them, or both.
    """
    if world is not None and log is None:
        return world
    if log is not None and world is None:
        return log
    raise ValueError("give one source: either world or log")


def world_in(source: World | OwnLog, name: str) -> World:
    """The source, where it is a world.

    Args:
        source: of a study or a training run.
        name: what that is called, for the message.

    Raises:
        ConfigError: a log.
    """
    if isinstance(source, OwnLog):
        raise ConfigError(f"{name}: its source is a log, and a log has no world")
    return source


def log_in(source: World | OwnLog, name: str) -> OwnLog:
    """The source, where it is a log; arguments and errors as for `world_in`."""
    if isinstance(source, World):
        raise ConfigError(f"{name}: its source is a world, which is not read from a log's files")
    return source


class Study(Part):
    """One config file: a source, recommenders, arms and seeds.

    `source` is a `World` or an `OwnLog`. In a file, and in what `model_dump` gives, it stands under
    the key `world` or `log`, and says by it which of the two it is.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    """What the results are filed under: letters, digits, - and _."""
    group: str | None = None
    """Of a variant, filled in: the name in its file; its own is that, - and the variant's."""
    reference: str | None = None
    """Of a file with variants: the one whose conclusions are looked for in all the others."""
    world_: World | None = Field(default=None, alias="world")
    """A synthetic platform as source …"""
    log_: OwnLog | None = Field(default=None, alias="log")
    """… or a platform's own log."""
    recommenders: tuple[RecommenderSpec, ...] = Field(min_length=1)
    mitigations: tuple[Chain, ...] = ()
    """Chains of mitigations, such as `[[anchor], [anchor, calibrated]]`; each recommender runs
    under each of them, and first without any, whether or not the empty chain is listed."""
    loop: Literal["open", "closed"] = "open"
    """Open: the house policy makes the log that all recommenders learn from. Closed: each
    recommender serves a world of its own, and learns daily from what its feeds led to."""
    channels: bool = False
    """Closed loop: split *who* among the five channels by running the world with every set of gates
    open, once with the influx and once with the placebo: 62 more worlds a seed and recommender."""
    arms: tuple[ArmName, ...] = ("control", "influx", "placebo", "retrain")
    """Arms of a world; a log always has its own: full, without newcomers, placebos, retrain."""
    evaluation: Evaluation = Evaluation()
    seeds: int = Field(default=3, ge=1, le=1000)
    """How many times a world is run, each with luck of its own; a log has one history, so 1."""
    first_seed: int = Field(default=0, ge=0, lt=2**62)
    workers: int = Field(default=2, ge=1, le=256)
    """Threads; they change no figure."""
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _variant_is_of_its_group(self) -> Self:
        if self.group is not None and not self.name.startswith(f"{self.group}-"):
            raise ValueError(
                f"group: {self.name!r} is no variant of {self.group!r}, whose names begin with "
                f"'{self.group}-'; group=null makes it a study of its own"
            )
        return self

    @model_validator(mode="after")
    def _source_fits(self) -> Self:
        source = the_source(self.world_, self.log_)
        names = [spec.name for spec in self.recommenders]
        if len(set(names)) < len(names):
            raise ValueError(f"two recommenders have the same name among {names}: give each a name")
        if len(set(self.arms)) < len(self.arms) or not {"control", "influx"} <= set(self.arms):
            raise ValueError("arms must be distinct and hold control and influx")
        if isinstance(source, World):
            self._check_days_and_panel(source)
        if self.channels and (isinstance(source, OwnLog) or self.loop != "closed"):
            raise ValueError(
                "channels: needs a world and loop: closed; nothing else has gates to close"
            )
        if isinstance(source, OwnLog) and self.seeds != 1:
            raise ValueError("seeds: a log has one history, so seeds must be 1 (see placebo_draws)")
        return self

    def _check_days_and_panel(self, world: World) -> None:
        outside = [day for day in self.evaluation.days if not 0 <= day < world.days_after]
        if outside:
            raise ValueError(
                f"evaluation.days: {outside} lie outside the world, "
                f"whose days run from 0 to {world.days_after - 1}"
            )
        if self.evaluation.panel > world.incumbents:
            raise ValueError(
                f"evaluation.panel: {self.evaluation.panel} is more than "
                f"the {world.incumbents} incumbents"
            )

    @model_validator(mode="after")
    def _chains_are_told_apart(self) -> Self:
        chains = [chain for chain in self.mitigations if chain.parts]
        names = [chain.name for chain in chains]
        if len(set(names)) < len(names) or "none" in names:
            raise ValueError(f"two chains have the same name among {names}: give one part a name")
        known = {spec.name for spec in self.recommenders}
        for chain in chains:
            for name in chain.only or ():
                if name not in known:
                    raise ValueError(f"mitigations: {chain.name} is for {name!r}, which is not run")
        return self

    @property
    def source(self) -> World | OwnLog:
        """Where the feeds come from."""
        return the_source(self.world_, self.log_)

    @property
    def world(self) -> World:
        """The source of a study of a world.

        Raises:
            ConfigError: a study of a log.
        """
        return world_in(self.source, self.name)

    @property
    def log(self) -> OwnLog:
        """The source of a study of a log.

        Raises:
            ConfigError: a study of a world.
        """
        return log_in(self.source, self.name)

    def chains_for(self, recommender: str) -> tuple[Chain, ...]:
        """The chains under which a recommender runs, none first.

        >>> from recsys import load_study
        >>> study = load_study({"name": "x", "recommenders": ["trending"], "mitigations": [["cap"]],
        ...     "world": {"influx": {"kind": "rednote_2025", "newcomers": 10}}})
        >>> [chain.name for chain in study.chains_for("trending")]
        ['none', 'cap']
        """
        chosen = (
            chain
            for chain in self.mitigations
            if chain.parts and (chain.only is None or recommender in chain.only)
        )
        return (Chain(), *chosen)

    @property
    def variant(self) -> str | None:
        """What distinguishes a variant from the others of its group; None without one.

        >>> from recsys import load_studies
        >>> world = {"influx": {"kind": "rednote_2025", "newcomers": 10}}
        >>> [study.variant for study in load_studies({"name": "x", "recommenders": ["trending"],
        ...     "world": world, "variants": {"few": ["seeds=2"], "many": ["seeds=8"]}})]
        ['few', 'many']
        """
        return None if self.group is None else self.name.removeprefix(f"{self.group}-")

    def seed_range(self) -> range:
        """The seeds of this study.

        >>> from recsys import load_study
        >>> list(load_study({"name": "x", "recommenders": ["trending"], "seeds": 2,
        ...     "world": {"influx": {"kind": "rednote_2025", "newcomers": 10}}}).seed_range())
        [0, 1]
        """
        return range(self.first_seed, self.first_seed + self.seeds)
