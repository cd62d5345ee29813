"""The datasheet of a synthetic data set: counts and rates, as JSON and as a page to read.

Everything is counted day by day while a world runs, so that only the counts stay in memory.
Impressions are counted whether or not they are written.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.storage.provenance import git_tags, version_tags
from recsys.config.world import World
from recsys.core.errors import visible
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
    """The origin of a data set: enough to make it again, byte for byte, with the same code."""

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
    seed: int
    """World seed."""
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
        """Counts a day.

        Args:
            day: what happened on the day.
            people: everybody on the platform so far.
            posts_for: the posts as incumbents and as newcomers get them, up to this day.
        """
        acts, traffic = Acts.of(self.world, self.seed, day, people, posts_for), day.traffic
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
    """The datasheet as values for JSON.

    Args:
        whence: the origin of the data set.
        tally: the counts over all its days.
        users: its frame of users.
        items: its frame of items.
        digest: sha256 of SHA256SUMS, and thereby of every file.
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
    """Number of incumbents among some users."""
    return int((users["cohort"] == "incumbent").sum())


def _rates(tally: Tally) -> dict[str, Any]:
    """Rates of all users and of each cohort; None if nothing was counted."""
    cohorts = {"all": slice(None), "incumbent": slice(0, 1), "newcomer": slice(1, 2)}
    return {name: _rates_of(tally, name, part) for name, part in cohorts.items()}


def _rates_of(tally: Tally, name: str, part: slice) -> dict[str, Any]:
    kinds = dict(zip(_KINDS, tally.kinds[part].sum(axis=0).tolist(), strict=True))
    shown = int(tally.impressions[part].sum())
    by_clicks = tally.visits_by_clicks[part].sum(axis=0)
    cohorts = _COHORTS if name == "all" else (name,)
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
    """Median, mean and 90th percentile of the clicks of a visit, over visits with a click.

    A percentile is the smallest number of clicks that this share of the visits does not exceed.
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
    """Counts of comments by users on posts that are not in their first language."""
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
    """The README.md of a data set, with numbers from its datasheet.

    Args:
        sheet: the datasheet, from `datasheet`.
    """
    parts = (_opening(sheet), _FILES, _numbers(sheet), _by_day(sheet), _origin(sheet), _LIMITS)
    return "\n".join(parts)


def _opening(sheet: dict[str, Any]) -> str:
    world, days = sheet["world"], sheet["days"]
    written = (
        "are events too" if sheet["impressions_written"] else "are counted here, but not written"
    )
    return f"""# {sheet["name"]}, arm {sheet["arm"]}, seed {sheet["seed"]}

This is the log of a **synthetic** platform of the kind `{world["platform"]["kind"]}` from
{days[0]["date"]} to {days[-1]["date"]}: its users, their posts, and what users do with the posts
they see. Day 0, {world["start"]}, is the first day of the influx. The house policy ranks the posts.
Impressions {written}. {sheet["licence"]}
"""


_FILES = """## Files

| file | a row is | columns |
|---|---|---|
| `users.parquet` | a person | user_id · cohort · joined (newcomers) · key · language (first, and of the app) · declared_language (which they say they read beside it; missing or wrong for many) |
| `items.parquet` | a published post | item_id · published · creator_id (a user_id) · key · topic · language · format · product_tag · subtitled |
| `events/DATE.parquet` | an event, in time order | user_id · item_id · timestamp (UTC) · kind · rank (1 = top of the visit's feed) · weight (how much interest it shows) |
| `datasheet.json` | – | all numbers below, more numbers, and the whole config of the world |
| `SHA256SUMS` | a file | `sha256sum -c SHA256SUMS` checks every file |

`key` names the same person or post in every arm of a world. Ids are row numbers of this run.

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
            ("users who post", counts["creators"], *counts["creators_by_cohort"].values()),
            *(
                (name.replace("_", " "), *(rates[cohort][name] for cohort in rates))
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

Rates are over all days of the log. Visits per person and day, and the share active a day, are
relative to the users who are there. Incumbents are always there, even if they have stopped coming.
Newcomers are there from their arrival to their departure.
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

The versions were {made}. The same command gives the same bytes with the same versions, for any
number of threads. Digest (sha256 of `SHA256SUMS`): `{sheet["digest"]}`.
"""


_LIMITS = """## Limits

Users behave as a model with assumed coefficients says (`world` in `datasheet.json`). The data show
what such a platform does, not what any real platform or person did. `items.parquet` also holds
posts that were too old to be shown when the log begins: they could be shown on earlier days, which
the log leaves out.
"""


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(map(_shown, line))} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{_shown(name)} {_shown(number)}" for name, number in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else escaped(str(value))


def escaped(text: str) -> str:
    """A text in a cell of a Markdown table, whatever it holds.

    >>> escaped("a | <b>")
    'a \\\\| &lt;b>'
    """
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


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
    """Tags without the prefix `version.`, and without those that MLflow reserves."""
    return {
        name.removeprefix("version."): value
        for name, value in tags.items()
        if not name.startswith("mlflow.")
    }
