"""Says what a log holds: `recsys describe FILE… [ours=theirs …]`.

It reads the files, tells events, users and items apart by their columns, prints rows, arrivals and
ways to say who the newcomers are, and writes the same as a page.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl
from rich.console import Console

from pipelines.program import Outcome, Output, carried_out, way_in
from pipelines.report.described import bars_of, described_sections, print_described
from pipelines.report.plain_page import plain_page
from pipelines.storage.digests import files_digest
from pipelines.storage.files import whole, written_in
from pipelines.tracking.background import leave
from recsys.core.errors import ConfigError
from recsys.logs.frames import ID_COLUMNS, read_frame, read_frames, renamed
from recsys.study.describe import LogDescription, describe_log, named

DESCRIPTIONS = Path("data/descriptions")
_OTHERWISE = "recsys describe path/to/FILE"

_PLAIN = re.compile(r"(?!(true|false|yes|no|on|off|null|y|n)$)[a-z_][a-z0-9_]*", re.IGNORECASE)
"""Words that YAML reads as the text that they are."""

main = way_in("describe")


def execute(words: Sequence[str], output: Output, *, timezone: str = "UTC") -> int:
    """Describes a log.

    Args:
        words: files, and names of columns such as `user_id=member`.
        output: how much is printed.
        timezone: zone in which days begin.

    Returns:
        The exit code.
    """
    return carried_out(lambda: _describe(words, output, timezone), output)


def _describe(words: Sequence[str], output: Output, timezone: str) -> Outcome:
    files = [word for word in words if "=" not in word or Path(word).is_file()]
    columns = dict(word.split("=", 1) for word in words if word not in files)
    if not files:
        raise ConfigError("describe: name a Parquet or CSV file with the events of a log")
    frames, taken, others = frames_of(files, columns)
    paths = {role: path for role, (path, _) in frames.items()}
    found = describe_log(
        *(frames[role][1] if role in frames else None for role in ("events", "users", "items")),  # type: ignore[arg-type]
        timezone=timezone,
    )
    name = _name_of(Path(paths["events"]))
    config = config_of(name, paths, taken, timezone, found)
    config = "\n".join([*(f"# first, {what}" for what in others), config])
    folder = DESCRIPTIONS / f"{name}-{files_digest(paths)[:12]}"
    with written_in(folder), whole(folder / "description.html") as part:
        sections = tuple(described_sections(name, found))
        page = plain_page(name, sections, bars=bars_of(found), code=config)
        part.write_text(page, encoding="utf-8")

    def show(console: Console) -> None:
        print_described(console, described_sections(name, found), config, full=output.full)
        console.print(f"Page    {folder / 'description.html'}", soft_wrap=True)

    proposals = [asdict(proposal) for proposal in found.proposals]
    more = {
        "columns": {**taken, **found.suggestion.columns},
        "recommenders": dict(found.recommenders),
        "no_wave": found.no_wave,
        "config": config,
    }
    return Outcome(name, folder, proposals, show, more=more)


def _name_of(events: Path) -> str:
    """A name for the log: that of its file or, where this says nothing, that of its folder."""
    plain = events.stem.lower() in ("events", "interactions", "log", "data", "ratings")
    return (events.absolute().parent.name if plain else events.stem).replace(" ", "-")


def frames_of(
    files: Sequence[str], columns: Mapping[str, str]
) -> tuple[dict[str, tuple[str, pl.DataFrame]], dict[str, str], list[str]]:
    """Reads files, and tells by their columns which is which.

    Args:
        files: paths of the files, in any order.
        columns: the files' name of a column by ours; likely names are found without it.

    Returns:
        Path and frame, with our names of columns, by role: "events", "users" or "items"; the files'
        names of the columns that were renamed, by ours; and what a config cannot rename, since
        another file has another name for the same.

    Raises:
        ConfigError: a file has neither ids of users nor of items, two have the same role, or none
            holds events.
    """
    frames: dict[str, tuple[str, pl.DataFrame]] = {}
    taken, others = dict(columns), []
    first = {file: read_frame(file, "describe", _OTHERWISE) for file in files}
    ids = [name for frame in first.values() for name in _ids(frame.columns, columns)]
    paths = {str(place): file for place, file in enumerate(files)}
    again = read_frames(paths, list(dict.fromkeys(ids)), {}, "describe", _OTHERWISE)
    read = dict(zip(files, again.values(), strict=True))
    if columns:
        read = renamed(read, columns, "describe")
    for file, given in read.items():
        guessed = named(given.columns)
        if _role([*given.columns, *guessed]) != "events":
            guessed.pop("timestamp", None)
        frame = given.rename({theirs: ours for ours, theirs in guessed.items()})
        for ours, theirs in guessed.items():
            if taken.setdefault(ours, theirs) != theirs:
                others.append(f"in {file}, rename {theirs} to {ours}")
        role = _role(frame.columns)
        if role is None:
            raise ConfigError(
                f"describe: {file} has neither user_id nor item_id; its columns are "
                f"{', '.join(given.columns)}. Say which is which: user_id=COLUMN item_id=COLUMN"
            )
        if role in frames:
            raise ConfigError(
                f"describe: {frames[role][0]} and {file} both look like {role}: events have "
                "user_id and item_id, users and items one of them. Say which columns these are: "
                "user_id=COLUMN item_id=COLUMN"
            )
        frames[role] = (file, frame)
    if "events" not in frames:
        have = "; ".join(f"{file}: {', '.join(frame.columns)}" for file, frame in read.items())
        raise ConfigError(
            f"describe: no file has both user_id and item_id, so there are no events ({have}). Say "
            "which columns these are: user_id=COLUMN item_id=COLUMN"
        )
    return frames, taken, others


def _ids(names: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    """The columns of a file that hold ids, as the file calls them."""
    known = {**named(list(names)), **columns}
    return [known.get(ours, ours) for ours in ID_COLUMNS]


def _role(columns: Sequence[str]) -> str | None:
    has_user, has_item = "user_id" in columns, "item_id" in columns
    if has_user and has_item:
        return "events"
    return "users" if has_user else "items" if has_item else None


def config_of(
    name: str,
    paths: Mapping[str, str],
    columns: Mapping[str, str],
    timezone: str,
    found: LogDescription,
) -> str:
    """A config for the log as YAML, with the first of the ways to say who is new.

    Args:
        name: name of the study.
        paths: files by role.
        columns: the files' names of columns, by ours.
        timezone: zone in which days begin.
        found: the description.
    """
    lines = [f"name: {name}", "log:", *(f"  {role}: {path}" for role, path in paths.items())]
    suggestion = found.suggestion
    mappings: dict[str, Mapping[str, object]] = {
        "columns": {**columns, **suggestion.columns},
        "kinds": suggestion.kinds,
        "cancels": suggestion.cancels,
        "weights": suggestion.weights,
        "attributes": suggestion.attributes,
    }
    lines += [f"  {key}: {_in_yaml(values)}" for key, values in mappings.items() if values]
    if timezone != "UTC":
        lines.append(f"  timezone: {timezone}")
    line = found.proposals[0].line if found.proposals else "…   # an SQL condition on the users"
    lines += [
        f"  newcomers: {line}",
        "recommenders: [trending, item_knn]",
        f"evaluation: {{panel: {found.panel}}}",
        "seeds: 1   # a log has one history; these recommenders do not depend on a seed",
    ]
    return "\n".join(lines)


def _in_yaml(values: Mapping[str, object]) -> str:
    """A mapping in one line; texts that are no plain words are quoted, as JSON is."""
    return f"{{{', '.join(f'{_word(key)}: {_word(value)}' for key, value in values.items())}}}"


def _word(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    leave(main())
