"""The summary in the terminal: what it says, and that it fits."""

import dataclasses
import io
from pathlib import Path

import polars as pl
from rich.console import Console

import recsys
from pipelines.report.headline import Headline, interval, number
from pipelines.report.terminal import print_whereabouts
from pipelines.report.world import world_sections
from pipelines.storage.cells import CellStore
from pipelines.tracking.tracker import Recorded
from recsys.study.result import StudyResult
from recsys.study.tables.life import over_days, over_seeds
from tests.kit.tiny import printed, with_days, with_drift


def test_world_fits_one_screen(world_result: StudyResult) -> None:
    lines = printed(world_result).splitlines()
    assert len(lines) <= 58
    assert max(len(line) for line in lines) <= 100


def test_how_many_gain_and_lose(world_result: StudyResult) -> None:
    """Against the retrain arm, if there is one: the same training seed."""
    lines = printed(world_result).splitlines()
    start = lines.index(
        "To how many are they worth more?  (% of incumbents; with the influx or without)"
    )
    shown = {line.split()[0]: line.split()[1:4] for line in lines[start + 2 : start + 4]}
    whole = world_result.wins.filter(pl.col("day").is_null(), measure="utility")
    for recommender, against in (("trending", "control"), ("als", "retrain")):
        row = whole.filter(recommender=recommender, against=against).row(0, named=True)
        expected = [f"{100 * row[name]:.1f}" for name in ("wins", "losses", "ties")]
        assert shown[recommender] == expected
    als = whole.filter(recommender="als")
    assert als.filter(against="retrain")["wins"][0] != als.filter(against="control")["wins"][0]


