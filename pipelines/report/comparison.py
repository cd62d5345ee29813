"""The variants of a study side by side: what the influx did to each recommender in each."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pipelines.report.headline import Headline, interval, name_of, number
from pipelines.report.log import removal
from pipelines.report.net import net_section
from pipelines.report.section import Section
from pipelines.report.sensitivity import sensitivity_sections
from pipelines.report.world import english, luck, measured, people, words
from recsys.config import OwnLog, Study, World


def comparison_sections(variants: Mapping[str, Headline]) -> Iterator[Section]:
    """The parts of the comparison; each table has a row for each recommender and variant.

    A study with a `reference` gets another comparison: whether the conclusions of the reference
    hold in the other variants.

    Args:
        variants: figures of each variant, by its name.
    """
    worlds = {
        name: figures
        for name, figures in variants.items()
        if isinstance(figures.result.study.source, World)
    }
    logs = {name: figures for name, figures in variants.items() if name not in worlds}
    yield _opening([figures.result.study for figures in variants.values()])
    reference = next(iter(variants.values())).result.study.reference
    if reference is not None and worlds:
        yield from sensitivity_sections(worlds, reference)
        return
    if worlds:
        yield _across(worlds, _slots)
        if any(figures.has("utility") for figures in worlds.values()):
            yield _across(worlds, _mix_and_utility)
        lines = (line for f in worlds.values() for line in words(f, f.variants).lines)
        yield Section("", lines=tuple(dict.fromkeys(lines)))
    if logs:
        yield _across(logs, removal)


def _opening(studies: Sequence[Study]) -> Section:
    """What all variants share; their configs say in what they differ."""
    title = f"{studies[0].group}: {len(studies)} variants"
    if any(isinstance(study.source, OwnLog) for study in studies):
        return Section(title)
    shared = [
        next(iter(texts))
        for fact in (people, measured, luck)
        if len(texts := {fact(study) for study in studies}) == 1
    ]
    return Section(title, lines=tuple(shared))


def _across(variants: Mapping[str, Headline], table: Callable[[Headline], Section]) -> Section:
    """One table of all variants, which has below each recommender a row for each variant.

    Args:
        variants: figures of each variant, by its name.
        table: makes the table of one variant, with a row for each recommender in config order.
    """
    tables = {name: table(figures) for name, figures in variants.items()}
    title, columns, _, lines = next(iter(tables.values()))
    rows: list[tuple[str, ...]] = []
    for recommender in dict.fromkeys(row for f in variants.values() for row in f.variants):
        rows.append((name_of(recommender), *[""] * (len(columns) - 1)))
        for name, figures in variants.items():
            if recommender in figures.variants:
                first, *cells = tables[name].rows[figures.variants.index(recommender)]
                marks = first.removeprefix(name_of(recommender))
                rows.append((f"  {name}{marks}", *cells))
    return Section(title, columns, tuple(rows), lines)


def _slots(figures: Headline) -> Section:
    return net_section(figures, figures.variants)


def _mix_and_utility(figures: Headline) -> Section:
    rows = []
    for recommender in figures.variants:
        net = figures.net(recommender)
        rows.append(
            (
                name_of(recommender),
                english(figures, recommender),
                interval(net, "english"),
                number(figures.drift(recommender, "language_format").get("influx")),
                number(figures.level(recommender, "control", "utility")),
                interval(net, "utility"),
                number(figures.level(recommender, "influx", "utility", "newcomer")),
            )
        )
    return Section(
        "How did the mix and the utility of long-time users' feeds change?",
        ("recommender", "English", "points", "mix", "utility", "change", "newcomers get"),
        tuple(rows),
        (
            "English: % of slots, without → with the influx; points: the difference. mix: % of "
            "slots of another language or format.",
            "utility: clicks per 100 looks without the influx. change: what the influx adds to it, "
            "in %.",
        ),
    )
