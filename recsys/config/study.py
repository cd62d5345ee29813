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
from recsys.config.engine import Engine, Workers, threads_of
from recsys.config.world import World
from recsys.core.errors import ConfigError

AUTO = "auto"
"""Value of `log.newcomers` with which newcomers are found by a wave of arrivals."""

ArmName = Literal[
    "control", "influx", "placebo", "locals", "retrain", "nudge", "nudge_3", "nudge_10"
]


Name = Annotated[str, Field(min_length=1, max_length=100)]
"""A name in the results, which tables and pages must hold."""
Kind = Annotated[str, Field(min_length=1, max_length=200)]


class RecommenderSpec(Part):
    """A recommender by name; in a file, options stand beside `kind`: `{kind: als, factors: 32}`."""

    kind: Kind
    """A key of `recsys.RECOMMENDERS`, or `package.module:Class`, whose code then runs."""
    name: Name
    """Its name in the results; `kind` unless given."""
    options: Mapping[str, JsonValue] = {}
    """Hyper-parameters: fields of the recommender's class."""

    def option(self, name: str) -> JsonValue:
        """The value of an option, or of a field of one: null for a field of what is off.

        Args:
            name: such as "factors" or "recency.power".

        Raises:
            KeyError: there is no such option, or field.

        >>> spec = RecommenderSpec(kind="als", name="als", options={"recency": {"power": 0.5}})
        >>> spec.option("recency.power")
        0.5
        """
        option, _, field = name.partition(".")
        value = self.options[option]
        if not field or value is None:
            return value
        if not isinstance(value, Mapping):
            raise KeyError(name)
        return value[field]

    def with_options(self, changed: Mapping[str, JsonValue]) -> "RecommenderSpec":
        """The same recommender with other options.

        Args:
            changed: values by option, or by field of one. A field that is null turns the option
                off.

        >>> spec = RecommenderSpec(kind="als", name="als", options={"recency": None})
        >>> dict(spec.with_options({"recency.power": 0.5}).options)
        {'recency': {'power': 0.5}}
        >>> dict(spec.with_options({"recency.power": None}).options)
        {'recency': None}
        """
        options, fields = dict(self.options), dict[str, dict[str, JsonValue]]()
        for name, value in changed.items():
            option, _, field = name.partition(".")
            if field:
                before = options.get(option)
                given = dict(before) if isinstance(before, Mapping) else {}
                fields.setdefault(option, given)[field] = value
            else:
                options[option] = value
        for option, given in fields.items():
            options[option] = None if None in given.values() else given
        return self.model_copy(update={"options": options})


class MitigationSpec(Part):
    """A mitigation by name; in a file, options stand beside `kind`: `{kind: cap, share: 0.1}`."""

    kind: Kind
    """A key of `recsys.MITIGATIONS`, or `package.module:Class`, whose code then runs."""
    name: Name
    """Its name in the results; `kind` unless given."""
    options: Mapping[str, JsonValue] = {}
    """Fields of the mitigation's class."""


class Chain(Part):
    """Mitigations that wrap one another; in a file a list, of which the first is innermost.

    `{parts: [anchor], only: [als]}` applies the chain to some of the recommenders.
    """

    parts: tuple[MitigationSpec, ...] = ()
    """The mitigations, innermost first; may be empty."""
    only: tuple[str, ...] | None = None
    """Names of the recommenders to which the chain is applied; null for all."""

    @property
    def name(self) -> str:
        """Its name in the results.

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
    """In a world, recommenders learn from the last so many days; null for all. Posts shown earlier
    still count as seen."""
    panel: int = Field(default=1000, ge=2)
    """Number of incumbents whose feeds are measured; they are drawn before the influx."""
    nudges: int = Field(default=4, ge=1, le=64)
    """In a world, draws of the arm nudge in each seed, each with another person who visits and
    never posts; their mean is the floor of the headline. One draw alone says little (C)."""
    one_step: bool = False
    """In a world, also measure one-step drift: compare the feeds of one morning after a fit with
    and a fit without newcomers' events. It costs one more fit per day and arm."""
    groups: tuple[str, ...] = ()
    """Attributes of users by which the headline is broken down. In a world: activity, skill,
    language, main_topic, curious, posts. In a log: activity, tenure, main_topic, and the columns of
    its users. Numbers are cut into thirds of the panel."""
    snapshots: bool = False
    """Keep all measured feeds, one row per slot, but for those of a log's placebo groups; false
    keeps those of a dozen users, which the page shows."""

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
    """The first day on which newcomers were first seen."""
    to: date | None = None
    """The end of the log if left out. Users who come later are neither incumbents nor newcomers."""

    @model_validator(mode="after")
    def _days_are_in_order(self) -> Self:
        if self.to is not None and self.to < self.from_:
            raise ValueError(f"to: {self.to} is before from, {self.from_}")
        return self


