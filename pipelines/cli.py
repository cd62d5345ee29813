"""The command `recsys`: the arguments of each subcommand NAME, which `pipelines/NAME.py` runs.

Each program is imported when it starts, so that help is printed at once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.program import Output
from pipelines.trust import Trust, words_of

_EXAMPLES = """\b
 .venv/bin/recsys run configs/demo.yaml seeds=8    after `make run`: a change
 .venv/bin/recsys train configs/train/als.yaml     one recommender, tested
 .venv/bin/recsys simulate configs/demo.yaml       a data set to train on"""


def _exit(code: int) -> None:
    """Makes the number that a program returns the exit code."""
    raise typer.Exit(code)


app = typer.Typer(
    name="recsys",
    help="How do feeds drift when newcomers arrive, and what keeps them stable?",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    result_callback=_exit,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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


@app.command()
def run(
    config: Config,
    changes: Changes = None,
    each: Annotated[
        bool, typer.Option("--each", help="Print the whole summary of each variant too.")
    ] = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Run a study: how much do newcomers change others' feeds?

    A config with variants is run once for each, and the variants are compared. Finished cells stay
    in data/cells, so that a study that was stopped continues from there.
    """
    output = _output(quiet, as_json, full)
    from pipelines.run import execute

    return execute(words_of(config, changes, trust), output, each=each)


@app.command()
def train(
    config: Config,
    changes: Changes = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Train one recommender and test it on what users liked later.

    The log is your own or that of a synthetic platform. A config to start from:
    configs/train/als.yaml
    """
    output = _output(quiet, as_json, full)
    from pipelines.train import execute

    return execute(words_of(config, changes, trust), output)


@app.command()
def tune(
    config: Config,
    changes: Changes = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Search for a recommender's hyper-parameters.

    Trials are judged on a validation part of the log. They stay in data/tuning, so that a search
    that was stopped, or one with more trials, continues from there. A config to start from:
    configs/tune/als.yaml
    """
    output = _output(quiet, as_json, full)
    from pipelines.tune import execute

    return execute(words_of(config, changes, trust), output)


def _seed(word: str | int) -> int:
    """The seed of a word, or of the default, which is a number already."""
    if not str(word).isdecimal() or int(word) >= 2**62:
        raise typer.BadParameter(f"{word} is not a whole number from 0 to 2**62 - 1")
    return int(word)


@app.command()
def simulate(
    config: Config,
    changes: Changes = None,
    arm: Annotated[
        Literal[
            "control", "influx", "placebo", "locals", "nudge", "nudge_3", "nudge_10", "placebo_2"
        ],
        typer.Option(help="Who arrives: newcomers, nobody, or people like the incumbents."),
    ] = "influx",
    seed: Annotated[
        int,
        typer.Option(parser=_seed, metavar="N", help="The seed of all random draws in the world."),
    ] = 0,
    impressions: Annotated[
        bool,
        typer.Option("--impressions", help="Write impressions too: about ten times as many rows."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder; data/NAME-ARM-seed-SEED by default."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a data set in that folder.")
    ] = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Write a synthetic platform's log as a data set.

    Users, items and events become Parquet files, with a datasheet. The house policy ranks the
    posts; the config's recommenders are not used.
    """
    output = _output(quiet, as_json)
    from pipelines.simulate import execute

    return execute(
        words_of(config, changes, trust),
        output,
        arm,
        seed,
        impressions=impressions,
        out=out,
        force=force,
    )


@app.command()
def evaluate(
    a: Annotated[
        str,
        typer.Option(metavar="FILE", help="The reference feeds, such as those before a change."),
    ],
    b: Annotated[str, typer.Option(metavar="FILE", help="The feeds under test.")],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A second realisation of A; its drift from A is the floor. Without it, the floor "
            "is A's drift from one day to the next.",
        ),
    ] = None,
    users: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A table of users: user_id, cohort, attributes to group by."
        ),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A table of items: item_id, attributes (language, format, topic …), creator_id "
            "or creator_cohort, popularity, embedding.",
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(metavar="N", help="Number of ranks to compare; by default all."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(metavar="OURS=THEIRS...", help="Your names of our columns."),
    ] = None,
    cohort: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column of users that holds their cohort.")
    ] = "cohort",
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...", help="Columns of items to measure mixes of: NAME or NAME=COLUMN."
        ),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN...",
            help="Columns of users to split the headline by; numbers are cut into thirds.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="The name of the results.")] = "feeds",
    experiment: Annotated[
        str, typer.Option(metavar="NAME", help="The MLflow experiment.")
    ] = "recsys",
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Do not log to MLflow.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Compare two sets of feeds that you have served: B with A.

    It shows how far B's feeds are from A's, beyond what changes anyway. Files are Parquet or CSV
    with a row for each slot: user_id, rank (1 = top), item_id and, optionally, day and score.
    """
    output = _output(quiet, as_json, full)
    from pipelines.evaluate import execute

    frames = {"a": a, "b": b, "reference": reference, "users": users, "items": items}
    return execute(
        {name: path for name, path in frames.items() if path is not None},
        output,
        k=k,
        columns=columns or (),
        cohort=cohort,
        attributes=attributes or (),
        groups=groups or (),
        name=name,
        experiment=experiment,
        tracking=not no_tracking,
    )


@app.command()
def feed(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="The folder that `recsys train` wrote, or its MLflow run's id."
        ),
    ],
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id, as in the log.")],
    k: Annotated[int, typer.Option(metavar="K", help="Number of slots.")] = 20,
    as_json: Json = False,
) -> int:
    """Print one user's feed from a trained model."""
    from pipelines.feed import execute

    return execute(run, user, k, Output(as_json=as_json))


