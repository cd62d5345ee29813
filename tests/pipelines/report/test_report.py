"""The summary in the terminal: what it says, and that it fits."""

import dataclasses
import io
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

import recsys
from pipelines.report.appendix import appendix_sections
from pipelines.report.headline import Headline, interval, number
from pipelines.report.terminal import page_of, print_run, print_summary, print_whereabouts
from pipelines.report.world import in_order, world_sections
from pipelines.storage.cells import CellStore
from pipelines.tracking.tracker import Recorded
from pipelines.tracking.views import views_of
from recsys.logs.newcomers import ARRIVALS
from recsys.statistics.arrivals import Wave
from recsys.study.arms.by_exposure import EXPOSED
from recsys.study.result import StudyResult
from recsys.study.tables.life import over_days, over_seeds
from tests.kit.tiny import with_days


def _printed(result: StudyResult, *, full: bool = True, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, emoji=False, markup=False)
    print_summary(console, result, recsys.verdict(result), full=full)
    return console.file.getvalue()  # type: ignore[attr-defined]


def _with_drift(
    result: StudyResult,
    recommender: str,
    measure: str = "slots_changed",
    **values: float | bool | None,
) -> StudyResult:
    """The result with some columns of one recommender's measure replaced; p needs no adjustment."""
    if "p_value" in values:
        values = {"p_adjusted": values["p_value"], **values}
    chosen = (pl.col("recommender") == recommender) & (pl.col("measure") == measure)
    columns = [
        pl.when(chosen).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    ]
    return result.with_tables(drift=result.drift.with_columns(columns))


def _testable(result: StudyResult, **values: float | bool) -> StudyResult:
    """The result as if all newcomers had been matched, but for what `values` says."""
    all_of_it = {"matched": True, "share": 1.0, "newcomers": 10, "newcomers_tested": 10, **values}
    return result.with_tables(matching=result.matching.with_columns(**all_of_it))


def _with_net(result: StudyResult, recommender: str, **values: float | None) -> StudyResult:
    """The result with some columns of one recommender in the table `headline` replaced."""
    columns = [
        pl.when(recommender=recommender).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    ]
    return result.with_tables(headline=result.headline.with_columns(columns))


def _net_of(result: StudyResult, recommender: str) -> dict[str, float]:
    chosen = result.headline.filter(pl.col("day").is_null(), recommender=recommender, group="all")
    return chosen.row(0, named=True)


def _appendix(result: StudyResult) -> str:
    """The appendix as plain text."""
    figures = Headline(result)
    sections = appendix_sections(figures, in_order(figures))
    return "\n".join(line for s in sections for line in (s.title, *map(" ".join, s.rows), *s.lines))


def test_world_fits_two_screens(world_result: StudyResult) -> None:
    lines = _printed(world_result).splitlines()
    assert len(lines) <= 98
    assert max(len(line) for line in lines) <= 100


def test_how_many_gain_and_lose(world_result: StudyResult) -> None:
    """Against the retrain arm, if there is one: the same training seed."""
    lines = _printed(world_result).splitlines()
    start = lines.index("How many users gain, how many lose?  (% of long-time users)")
    shown = {line.split()[0]: line.split()[1:4] for line in lines[start + 2 : start + 4]}
    whole = world_result.wins.filter(pl.col("day").is_null(), measure="utility")
    for recommender, against in (("trending", "control"), ("als", "retrain")):
        row = whole.filter(recommender=recommender, against=against).row(0, named=True)
        expected = [f"{100 * row[name]:.1f}" for name in ("wins", "losses", "ties")]
        assert shown[recommender] == expected
    als = whole.filter(recommender="als")
    assert als.filter(against="retrain")["wins"][0] != als.filter(against="control")["wins"][0]


