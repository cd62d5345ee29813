"""What a data set says about itself: counts and rates, as numbers for programs and a page to read.

Everything is counted day by day while a world runs, so nothing but the counts is held; impressions
are counted whether or not they are written.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.storage.provenance import git_tags, version_tags
from recsys.config.world import World
from recsys.logs.schema import KINDS
from recsys.world.day.values import Day
from recsys.world.life import Acts, life_rows
from recsys.world.people.population import FORMATS, LANGUAGES, People
from recsys.world.people.posts import PostTable

LICENCE = "Synthetic data; nobody in it is real. Apache-2.0, as the code that made it."
_COHORTS = ("incumbent", "newcomer")
_KINDS = tuple(KINDS.categories)


@dataclass(frozen=True)
class Whence:
    """What made a data set: enough to make it again, byte for byte, with the same code."""

    name: str
    arm: str
    seed: int
    command: str
    world: World
    impressions: bool
    """Whether impressions are among the events."""


@dataclass
class Tally:
    """Counts over the days so far."""

    world: World
    kinds: NDArray[np.int64] = field(init=False)
    """(2, kinds) events written, by cohort of the user."""
    impressions: NDArray[np.int64] = field(init=False)
    """(2, languages) by cohort of the user and language of the post."""
    visits_by_clicks: NDArray[np.int64] = field(init=False)
    """(2, ranks + 1)."""
    comments: NDArray[np.int64] = field(init=False)
    """(languages of users, languages of posts, topics)."""
    days: list[dict[str, Any]] = field(default_factory=list)
    """One row a day."""

    def __post_init__(self) -> None:
        ranks, languages = self.world.platform.visit_ranks, len(LANGUAGES)
        topics = len(self.world.population.incumbents.topics)
        self.kinds = np.zeros((2, len(_KINDS)), dtype=np.int64)
        self.impressions = np.zeros((2, languages), dtype=np.int64)
        self.visits_by_clicks = np.zeros((2, ranks + 1), dtype=np.int64)
        self.comments = np.zeros((languages, languages, topics), dtype=np.int64)

    def add(self, day: Day, people: People, posts_for: tuple[PostTable, PostTable]) -> None:
        """Counts a day; `people` and posts `posts_for` each cohort are the run's, so far."""
        acts, traffic = Acts.of(self.world, day, people, posts_for), day.traffic
        self.kinds += acts.kinds
        self.impressions += traffic.impressions
        self.visits_by_clicks += traffic.visits_by_clicks
        self.comments += acts.comments.sum(axis=0)
        life = life_rows(self.world, day, acts)
        self.days.append(
            {
                "day": day.day,
                "date": (self.world.start + timedelta(days=day.day)).isoformat(),
                "events": day.user.size,
                "impressions": sum(row["impressions"] for row in life),
                "visits": _by_cohort(row["visits"] for row in life),
                "active": _by_cohort(row["active"] for row in life),
                "there": _by_cohort(day.state.members),
                "share_of_incumbents_active": life[0]["active"] / self.world.incumbents,
                "english_share_of_incumbents_impressions": life[0]["english_share"],
            }
        )


def datasheet(
    whence: Whence, tally: Tally, users: pl.DataFrame, items: pl.DataFrame, digest: str
) -> dict[str, Any]:
    """All that is known of a data set, as JSON has it.

    Args:
        whence: what made it.
        tally: of all its days.
        users, items: its frames.
        digest: sha256 of SHA256SUMS, and so of every part.
    """
    world, incumbents = whence.world, _incumbents(users)
    creators = users.filter(pl.col("user_id").is_in(items["creator_id"].unique().implode()))
    return {
        "name": whence.name,
        "what": "a synthetic platform's log: users, items and events",
        "licence": LICENCE,
        "arm": whence.arm,
        "seed": whence.seed,
        "population_seed": world.population_seed,
        "served_by": "the house policy (open loop)",
        "impressions_written": whence.impressions,
        "command": whence.command,
        "digest": digest,
        "made_with": {**_plain(version_tags()), **_plain(git_tags())},
        "counts": {
            "users": users.height,
            "users_by_cohort": _by_cohort([incumbents, users.height - incumbents]),
            "creators": creators.height,
            "creators_by_cohort": _by_cohort(
                [_incumbents(creators), creators.height - _incumbents(creators)]
            ),
            "posts": items.height,
            "posts_by_language": _counted(items["language"], LANGUAGES),
            "posts_by_format": _counted(items["format"], FORMATS),
            "posts_by_topic": _counted(items["topic"], tuple(world.population.incumbents.topics)),
            "events": int(tally.kinds.sum()),
            "events_by_kind": dict(zip(_KINDS, tally.kinds.sum(axis=0).tolist(), strict=True)),
            "impressions": int(tally.impressions.sum()),
            "visits": int(tally.visits_by_clicks.sum()),
        },
        "rates": _rates(tally),
        "comments_across_languages": _crossed(tally),
        "days": tally.days,
        "world": world.model_dump(mode="json"),
    }


