"""What the options of the command mean: their types and help, shared by the subcommands."""

from collections.abc import Sequence
from typing import Annotated

import typer

from pipelines.program import Output

Config = Annotated[
    str, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/demo.yaml.")
]
World = Annotated[
    str | None,
    typer.Argument(metavar="CONFIG", help="A YAML file with a world.", show_default=False),
]
Changes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="key=value",
        help="Changes to the config, with dots for nested keys: seeds=8 evaluation.k=10",
        show_default=False,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print only errors and, at the end, the folder.")
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON object: name, folder, MLflow run, headline, verdict."
    ),
]
Full = Annotated[bool, typer.Option("--full", help="Print every table, with all its rows.")]


# Of `recsys evaluate`
FeedsA = Annotated[
    str,
    typer.Option(metavar="FILE", help="The reference feeds, such as those before a change."),
]
FeedsB = Annotated[str, typer.Option(metavar="FILE", help="The feeds under test.")]
Reference = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A second realisation of A; its drift from A is the floor. Without it, the floor "
        "is A's drift from one day to the next.",
    ),
]
Users = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A table of users: user_id, cohort, attributes to group by."),
]
Items = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A table of items: item_id, attributes (language, format, topic …), creator_id "
        "or creator_cohort, popularity, embedding.",
    ),
]
Ranks = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of ranks to compare; by default all."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(metavar="OURS=THEIRS...", help="Your names of our columns."),
]
Cohort = Annotated[
    str, typer.Option(metavar="COLUMN", help="The column of users that holds their cohort.")
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME...", help="Columns of items to measure mixes of: NAME or NAME=COLUMN."
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN...",
        help="Columns of users to split the headline by; numbers are cut into thirds.",
    ),
]
Name = Annotated[str, typer.Option(help="The name of the results.")]
Experiment = Annotated[str, typer.Option(metavar="NAME", help="The MLflow experiment.")]
NoTracking = Annotated[bool, typer.Option("--no-tracking", help="Do not log to MLflow.")]


def parse_seed(word: str | int) -> int:
    """The seed of a word, or of the default, which is a number already."""
    if not str(word).isdecimal() or int(word) >= 2**62:
        raise typer.BadParameter(f"{word} is not a whole number from 0 to 2**62 - 1")
    return int(word)


def output_of(quiet: bool, as_json: bool, full: bool = False) -> Output:
    """How much is printed, for the options --quiet, --json and --full."""
    if quiet + as_json + full > 1:
        raise typer.BadParameter(
            "--quiet, --json and --full exclude one another; give one of them."
        )
    return Output(quiet, as_json, full)


_SEVERAL = ("--columns", "--attributes", "--groups")


def spread(words: Sequence[str]) -> list[str]:
    """Turns `--groups a b` into `--groups a --groups b`, as typer takes several values.

    >>> spread(["evaluate", "--groups", "age", "city", "--k", "5"])
    ['evaluate', '--groups', 'age', '--groups', 'city', '--k', '5']
    """
    if words[:1] != ["evaluate"]:
        return list(words)
    found: list[str] = []
    option = None
    for word in words:
        if option is not None and not word.startswith("-") and found[-1] != option:
            found.append(option)
        elif word.startswith("-"):
            option = word if word in _SEVERAL else None
        found.append(word)
    return found