@app.command()
def describe(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE... [ours=theirs ...]",
            help="Events and, optionally, users and items, as Parquet or CSV; and your names of "
            "our columns: user_id=member",
            show_default=False,
        ),
    ],
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Where days begin, such as Asia/Shanghai.")
    ] = "UTC",
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Say what a log holds, and who its newcomers may be.

    Rows, kinds of events, arrivals of users, lines to paste into a config, how much of the
    newcomers' activity a study could match, and which recommenders can run on the log.
    """
    output = _output(quiet, as_json, full)
    from pipelines.describe import execute

    return execute(words, output, timezone=timezone)


@app.command()
def compare(
    first: Annotated[
        str, typer.Argument(metavar="STUDY", help="The folder of a study that `run` wrote.")
    ],
    second: Annotated[str, typer.Argument(metavar="STUDY", help="The folder of another.")],
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Do not log to MLflow.")
    ] = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Compare two studies of the same world or log.

    Differences with intervals, by recommender and measure, paired over users and seeds. Studies
    of different worlds or logs are refused.
    """
    output = _output(quiet, as_json, full)
    from pipelines.compare import execute

    return execute(first, second, output, tracking=not no_tracking, trust=trust)


@app.command()
def validate(
    config: World = None,
    changes: Changes = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Compare a simulated platform with figures of real ones.

    The config is configs/validate.yaml if none is named. Finished parts stay in data/validations,
    so that a validation that was stopped continues from there.
    """
    output = _output(quiet, as_json, full)
    from pipelines.validate import execute

    return execute(words_of(config, changes, trust), output)


@app.command()
def prove(
    config: World = None,
    changes: Changes = None,
    parts: Annotated[
        str,
        typer.Option(metavar="PART,PART", help="Run only these parts; an unknown name lists all."),
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="A quick test that it runs; the figures mean nothing.")
    ] = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Check the tool's own figures where the truth is known.

    The config is configs/prove.yaml if none is named. Finished parts stay in data/proofs, so that
    a proof that was stopped continues from there.
    """
    output = _output(quiet, as_json, full)
    from pipelines.prove import execute

    return execute(words_of(config, changes, trust), output, parts=parts, quick=quick)


@app.command()
def schema(
    of: Annotated[
        Literal["study", "training"], typer.Argument(help="Which kind of config.")
    ] = "study",
) -> int:
    """Print the JSON schema of config files, for editors."""
    from pipelines.schema import execute

    return execute(of)


@app.command()
def ui(
    port: Annotated[int, typer.Option(metavar="N", help="The port of the pages.")] = 5000,
) -> int:
    """Browse the runs with MLflow, on this machine only."""
    from pipelines.ui import execute

    return execute(port)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand.

    Args:
        argv: words after `recsys`, such as `["run", "configs/demo.yaml"]`; None takes them from
            the command line.

    Returns:
        The exit code: 0 done · 1 done, but MLflow did not take it · 2 a mistake that the user can
        mend · 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        app(_spread(words), prog_name="recsys")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def script() -> int:
    """The console command; it finds modules of the working directory only with `--trust-config`."""
    return main()


def _output(quiet: bool, as_json: bool, full: bool = False) -> Output:
    if quiet + as_json + full > 1:
        raise typer.BadParameter(
            "--quiet, --json and --full exclude one another; give one of them."
        )
    return Output(quiet, as_json, full)


_SEVERAL = ("--columns", "--attributes", "--groups")


def _spread(words: Sequence[str]) -> list[str]:
    """Turns `--groups a b` into `--groups a --groups b`, as typer takes several values.

    >>> _spread(["evaluate", "--groups", "age", "city", "--k", "5"])
    ['evaluate', '--groups', 'age', '--groups', 'city', '--k', '5']
    """
    if words[:1] != ["evaluate"]:
        return list(words)
    spread: list[str] = []
    option = None
    for word in words:
        if option is not None and not word.startswith("-") and spread[-1] != option:
            spread.append(option)
        elif word.startswith("-"):
            option = word if word in _SEVERAL else None
        spread.append(word)
    return spread


if __name__ == "__main__":
    sys.exit(main())