def test_how_attention_is_spread(world_result: StudyResult) -> None:
    lines = _printed(world_result).splitlines()
    (title,) = (line for line in lines if line.startswith("How is long-time users' attention"))
    row = next(line for line in lines[lines.index(title) :] if line.startswith("als"))
    whole = world_result.exposure.filter(
        pl.col("day").is_null(), recommender="als", measure="gini_posts", cohort="incumbent"
    )
    gini = dict(whole.select("arm", "mean").iter_rows())
    assert f"{100 * gini['control']:.1f} → {100 * gini['influx']:.1f}" in row
    share = world_result.summary.filter(
        pl.col("day").is_null(),
        recommender="als",
        arm="influx",
        measure="newcomer_share",
        cohort="incumbent",
    )["mean"][0]
    assert row.split()[-1] == f"{100 * share:.1f}"


def test_whose_feeds_change_most_if_asked(world_result: StudyResult, finished: Path) -> None:
    assert "Whose feeds change most?" not in _printed(world_result)
    study = recsys.load_study(
        finished / "tiny.yaml", ["evaluation.groups=[posts,main_topic,activity]"]
    )
    result = recsys.run(study, store=CellStore(study, finished / "data/cells"))
    lines = _printed(result).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Whose feeds change most?"))
    table = lines[start : lines.index("", start)]
    assert len(table) <= 28
    assert table[-1] == "The rest is in report.html and groups.csv."
    first = table[2].split()[0]
    row = result.groups.filter(
        recommender=first, attribute="posts", group="false", measure="posts"
    ).row(0, named=True)
    assert table[3].split()[:4] == [
        "posts",
        "false",
        str(row["n_users"]),
        f"{100 * row['total']:.1f}",
    ]
    whole = next(
        s for s in world_sections(Headline(result), whole=True) if "change most" in s.title
    )
    pairs = result.groups.select("recommender", "attribute", "group").unique().height
    assert len(whole.rows) == pairs + 2
    assert whole.lines == ()


def test_life_without_and_with_the_influx(world_result: StudyResult) -> None:
    lines = _printed(world_result).splitlines()
    start = lines.index(
        "Life on the platform, days 0 to 2, served by the house policy  (mean of 2 seeds)"
    )
    table = lines[start : lines.index("", start)]
    assert len(table) == 13
    whole = over_seeds(over_days(world_result.life))
    rates = dict(zip(whole.select("arm", "cohort").rows(), whole["click_rate"], strict=True))
    shown = [
        rates[at]
        for at in (("control", "incumbent"), ("influx", "incumbent"), ("influx", "newcomer"))
    ]
    assert table[2].split()[4:] == [f"{100 * rate:.1f}" for rate in shown]


def test_life_on_the_platform_of_each_recommender(world_result: StudyResult) -> None:
    """A world without a topic has no line for it; without newcomers there is a dash."""
    study = world_result.study.model_copy(update={"loop": "closed"})
    life = world_result.life.filter(pl.col("cohort") == "incumbent").with_columns(
        across_homework_help=pl.lit(None, pl.Int64)
    )
    both = [life.with_columns(recommender=pl.lit(name)) for name in ("trending", "als")]
    text = _printed(
        dataclasses.replace(world_result, study=study).with_tables(life=pl.concat(both))
    )
    for name in ("trending", "als"):
        assert f"days 0 to 2, served by {name}" in text
    assert "homework" not in text
    assert "–" in text.split("clicks per 100 shown")[1].splitlines()[0]


def test_days_one_by_one_where_there_are_enough(world_result: StudyResult) -> None:
    assert "Day by day" not in _printed(with_days(world_result, (1, 2, 3, 4)))
    result = with_days(world_result, (1, 3, 7, 14, 27))
    lines = _printed(result).splitlines()
    assert max(len(line) for line in lines) <= 100
    english = result.quantiles.filter(
        pl.col("recommender") == "als",
        pl.col("arm") == "influx",
        pl.col("day") == 27,
        pl.col("measure") == "language:en",
        pl.col("cohort") == "incumbent",
    )
    (title,) = (line for line in lines if line.startswith("Day by day: als"))
    row = lines[lines.index(title) + 6].split()
    assert row[0] == "27"
    spread = [english[name].item() for name in ("mean", "p50", "p90", "top_tenth")]
    assert row[-4:] == [f"{100 * share:.1f}" for share in spread]
    slots = result.headline.filter(recommender="als", day=27, group="all").row(0, named=True)
    shown = [f"{100 * slots[name]:.1f}" for name in ("displaced", "changed", "floor")]
    assert row[4:7] == shown
    assert row[1] == f"{100 * slots['net']:.1f}"
    assert "†" not in "".join(lines)
    full = _printed(_with_net(result, "als", net=None))
    assert "27 †" in full
    assert full.count("†           the floor is 80% or more: there is no net") == 1