def _incumbents(users: pl.DataFrame) -> int:
    """How many of some users are incumbents."""
    return int((users["cohort"] == "incumbent").sum())


def _rates(tally: Tally) -> dict[str, Any]:
    """Rates of all users and of each cohort; null where nothing was counted."""
    both = {"all": slice(None), "incumbent": slice(0, 1), "newcomer": slice(1, 2)}
    return {composition: _rates_of(tally, composition, part) for composition, part in both.items()}


def _rates_of(tally: Tally, composition: str, part: slice) -> dict[str, Any]:
    kinds = dict(zip(_KINDS, tally.kinds[part].sum(axis=0).tolist(), strict=True))
    shown = int(tally.impressions[part].sum())
    by_clicks = tally.visits_by_clicks[part].sum(axis=0)
    cohorts = _COHORTS if composition == "all" else (composition,)
    person_days = sum(day["there"][cohort] for day in tally.days for cohort in cohorts)
    active_days = sum(day["active"][cohort] for day in tally.days for cohort in cohorts)
    return {
        "clicks_per_impression": _ratio(kinds["click"], shown),
        "clicks_per_visit_with_a_click": _spread(by_clicks),
        "visits_per_person_and_day": _ratio(by_clicks.sum(), person_days),
        "share_active_a_day": _ratio(active_days, person_days),
        "product_clicks_per_1000_impressions": _ratio(1000 * kinds["product_click"], shown),
        "purchases_per_1000_impressions": _ratio(1000 * kinds["purchase"], shown),
    }


def _spread(visits_by_clicks: NDArray[np.int64]) -> dict[str, float | int | None]:
    """Median, mean and 90th percentile of clicks, over visits with at least one.

    A percentile is the least number of clicks that so many visits do not exceed.
    """
    visits = visits_by_clicks.copy()
    visits[0] = 0
    total, clicks = int(visits.sum()), np.arange(visits.size)
    if total == 0:
        return {"median": None, "mean": None, "p90": None}
    below = np.cumsum(visits)
    return {
        "median": int(np.searchsorted(below, 0.5 * total)),
        "mean": float(visits @ clicks / total),
        "p90": int(np.searchsorted(below, 0.9 * total)),
    }


def _crossed(tally: Tally) -> dict[str, Any]:
    """Comments by users on posts in a language that is not their first."""
    topics = tuple(tally.world.population.incumbents.topics)
    directions = {
        f"{user} user on {post} post": tally.comments[row, column]
        for row, user in enumerate(LANGUAGES)
        for column, post in enumerate(LANGUAGES)
        if row != column
    }
    return {
        "comments": int(tally.comments.sum()),
        "across": int(sum(by_topic.sum() for by_topic in directions.values())),
        "by_direction": {name: int(by_topic.sum()) for name, by_topic in directions.items()},
        "by_direction_and_topic": {
            name: dict(zip(topics, by_topic.tolist(), strict=True))
            for name, by_topic in directions.items()
        },
    }


def readme(sheet: dict[str, Any]) -> str:
    """The page that stands beside the data; every number in it is the datasheet's.

    Args:
        sheet: from `datasheet`.
    """
    parts = (_opening(sheet), _FILES, _numbers(sheet), _by_day(sheet), _origin(sheet), _LIMITS)
    return "\n".join(parts)


def _opening(sheet: dict[str, Any]) -> str:
    world, days = sheet["world"], sheet["days"]
    written = "are written" if sheet["impressions_written"] else "are counted here, not written"
    return f"""# {sheet["name"]}, arm {sheet["arm"]}, seed {sheet["seed"]}

The log of a **synthetic** platform of the kind `{world["platform"]["kind"]}`: who is there, what is
posted, and what people do with what they are shown, from {days[0]["date"]} to {days[-1]["date"]}.
Day 0, {world["start"]}, is the first day of the influx. The house policy ranks; impressions
{written}. {sheet["licence"]}
"""


