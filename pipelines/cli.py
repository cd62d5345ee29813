"""The command `recsys`: what each subcommand takes; `pipelines/NAME.py` has what it does.

Programs are imported where they start, so that help comes at once.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.program import Output

_EXAMPLES = """\b
Examples, after `make run`:
  .venv/bin/recsys run configs/demo.yaml seeds=8      a study, with a change
  .venv/bin/recsys train configs/train/als.yaml       one recommender, tested
  .venv/bin/recsys simulate configs/demo.yaml         a data set to train on"""


def _exit(code: int) -> None:
    """What a program returns is the exit code."""
    raise typer.Exit(code)


app = typer.Typer(
    name="recsys",
    help="How much do feeds drift when newcomers arrive, why, and what keeps them stable?",
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
        help="Changes to the config, dots for nested keys: seeds=8 evaluation.k=10",
        show_default=False,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print nothing but errors and, at the end, the folder.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object: name, folder, MLflow run, headline.")
]
Full = Annotated[bool, typer.Option("--full", help="Print every row of long tables.")]


@app.command()
def run(
    config: Config,
    changes: Changes = None,
    each: Annotated[
        bool, typer.Option("--each", help="Print the whole summary of each variant too.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Run a study: how far do newcomers move the feeds of others?

    A config with variants is run once for each, and they are compared. Finished cells stay in
    data/cells: a study that was stopped goes on from there.
    """
    output = _output(quiet, as_json, full)
    from pipelines.run import execute

    return execute([config, *(changes or ())], output, each=each)


@app.command()
def train(
    config: Config,
    changes: Changes = None,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Train one recommender and test it on what people liked later.

    The log is that of a synthetic platform or your own. A config: configs/train/als.yaml
    """
    output = _output(quiet, as_json, full)
    from pipelines.train import execute

    return execute([config, *(changes or ())], output)


@app.command()
def tune(
    config: Config,
    changes: Changes = None,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Search for a recommender's hyper-parameters.

    Trials are judged on a validation part of the log and stay in data/tuning: a search that was
    stopped goes on from there, and so does one with more trials. A config: configs/tune/als.yaml
    """
    output = _output(quiet, as_json, full)
    from pipelines.tune import execute

    return execute([config, *(changes or ())], output)


def _seed(given: str | int) -> int:
    """From a word; the default comes through here too."""
    if not str(given).isdecimal() or int(given) >= 2**62:
        raise typer.BadParameter(f"{given} is no whole number of 0 to 2**62 - 1")
    return int(given)


@app.command()
def simulate(
    config: Config,
    changes: Changes = None,
    arm: Annotated[
        Literal["control", "influx", "placebo", "placebo_2"], typer.Option(help="Who arrives.")
    ] = "influx",
    seed: Annotated[
        int, typer.Option(parser=_seed, metavar="N", help="Draws everybody's luck.")
    ] = 0,
    impressions: Annotated[
        bool,
        typer.Option(
            "--impressions", help="Write what was shown too: about ten times as many rows."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to; data/NAME-ARM-seed-SEED by default."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a data set that is there.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Write a synthetic platform's log as a data set.

    Users, items and events are Parquet files, with a datasheet. The house policy serves, whatever
    the config's recommenders.
    """
    output = _output(quiet, as_json)
    from pipelines.simulate import execute

    return execute(
        [config, *(changes or ())], output, arm, seed, impressions=impressions, out=out, force=force
    )


@app.command()
def evaluate(
    a: Annotated[
        str, typer.Option(metavar="FILE", help="The reference feeds: before, or control.")
    ],
    b: Annotated[str, typer.Option(metavar="FILE", help="The feeds under test.")],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A second realisation of A, whose drift from A is the floor; without it, A's "
            "turnover from day to day is.",
        ),
    ] = None,
    users: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="user_id, cohort, attributes to group by."),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="item_id, attributes (language, format, topic …), creator_id or creator_cohort, "
            "popularity, embedding.",
        ),
    ] = None,
    k: Annotated[
        int | None, typer.Option(metavar="N", help="Ranks to compare; the deepest feed's if none.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(metavar="OURS=THEIRS...", help="Your names of columns."),
    ] = None,
    cohort: Annotated[
        str, typer.Option(metavar="COLUMN", help="The users' column of cohorts.")
    ] = "cohort",
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...", help="Items' columns to measure mixes by: NAME or NAME=COLUMN."
        ),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN...",
            help="Users' columns to break the headline down by; numbers are cut into thirds.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What the results are filed under.")] = "feeds",
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
    """Compare feeds that you have served: B's with A's.

    It says how far B's feeds are from A's, beyond what moves anyway. Frames are Parquet or CSV, a
    row a slot: user_id, rank (1 = top), item_id and, where there are any, day and score.
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
            metavar="RUN", help="The folder that `train` wrote, or the id of its MLflow run."
        ),
    ],
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id, as in the log.")],
    k: Annotated[int, typer.Option(metavar="K", help="How many slots.")] = 20,
    as_json: Json = False,
) -> int:
    """Print one user's feed from a trained model."""
    from pipelines.feed import execute

    return execute(run, user, k, Output(as_json=as_json))


@app.command()
def validate(
    config: World = None,
    changes: Changes = None,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Check a platform against what is known of real ones.

    The config is configs/validate.yaml if none is named. Parts that are done stay in
    data/validations: what was stopped goes on from there.
    """
    output = _output(quiet, as_json, full)
    from pipelines.validate import execute

    return execute([*filter(None, [config]), *(changes or ())], output)


@app.command()
def prove(
    config: World = None,
    changes: Changes = None,
    parts: Annotated[
        str,
        typer.Option(metavar="PART,PART", help="Some of the parts; an unknown one lists them."),
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Check that it runs, not what it finds.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Check the tool's own figures where the truth is known.

    The config is configs/prove.yaml if none is named. Parts that are done stay in data/proofs:
    what was stopped goes on from there.
    """
    output = _output(quiet, as_json, full)
    from pipelines.prove import execute

    return execute([*filter(None, [config]), *(changes or ())], output, parts=parts, quick=quick)


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
    port: Annotated[int, typer.Option(metavar="N", help="Where the pages are served.")] = 5000,
) -> int:
    """Browse the runs with MLflow, on this machine only."""
    from pipelines.ui import execute

    return execute(port)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand.

    Args:
        argv: words after `recsys`, such as `["run", "configs/demo.yaml"]`; None for those of this
            process.

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
    """The console command: modules in the working directory are found, as by `python -m`."""
    if not sys.flags.safe_path:
        sys.path.insert(0, os.getcwd())
    return main()


def _output(quiet: bool, as_json: bool, full: bool = False) -> Output:
    if quiet + as_json + full > 1:
        raise typer.BadParameter("--quiet, --json and --full exclude one another; give one.")
    return Output(quiet, as_json, full)


_SEVERAL = ("--columns", "--attributes", "--groups")


def _spread(words: Sequence[str]) -> list[str]:
    """`--groups a b` as `--groups a --groups b`, which is how typer takes several values.

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