def test_how_attention_falls(world_result: StudyResult) -> None:
    lines = printed(world_result).splitlines()
    (title,) = (line for line in lines if line.startswith("How does incumbents' attention fall?"))
    row = next(line for line in lines[lines.index(title) :] if line.startswith("als"))
    whole = world_result.exposure.filter(
        pl.col("day").is_null(), recommender="als", measure="gini_notes", cohort="incumbent"
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


def test_whom_it_strikes_if_asked(world_result: StudyResult, finished: Path) -> None:
    assert "Whom does it strike?" not in printed(world_result)
    study = recsys.load_study(
        finished / "tiny.yaml", ["evaluation.groups=[posts,main_topic,activity]"]
    )
    result = recsys.run(study, store=CellStore(study, finished / "data/cells"))
    lines = printed(result).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Whom does it strike?"))
    table = lines[start : lines.index("", start)]
    assert len(table) <= 28
    assert table[-1] == "The rest is in report.html and groups.csv."
    first = table[2].split()[0]
    row = result.groups.filter(
        recommender=first, attribute="posts", group="false", measure="notes"
    ).row(0, named=True)
    assert table[3].split()[:4] == [
        "posts",
        "false",
        str(row["n_users"]),
        f"{100 * row['total']:.1f}",
    ]
    whole = next(s for s in world_sections(Headline(result), whole=True) if "strike" in s.title)
    pairs = result.groups.select("recommender", "attribute", "group").unique().height
    assert len(whole.rows) == pairs + 2
    assert whole.lines == ()


def test_life_without_and_with_the_influx(world_result: StudyResult) -> None:
    lines = printed(world_result).splitlines()
    start = lines.index("Life on the platform, days 0 to 2, served by the house  (mean of 2 seeds)")
    table = lines[start : lines.index("", start)]
    assert len(table) == 10
    whole = over_seeds(over_days(world_result.life))
    rates = dict(zip(whole.select("arm", "cohort").rows(), whole["click_rate"], strict=True))
    shown = [
        rates[at]
        for at in (("control", "incumbent"), ("influx", "incumbent"), ("influx", "newcomer"))
    ]
    assert table[2].split()[4:] == [f"{100 * rate:.1f}" for rate in shown]


def test_life_of_each_who_serves(world_result: StudyResult) -> None:
    """A world without a topic has no line for it; without newcomers there is a dash."""
    study = world_result.study.model_copy(update={"loop": "closed"})
    life = world_result.life.filter(pl.col("cohort") == "incumbent").with_columns(
        across_homework_help=pl.lit(None, pl.Int64)
    )
    both = [life.with_columns(recommender=pl.lit(name)) for name in ("trending", "als")]
    text = printed(dataclasses.replace(world_result, study=study, life=pl.concat(both)))
    for name in ("trending", "als"):
        assert f"days 0 to 2, served by {name}" in text
    assert "homework" not in text
    assert "–" in text.split("clicks per 100 shown")[1].splitlines()[0]


def test_days_one_by_one_where_there_are_enough(world_result: StudyResult) -> None:
    assert "Day by day" not in printed(with_days(world_result, (1, 2, 3, 4)))
    result = with_days(world_result, (1, 3, 7, 14, 27))
    lines = printed(result).splitlines()
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
    who = result.drift.filter(recommender="als", day=27, measure="slots_changed").row(0, named=True)
    band = [f"{100 * who[f'who_band_{edge}']:.1f}" for edge in ("low", "high")]
    assert f"[{band[0]}, {band[1]}]" in " ".join(row)
    assert "".join(lines).count("who of all these days lies within its band at once") == 1
    assert "†" not in "".join(lines)
    full = printed(with_drift(result, "als", saturated=True))
    assert "27 †" in full
    assert full.count("a placebo or another seed changes 80% or more") == 2


def test_long_names_cut_no_figure(world_result: StudyResult) -> None:
    long = pl.when(pl.col("recommender") == "als").then(pl.lit("a" * 40)).otherwise("recommender")
    renamed = dataclasses.replace(
        world_result,
        drift=world_result.drift.with_columns(long.alias("recommender")),
        summary=world_result.summary.with_columns(long.alias("recommender")),
    )
    text = printed(renamed)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    assert text.count("a" * 8) >= 3


def test_world_explains_its_words(world_result: StudyResult) -> None:
    text = printed(world_result)
    for word in (
        "total   ",
        "volume  ",
        "who     ",
        "Sorted by",
        "[95 % intervals]",
        "Note: 2 seeds",
    ):
        assert word in text


def test_world_shows_each_recommender_in_each_table(world_result: StudyResult) -> None:
    starts = [line.split()[0] for line in printed(world_result).splitlines() if line.strip()]
    assert starts.count("trending") == starts.count("als") == 5


def test_world_marks_a_drowned_influx_and_a_full_scale(world_result: StudyResult) -> None:
    text = printed(
        with_drift(world_result, "als", influx=0.85, retrain=0.9, placebo=0.8, saturated=True)
    )
    assert "als * †" in text
    assert "*       most of what changed is the noise of training" in text
    assert "†       a placebo or another seed changes 80% or more" in text
    calm = printed(
        with_drift(world_result, "als", influx=0.5, retrain=0.1, placebo=0.2, saturated=False)
    )
    assert "als * †" not in calm


def test_best_comes_first(world_result: StudyResult) -> None:
    """Equal in utility, the one with fewer slots changed; then the one that loses less utility."""
    same = pl.col("measure") == "utility"
    equal = dataclasses.replace(
        world_result,
        drift=world_result.drift.with_columns(
            pl.when(same).then(pl.lit(0.0)).otherwise(pl.col("total")).alias("total")
        ),
    )
    calm_als = with_drift(with_drift(equal, "als", influx=0.1), "trending", influx=0.2)
    assert printed(calm_als).index("\nals") < printed(calm_als).index("\ntrending")
    loses = same & (pl.col("recommender") == "als")
    harmed = dataclasses.replace(
        calm_als,
        drift=calm_als.drift.with_columns(
            pl.when(loses).then(pl.lit(-0.1)).otherwise(pl.col("total")).alias("total")
        ),
    )
    assert printed(harmed).index("\ntrending") < printed(harmed).index("\nals")


def test_one_seed_has_no_brackets(world_result: StudyResult) -> None:
    one = dataclasses.replace(
        world_result,
        study=world_result.study.model_copy(update={"seeds": 1}),
        drift=world_result.drift.with_columns(
            pl.lit(None, pl.Float64).alias(f"{part}_ci_{edge}")
            for part in ("total", "volume", "who")
            for edge in ("low", "high")
        ),
        wins=world_result.wins.with_columns(
            pl.lit(None, pl.Float64).alias(f"balance_ci_{edge}") for edge in ("low", "high")
        ),
        notes=("One seed.",),
    )
    text = printed(one)
    assert "there are no intervals" in text
    assert "[" not in text


def test_whereabouts_name_the_run() -> None:
    console = Console(file=io.StringIO(), width=100, highlight=False, markup=False)
    recorded = Recorded("sqlite:////home/me/mlruns/mlflow.db", True, "1", "abc")
    print_whereabouts(console, Path("data/studies/tiny-0"), recorded)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "data/studies/tiny-0" in text
    assert "make ui" in text
    assert "http://127.0.0.1:5000/#/experiments/1/runs/abc" in text


def test_figures_are_plain() -> None:
    assert number(-0.0001) == "0.0"
    assert number(None) == "–"
    assert interval({"who": -0.1, "who_ci_low": -0.2, "who_ci_high": 0.0}, "who") == (
        "-10.0 [-20.0, 0.0]"
    )
    assert interval({"who": 0.1, "who_ci_low": None}, "who") == "10.0"