def test_long_names_cut_no_figure(world_result: StudyResult) -> None:
    long = pl.when(pl.col("recommender") == "als").then(pl.lit("a" * 40)).otherwise("recommender")
    renamed = world_result.with_tables(
        headline=world_result.headline.with_columns(long.alias("recommender")),
        drift=world_result.drift.with_columns(long.alias("recommender")),
        summary=world_result.summary.with_columns(long.alias("recommender")),
    )
    text = _printed(renamed)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    assert text.count("a" * 8) >= 3


def test_world_explains_its_words(world_result: StudyResult) -> None:
    text = _printed(world_result)
    for word in (
        "net   ",
        "displaced  ",
        "reshuffled  ",
        "floor  ",
        "locals  ",
        "if chance hits all slots alike",
        "sorted by",
        "95 % intervals",
        "Note: With 2 seeds",
    ):
        assert word in text


def test_world_shows_each_recommender_in_each_table(world_result: StudyResult) -> None:
    _, tables = _printed(world_result).split("\n\n", 1)  # below the verdict
    starts = [line.split()[0] for line in tables.splitlines() if line.strip()]
    assert starts.count("trending") == starts.count("als") == 8


def test_the_appendix_marks_a_drowned_influx_and_a_full_scale(world_result: StudyResult) -> None:
    text = _appendix(
        _with_drift(world_result, "als", influx=0.85, retrain=0.9, placebo=0.8, saturated=True)
    )
    assert "als * †" in text
    assert "*            most of what changed is training noise" in text
    assert "†            the placebo or training noise changes 80% or more" in text
    calm = _appendix(
        _with_drift(world_result, "als", influx=0.5, retrain=0.1, placebo=0.2, saturated=False)
    )
    assert "als * †" not in calm


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0.1, 0.2), "the newcomers change more than these people would."),
        ((-0.2, 0.1), "the newcomers do not clearly change more or less than these people"),
        ((-0.2, -0.1), "the newcomers change less than these people would."),
    ],
)
def test_the_appendix_says_the_sign_in_words(
    ends: tuple[float, float], words: str, world_result: StudyResult
) -> None:
    low, high = ends
    text = _appendix(
        _with_drift(world_result, "als", composition_ci_low=low, composition_ci_high=high)
    )
    als = text[text.index("als: as many people like the long-time users") :]
    assert words in als[: als.index("\ntrending")] if "\ntrending" in als else words in als
    assert "Appendix" not in _printed(world_result)


def test_net_is_printed_with_both_terms(world_result: StudyResult) -> None:
    lines = _printed(world_result).splitlines()
    start = lines.index("How much of long-time users' feeds did the influx change?  (% of slots)")
    table = lines[start + 1 : start + 4]
    columns = ("displaced", "reshuffled", "plain", "changed", "floor", "retrain")
    assert table[0].split() == ["recommender", "net", *columns]
    for line in table[1:]:
        row = _net_of(world_result, line.split()[0])
        cells = line.replace("[", "").replace("]", "").replace(",", "").split()[1:]
        names = ("net", "net_ci_low", "net_ci_high", *columns)
        assert cells == [number(row[name]) for name in names]


def test_more_nudges_and_what_is_not_estimable_are_told(world_result: StudyResult) -> None:
    text = _printed(world_result)
    assert "3 people" not in text
    text = _printed(_with_net(world_result, "als", nudge_3=0.25, over_placebo=None))
    assert "3 people" in text
    assert "not estimable" in text


