"""What a log holds, on the terminal and as a page."""

from collections.abc import Iterator
from datetime import date

from rich.console import Console

from pipelines.report.console import print_section
from pipelines.report.headline import DASH, number
from pipelines.report.plain_page import BARS, Bar
from pipelines.report.section import Section
from recsys.statistics.matching import LEAST_EVENTS
from recsys.study.describe import LogDescription

_BAR = 40
"""Columns of the longest bar."""
_MOST_BARS = 31
_PERIODS = {1: "day", 7: "week", 30: "30 days"}


def described_sections(name: str, found: LogDescription) -> Iterator[Section]:
    """The parts of a description.

    Args:
        name: name of the log.
        found: the description.
    """
    log = found.log
    span = "without times" if found.span is None else "from {} to {}".format(*found.span)
    yield Section(
        f"{name}: {log.dense.height:,} events, {log.n_users:,} users, {log.n_items:,} items, "
        f"{span}",
        ("kind", "rows"),
        tuple((str(kind), f"{rows:,}") for kind, rows in found.kinds.iter_rows()),
        tuple(
            f"{count:,} {what}"
            for what, count in log.cleaning.items()
            if count and what not in ("rows", "rows kept")
        ),
    )
    if found.arrivals.height:
        yield _arrivals(found)
    yield Section("Is there a wave of newcomers?", lines=(_wave(found),))
    yield Section(
        "Who may be the newcomers?  (% of users and of clicks, and of these how much is matched)",
        ("newcomers:", "users", "%", "clicks", "matched"),
        tuple(
            (
                proposal.line,
                f"{proposal.users:,}",
                number(proposal.share),
                number(proposal.events),
                DASH if proposal.matched is None else number(proposal.matched, digits=0),
            )
            for proposal in found.proposals
        ),
        (
            "matched: % of the newcomers' clicks for which a study finds long-time users who",
            f"did as much; below {100 * LEAST_EVENTS:.0f} a study says: not testable",
        )
        if found.proposals
        else ("Neither times nor columns of users tell; give a condition on the users' columns.",),
    )
    able = [name for name, why in found.recommenders.items() if not why]
    yield Section(
        "Which recommenders can run on it, and fit in memory?",
        lines=(
            ", ".join(able),
            *(f"not {name}: {why}" for name, why in found.recommenders.items() if why),
        ),
    )
    if found.suggestion.reasons:
        yield Section(
            "What do the columns mean?  (as the config below says)", lines=found.suggestion.reasons
        )
    if found.hints:
        yield Section("What else the columns may tell", lines=found.hints)


def _arrivals(found: LogDescription) -> Section:
    """Users first seen in each period, with bars; long logs are cut to what fits a screen."""
    days = int(found.arrivals["days"][0])
    bars = bars_of(found)
    most = max((bar.value for bar in bars), default=0) or 1
    lines = [
        f"{bar.name}  {bar.value:>8,}  {'█' * round(_BAR * bar.value / most)}"
        f"{'  wave' if bar.marked else ''}".rstrip()
        for bar in bars[:_MOST_BARS]
    ]
    if len(bars) > _MOST_BARS:
        lines.append(f"({len(bars) - _MOST_BARS} more periods are on the page)")
    return Section(f"{BARS}  (by {_PERIODS[days]})", lines=tuple(lines))


def _in_wave(found: LogDescription, day: date) -> bool:
    if found.arrived is None:
        return False
    return found.arrived <= day <= (found.ended or date.max)


def _wave(found: LogDescription) -> str:
    if found.wave is None:
        return f"No: {found.no_wave.rstrip('.')}."
    return f"Yes, from {found.arrived} on: {found.wave.evidence}."


def print_described(
    console: Console, sections: Iterator[Section], config: str, *, full: bool = False
) -> None:
    """Prints a description, and a config to start from.

    Args:
        console: the console to print to.
        sections: of `described_sections`.
        config: YAML.
        full: whether all rows are printed.
    """
    for section in sections:
        print_section(console, section, 50, full=full)
    console.print("To start from  (as my.yaml, with .venv/bin/recsys run my.yaml)", style="bold")
    console.print(config, soft_wrap=True)
    console.print()


def bars_of(found: LogDescription) -> tuple[Bar, ...]:
    """The arrivals as bars of a page.

    Args:
        found: the description.
    """
    return tuple(
        Bar(str(row["from"]), row["first_seen"], _in_wave(found, row["from"]))
        for row in found.arrivals.iter_rows(named=True)
    )