_FILES = """## Files

| file | a row is | columns |
|---|---|---|
| `users.parquet` | a person | user_id · cohort · joined (newcomers) · key · language (first, and of the app) · skill_in_other_language (at the start) |
| `items.parquet` | a post that was posted | item_id · published · creator_id (a user_id) · key · topic · language · format · product_tag · subtitled |
| `events/DATE.parquet` | an event, in the order of time | user_id · item_id · timestamp (UTC) · kind · rank (1 = top of the visit's feed) · weight (what it adds to interest) |
| `datasheet.json` | – | all numbers below and more, and the whole config of the world |
| `SHA256SUMS` | a file | `sha256sum -c SHA256SUMS` checks every part |

`key` is stable: it names a person or a post whatever else a run holds; ids are rows of one run.

```python
import polars as pl, recsys

events = pl.read_parquet("events/*.parquet")
users, items = pl.read_parquet("users.parquet"), pl.read_parquet("items.parquet")
log = recsys.InteractionLog.from_frames(events, users, items)
```
"""  # noqa: E501


def _numbers(sheet: dict[str, Any]) -> str:
    """Counts and rates of the whole data set."""
    counts, rates, crossed = sheet["counts"], sheet["rates"], sheet["comments_across_languages"]
    kinds = {kind: n for kind, n in counts["events_by_kind"].items() if n}
    by_cohort = _table(
        ("", "all", "incumbents", "newcomers"),
        [
            ("users", counts["users"], *counts["users_by_cohort"].values()),
            ("who post", counts["creators"], *counts["creators_by_cohort"].values()),
            *(
                (name.replace("_", " "), *(rates[composition][name] for composition in rates))
                for name in rates["all"]
            ),
        ],
    )
    return f"""## Numbers

{by_cohort}

- {counts["posts"]:,} posts: {_listed(counts["posts_by_language"])}
- by format: {_listed(counts["posts_by_format"])}
- {counts["events"]:,} events: {_listed(kinds)}
- {counts["impressions"]:,} impressions in {counts["visits"]:,} visits
- {crossed["across"]:,} of {crossed["comments"]:,} comments are on a post that is not in the
  user's first language: {_listed(crossed["by_direction"])}

Rates are over all days of the log. Visits per person and day, and the share active a day, count
whoever is there: incumbents always (also those who have stopped coming), newcomers from arrival to
departure.
"""


def _by_day(sheet: dict[str, Any]) -> str:
    head = (
        "day",
        "date",
        "incumbents active",
        "newcomers active",
        "English share of incumbents' impressions",
        "events",
    )
    rows = [
        (
            day["day"],
            day["date"],
            *day["active"].values(),
            day["english_share_of_incumbents_impressions"],
            day["events"],
        )
        for day in sheet["days"]
    ]
    return f"{_table(head, rows)}\n"


def _origin(sheet: dict[str, Any]) -> str:
    made = ", ".join(f"{name} {value}" for name, value in sheet["made_with"].items())
    return f"""## Made by

```
{sheet["command"]}
```

with {made}. The same command with the same versions gives the same bytes, whatever the number of
threads. Digest (sha256 of `SHA256SUMS`): `{sheet["digest"]}`.
"""


_LIMITS = """## Limits

The behaviour follows a model with assumed coefficients (`world` in `datasheet.json`); it shows what
such a platform does, not what any real platform or person did. `items.parquet` also holds posts
that grew too old to be shown before the log begins: they could be shown in the days before it.
"""


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(map(_shown, line))} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(number)}" for name, number in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())


def _counted(column: pl.Series, names: tuple[str, ...]) -> dict[str, int]:
    codes = np.bincount(column.to_physical().to_numpy(), minlength=len(names))
    return dict(zip(names, codes.tolist(), strict=True))


def _by_cohort(values: Any) -> dict[str, int]:
    return {cohort: int(value) for cohort, value in zip(_COHORTS, values, strict=True)}


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None


def _plain(tags: dict[str, str]) -> dict[str, str]:
    """MLflow's names of tags, without its prefixes."""
    return {
        name.removeprefix("version."): value
        for name, value in tags.items()
        if not name.startswith("mlflow.")
    }