def test_best_comes_first(world_result: StudyResult) -> None:
    """The one with the smallest net change; one without a net comes last."""
    order = [("als", "trending"), ("trending", "als")]
    for first, last in order:
        result = _with_net(_with_net(world_result, first, net=0.1), last, net=0.2)
        table = _printed(result).partition("How much of long-time users' feeds")[2]
        assert table.index(f"\n{first}") < table.index(f"\n{last}")
        result = _with_net(_with_net(world_result, first, net=0.1), last, net=None)
        table = _printed(result).partition("How much of long-time users' feeds")[2]
        assert table.index(f"\n{first}") < table.index(f"\n{last}")


def test_one_seed_has_no_brackets(world_result: StudyResult) -> None:
    one = dataclasses.replace(
        world_result, study=world_result.study.model_copy(update={"seeds": 1})
    ).with_tables(
        drift=world_result.drift.with_columns(
            pl.lit(None, pl.Float64).alias(f"{part}_ci_{edge}")
            for part in ("total", "volume", "composition")
            for edge in ("low", "high")
        ),
        wins=world_result.wins.with_columns(
            pl.lit(None, pl.Float64).alias(f"balance_ci_{edge}") for edge in ("low", "high")
        ),
        headline=world_result.headline.with_columns(
            pl.lit(None, pl.Float64).alias(name)
            for name in world_result.headline.columns
            if "_ci_" in name
        ),
        notes=("One seed.",),
    )
    text = _printed(one)
    assert "there are no intervals" in text
    assert "[" not in text
    assert "Not known, since one repetition" in text


def test_log_shows_the_placebos(log_result: StudyResult) -> None:
    text = _printed(log_result)
    lines = text.splitlines()
    assert len(lines) <= 60
    assert max(len(line) for line in lines) <= 100
    for words in ("20 times", "90 % of them", "NDCG with", "recall with", "p cannot be below"):
        assert words in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"p_value": 0.5}, "item_knn: no evidence that newcomers did it"),
        (
            {"p_value": 1 / 21},
            "evidence that newcomers did it; removing them moves feeds further than any placebo",
        ),
        ({"p_value": 0.0499}, "moves feeds further than most placebos"),
        (
            {"p_value": 1.0, "composition_ci_high": -0.01},
            "no evidence that newcomers did it; removing as many others nearly always",
        ),
        ({"p_value": None}, "item_knn: not testable"),
    ],
)
def test_log_has_a_verdict(
    values: dict[str, float | None], words: str, log_result: StudyResult
) -> None:
    study = log_result.study
    if words.endswith("most placebos"):
        log = study.log.model_copy(update={"placebo_draws": 99})
        study = study.model_copy(update={"log_": log})
    result = _testable(dataclasses.replace(log_result, study=study))
    assert words in _printed(_with_drift(result, "item_knn", "posts", **values))


def test_the_measure_that_is_tested_is_the_first_column(log_result: StudyResult) -> None:
    tested = {"p_value": 0.0312, "influx": 0.2345, "composition": 0.0471}
    result = _with_drift(_testable(log_result), "item_knn", "posts", **tested)
    result = _with_drift(result, "item_knn", p_value=0.777, influx=0.6789, composition=0.123)
    text = _printed(result)
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("How far do long-time"))
    assert lines[start + 1].split()[:3] == ["recommender", "newcomers", "placebo"]
    (row,) = [line for line in lines[start : start + 5] if line.startswith("item_knn  ")]
    assert row.split()[1] == "23.4"
    assert "0.031   67.9" in row
    assert "any placebo does, by 4.7 points on average" in " ".join(text.split())
    assert "0.777" not in text


def test_that_nothing_can_be_tested_is_said_first(log_result: StudyResult) -> None:
    counted = {"by": "all", "value": "the whole log", "shown": 200, "newcomers": 30, "share": 0.15}
    frame = pl.DataFrame([{**counted, "users": 9}], schema=log_result.counted.schema)
    count = (
        "Counted: 15.0 % of the posts that long-time users were shown were newcomers' (the whole"
    )
    told = _testable(log_result, share=0.45).with_tables(counted=frame)
    lines = _printed(told, full=False).splitlines()
    assert lines[1].startswith("Not testable whether the newcomers changed")
    words = " ".join(lines)
    assert "only 45 of 100 clicks of the newcomers could be matched" in words
    assert "take a smaller evaluation.panel" in words
    assert words.index("Not testable") < words.index(count)
    calm = _printed(_testable(log_result).with_tables(counted=frame), full=False).splitlines()
    assert " ".join(calm[1:3]).startswith(count)