class Newcomers(Part):
    """The rule by which users count as newcomers: when they were first seen."""

    first_seen: FirstSeen
    """Window that holds a newcomer's first event, or `joined` where the users' file has it."""


def _how(newcomers: Any) -> str:
    return "condition" if isinstance(newcomers, str) else "rule"


class OwnLog(Part):
    """Your own log: files, the meaning of their columns, and who counts as a newcomer."""

    events: str
    """Parquet or CSV file with one row per event; or a folder or a pattern of such files."""
    users: str | None = None
    """Parquet or CSV file with one row per user; needed if a column says who is a newcomer."""
    items: str | None = None
    """Parquet or CSV file with one row per item; needed for attributes, creators and ages."""
    columns: Mapping[str, str] = {}
    """Names of columns in your files by the names that recsys uses, such as `item_id: video`; for
    events, users and items alike. `count` says how many of an item an event is about, so that a
    return takes back as many as it says."""
    kinds: Mapping[str, str] = {}
    """SQL condition on the events' columns by kind of event, such as `like: rating >= 4`. The first
    condition that holds decides; a row that meets none is an impression. If empty, the column
    `kind` decides, and without that column every row is a click."""
    weights: Mapping[str, Annotated[float, Field(ge=-1000, le=1000)]] = {}
    """Weight by kind of event, such as `save: 3`; other kinds keep their weight in
    `recsys.logs.schema.WEIGHTS`. An event of weight 0 was seen and not liked. A negative weight
    also takes back the user's earlier events on the item."""
    cancels: Mapping[str, str] = {}
    """SQL condition on the events' columns, or a value of the column `kind`, by kind of event, such
    as `like: unlike`. Such a row is no event itself: it takes back the user's last event of that
    kind on the item; with a column `count`, as many as it says."""
    timezone: str = "UTC"
    """Zone in which days begin, and of times without a zone, such as `Asia/Shanghai`."""
    newcomers: Annotated[
        Annotated[str, Tag("condition")] | Annotated[Newcomers, Tag("rule")], Discriminator(_how)
    ]
    """SQL condition on the columns of the users, or of events with one value for each user, such as
    `register_days <= 365`; or `{first_seen: {from: 2025-01-13, to: 2025-01-20}}`; or `auto`, a wave
    that is looked for in arrivals."""
    arrived: date | None = None
    """First day on which newcomers arrived, if a condition defines them. Placebos then are users
    who join on that day, and users are told apart by how much of the newcomers they met. No
    newcomer may have an event before it; otherwise placebos are whole users, as the notes say."""
    attributes: Mapping[str, str] = {}
    """The items' column that holds an attribute, by attribute, such as `topic: category`; the mix
    of feeds is measured over these attributes."""
    min_item_events: int = Field(default=1, ge=1)
    """Items with fewer positive events are left out."""
    holdout_days: Annotated[float, Field(gt=0)] | None = None
    """Quality is measured on the clicks of the last so many days (a log with times)."""
    holdout_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Quality is measured on this share of the clicks, drawn at random (a log without times)."""
    panel_min_events: int = Field(default=5, ge=1)
    """Positive events that an incumbent must have to be drawn into the panel."""
    max_pool_fraction: Annotated[float, Field(gt=0, le=0.9)] = 0.5
    """Largest share of the incumbents of one kind that a placebo group may take. If matching the
    newcomers would take more, some newcomers are left out: groups that share most of their members
    look too much alike."""
    placebo_draws: int = Field(default=199, ge=20, le=10_000)
    """Number of placebo groups, groups of incumbents that are removed for comparison. The smallest
    possible p-value is 1 / (draws + 1)."""

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
    experiment: str = Field(default="recsys", min_length=1, max_length=250)
    """The MLflow experiment that holds the runs."""
    detail: Literal["brief", "full"] = "brief"
    """How much of its figures a run gets. `brief`: at most 40 metrics under short names, in percent
    where the terminal shows percent. `full`: all other series too, and runs of a world's seeds.
    """


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
    """Name of the results: letters, digits, - and _."""
    group: str | None = None
    """Filled in for a variant: the `name` in its file. The variant's own name is that name, a
    hyphen, and the name of the variant."""
    reference: str | None = None
    """In a file with variants: the variant with which the conclusions of the others are compared.
    """
    world_: World | None = Field(default=None, alias="world")
    """Source: a synthetic platform. Give either world or log."""
    log_: OwnLog | None = Field(default=None, alias="log")
    """Source: your own log."""
    recommenders: tuple[RecommenderSpec, ...] = Field(min_length=1)
    mitigations: tuple[Chain, ...] = ()
    """Chains of mitigations, such as `[[anchor], [anchor, calibrated]]`. Each recommender runs
    without mitigations and under each chain."""
    loop: Literal["open", "closed"] = "open"
    """Open: the house policy makes the log, and all recommenders learn from it. Closed: each
    recommender serves a world of its own, and each day learns from what its feeds led to."""
    channels: bool = False
    """Closed loop: split *composition* among the five channels. The world runs with each set of
    gates open, with the influx and with the placebo: 62 more worlds per seed and recommender."""
    arms: tuple[ArmName, ...] = ("control", "influx", "placebo", "locals", "retrain", "nudge")
    """Arms of a world. A log has arms of its own: full, without newcomers, placebos, retrain."""
    evaluation: Evaluation = Evaluation()
    seeds: int = Field(default=3, ge=1, le=1000)
    """Number of times that a world is run, each time with other random draws. A log has one
    history, so there it is 1, also if left out."""
    first_seed: int = Field(default=0, ge=0, lt=2**62)
    """The first of the seeds; the others follow it."""
    workers: Workers = "auto"
    """Number of threads; `auto` takes as many as this process may use processors. It changes no
    figure. Memory grows with it: each thread has a cell in work."""
    engine: Engine = Engine()
    """What runs the cells: threads of this process, or a cluster. It changes no figure."""
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _variant_is_of_its_group(self) -> Self:
        if self.group is not None and not self.name.startswith(f"{self.group}-"):
            raise ValueError(
                f"group: {self.name!r} is no variant of {self.group!r}, because its name does not "
                f"begin with '{self.group}-'; group=null makes it a study of its own"
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
        shown = [
            spec.name if not chain.parts else f"{spec.name} + {chain.name}"
            for spec in self.recommenders
            for chain in self.chains_for(spec.name)
        ]
        if twice := next((name for name in shown if shown.count(name) > 1), None):
            raise ValueError(f"two rows of the results would be called {twice!r}: rename one part")
        recommenders = {spec.name for spec in self.recommenders}
        for chain in chains:
            for name in chain.only or ():
                if name not in recommenders:
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

    @property
    def threads(self) -> int:
        """The number of threads that `workers` means on this machine."""
        return threads_of(self.workers)

    def chains_for(self, recommender: str) -> tuple[Chain, ...]:
        """The chains under which a recommender runs, the empty chain first.

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
        """The name of the variant; None for a study without variants.

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