def test_log_shows_the_mix_before_and_after(log_result: StudyResult) -> None:
    known = {
        "recommender": "item_knn",
        "mitigation": "none",
        "attribute": "language",
        "before": 0.01,
        "with": 0.2,
        "without": 0.05,
        "moved": 0.15,
        "placebo": -0.01,
        "band_low": -0.03,
        "band_high": 0.02,
        "n_users": 20,
    }
    rows = [{**known, "value": "pt", "p_value": 0.01, "p_adjusted": 0.02}]
    result = _testable(log_result).with_tables(mix=pl.DataFrame(rows, schema=log_result.mix.schema))
    for full in (True, False):
        text = " ".join(_printed(result, full=full).split())
        assert "item_knn: language pt 1.0 20.0 5.0 15.0 [-3.0, 2.0] 0.020" in text
        assert "language pt takes 20 instead of 5 of 100 slots" in text
    rows[0] |= {"before": None, "p_adjusted": 0.4}
    calm = _testable(log_result).with_tables(mix=pl.DataFrame(rows, schema=log_result.mix.schema))
    text = " ".join(_printed(calm).split())
    assert "item_knn: language pt 20.0 5.0 15.0" in text
    assert "No evidence that they changed the mix of feeds, by language." in text


def test_what_is_cut_says_so(log_result: StudyResult) -> None:
    """Of nine days of a count seven are shown, of ten rows of the mix eight."""
    day = {"by": "day", "shown": 10, "newcomers": 1, "share": 0.1, "users": 3}
    days = [{**day, "value": f"2025-01-{10 + n}"} for n in range(9)]
    every = [{**days[0], "by": "all", "value": "the whole log"}, *days]
    mix = {"recommender": "item_knn", "mitigation": "none", "attribute": "language", "moved": 0.1}
    rows = [{**mix, "value": f"l{n}", "placebo": 0.01 * n, "p_adjusted": 0.4} for n in range(10)]
    result = _testable(log_result).with_tables(
        counted=pl.DataFrame(every, schema=log_result.counted.schema),
        mix=pl.DataFrame(rows, schema=log_result.mix.schema),
    )
    text = _printed(result)
    assert "2025-01-16" in text
    assert "2025-01-17" not in text
    assert "The first 7 of 9 days; the others are in counted.csv." in text
    assert "p: adjusted for all 10 rows. The other 2 are in mix.csv." in " ".join(text.split())
    few = result.with_tables(counted=result.counted[:8], mix=result.mix[:8])
    assert "counted.csv" not in _printed(few)
    assert "mix.csv" not in _printed(few)


def test_log_says_in_one_sentence_what_holds_of_all(log_result: StudyResult) -> None:
    both = _with_drift(_testable(log_result), "item_knn", "posts", p_value=0.5)
    nothing = _with_drift(both, "trending", "posts", p_value=0.3)
    assert "No evidence that newcomers did it, whichever recommender:" in _printed(nothing)
    one = _with_drift(nothing, "trending", "posts", p_value=0.01)
    assert "whichever recommender" not in _printed(one)
    assert "item_knn: no evidence that newcomers did it" in _printed(one)
    assert "trending: evidence that newcomers did it" in _printed(one)
    unmatched = _printed(_testable(one, matched=False))
    assert "trending: not testable; the first sentence above says why" in unmatched
    assert "so that volume alone explains a part" in " ".join(unmatched.split())


def test_log_shows_when_newcomers_arrived(log_result: StudyResult) -> None:
    weeks = [date(2024, 11, 4) + timedelta(days=7 * i) for i in range(20)]
    arrivals = pl.DataFrame(
        {
            "from": weeks,
            "days": [7] * 20,
            "first_seen": [900, *[40] * 11, *[400] * 4, *[40] * 4],
            "used": [False] + [True] * 19,
            "wave": [False] * 12 + [True] * 4 + [False] * 4,
        },
        schema=ARRIVALS,
    )
    wave = Wave(11, 15, 40.0, 400.0, 600.0, 70.0, 0.001)
    found = dataclasses.replace(log_result, wave=wave, arrived=date(2025, 1, 29))
    found = found.with_tables(arrivals=arrivals)
    lines = _printed(found).splitlines()
    start = lines.index("When did newcomers arrive?  (found in the log: from 2025-01-29 on)")
    assert [line.split() for line in lines[start + 4 : start + 6]] == [
        ["2025-01-20", "40"],
        ["2025-01-27", "400", "yes"],
    ]
    assert (
        "New users a week: 40.0 usually, 400.0 in it, 1,440 more than usual in all; p = 0.001."
        in lines
    )
    assert "When did newcomers arrive?" not in _printed(log_result)


@pytest.mark.parametrize(
    ("p_value", "difference", "check_p", "words"),
    [
        (0.5, 0.01, 0.5, "topic: no evidence that newcomers did it, by this view."),
        (0.01, 0.05, 0.5, "topic: the most exposed changed more, as if newcomers did it."),
        (0.01, -0.05, 0.5, "topic: the most exposed changed less, as if newcomers did it."),
        (
            0.01,
            0.05,
            0.01,
            "topic: no verdict, since the two thirds changed differently even before.",
        ),
        (0.01, 0.05, None, "as if newcomers did it (not checked before they came)."),
    ],
)
def test_log_has_a_view_by_exposure(
    p_value: float, difference: float, check_p: float | None, words: str, log_result: StudyResult
) -> None:
    row = {
        "outcome": "topic",
        "check": False,
        "window_days": 7,
        "exposure_low": 0.1,
        "exposure_high": 0.3,
        "low": 0.1,
        "high": 0.1 + difference,
        "difference": difference,
        "ci_low": difference - 0.02,
        "ci_high": difference + 0.02,
        "p_value": p_value,
        "n_low": 30,
        "n_high": 30,
        "lost_low": 0,
        "lost_high": 10,
    }
    rows = [row] if check_p is None else [row, {**row, "check": True, "p_value": check_p}]
    text = _printed(log_result.with_tables(exposed=pl.DataFrame(rows, schema=EXPOSED)))
    assert words in text
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "Assumption (parallel trends): both thirds would have changed alike without" in text
    assert "0, 25" in text
    low, high = 100 * (difference - 0.02), 100 * (difference + 0.02)
    assert f"{100 * difference:.1f} [{low:.1f}, {high:.1f}]" in text


def test_whereabouts_name_the_run() -> None:
    console = Console(file=io.StringIO(), width=100, highlight=False, markup=False)
    recorded = Recorded("sqlite:////home/me/mlruns/mlflow.db", True, "1", "abc")
    print_whereabouts(console, Path("data/studies/tiny-0"))
    print_run(console, [recorded])
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "data/studies/tiny-0" in text
    assert ".venv/bin/recsys ui, then" in text
    page = "http://127.0.0.1:5000/#/experiments/1/runs"
    assert f"{page}/abc" in text.splitlines()
    table, charts = views_of("world", "tiny", "abc")
    shown = recorded._replace(view=table.query, charts=charts.query)
    print_run(console, [shown])
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[-1] == f"{page}?viewStateShareKey=tiny"
    mode = "workflowType=machine_learning"
    assert page_of(recorded, menu=True) == f"{page}/abc?{mode}"
    assert page_of(recorded, charts=True) is None
    assert page_of(shown, charts=True, menu=True) == (
        f"{page}?viewStateShareKey=tiny.charts&compareRunsMode=CHART&{mode}"
    )


def test_figures_are_plain() -> None:
    assert number(-0.0001) == "0.0"
    assert number(None) == "–"
    assert interval(
        {"composition": -0.1, "composition_ci_low": -0.2, "composition_ci_high": 0.0}, "composition"
    ) == ("-10.0 [-20.0, 0.0]")
    assert interval({"composition": 0.1, "composition_ci_low": None}, "composition") == "10.0"
