"""Charts of a study of a log: arrivals, the newcomers among the placebos, and mixes."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from pipelines.report.charts.chart import (
    BLUE,
    FIGURES,
    GREY,
    INK,
    ORANGE,
    Chart,
    Panel,
    Row,
    altair,
    point,
    spec_of,
)
from pipelines.report.charts.users import dots
from pipelines.report.headline import Headline, Variant, name_of, number
from recsys.study.result import StudyResult

_PLACEBO, _NEWCOMERS, _AGAIN = "a placebo group", "the newcomers", "nobody: training again alone"
_TESTED = {"posts": "drift of posts, 0 to 100", "slots_changed": "% of slots"}


def arrival_charts(result: StudyResult) -> Iterator[Chart]:
    """New users by day or week with the wave shaded; nothing unless arrivals were looked at.

    Args:
        result: the result of a study of a log.
    """
    alt = altair()
    arrivals = result.arrivals
    if arrivals.is_empty():
        return
    unit = "day" if arrivals["days"].max() == 1 else "week"
    rows: list[Row] = []
    for row in arrivals.iter_rows(named=True):
        what = "in the wave" if row["wave"] else "before or after"
        what = what if row["used"] else "too early to tell, left out"
        rows.append(
            {
                "day": str(row["from"]),
                "value": row["first_seen"],
                "what": what,
                "figure": f"{row['first_seen']:,} new users",
                "n": f"{row['days']} day{'s' if row['days'] > 1 else ''}",
            }
        )
    base = alt.Chart(alt.Data(values=rows))
    fills = {"in the wave": ORANGE, "before or after": BLUE, "too early to tell, left out": GREY}
    fills = {what: fill for what, fill in fills.items() if any(r["what"] == what for r in rows)}
    colour = alt.Color(
        "what:N",
        title=None,
        sort=list(fills),
        scale=alt.Scale(domain=list(fills), range=list(fills.values())),
        legend=alt.Legend(orient="top", direction="vertical"),
    )
    tooltip = [
        alt.Tooltip("day:N", title=f"{unit} from"),
        alt.Tooltip("figure:N", title="first seen"),
        alt.Tooltip("what:N", title="what"),
    ]
    axis = alt.Axis(labelOverlap=True, grid=False, format="%d %b", labelAngle=0)
    bars = base.mark_bar(stroke="var(--page)", strokeWidth=0.5).encode(
        alt.X("yearmonthdate(day):O", title=unit, axis=axis),
        alt.Y("value:Q", title="new users"),
        colour,
        tooltip=tooltip,
    )
    spec = spec_of(bars.properties(width="container", height=180))
    yield Chart(
        "arrivals",
        "When did newcomers arrive?",
        f"Users who are first seen in a {unit}; the wave that was found has its own colour.",
        [Panel("", spec)],
        {"day": f"{unit} from", "figure": "first seen", "what": "what", "n": "length"},
        rows,
    )


def placebo_charts(figures: Headline) -> Iterator[Chart]:
    """A dot for each placebo group, with the newcomers marked, for each recommender.

    Args:
        figures: figures of a study of a log.
    """
    for measure, unit in _TESTED.items():
        if not figures.has(measure):
            continue
        rows: list[Row] = []
        panels = []
        for variant in figures.variants:
            mine = list(_draws(figures.result, variant, measure))
            p_value = figures.drift(variant, measure).get("p_value")
            rows += mine
            p = "" if p_value is None else f"  (p = {number(p_value, 1, 3)})"
            panels.append(Panel(name_of(variant) + p, _strip(mine, unit)))
        yield Chart(
            f"placebos-{measure.replace('_', '-')}",
            "Does leaving out the newcomers change more than leaving out others?"
            if measure == "posts"
            else "How many slots does leaving out each group change?",
            "Each small dot is a placebo group: as many equally active long-time users, left out "
            "of training. The diamond is the newcomers, the square training again with everybody. "
            "A diamond among the dots is no evidence that newcomers changed anything."
            + (" This is the measure that is tested." if measure == "posts" else ""),
            panels,
            {"name": "recommender", "what": "left out", "figure": "figure", "n": "from"},
            rows,
        )


def _draws(result: StudyResult, variant: Variant, measure: str) -> Iterator[Row]:
    mine = result.per_user.filter(
        pl.col("day").is_null(),
        pl.col("arm").is_in(["influx", "placebo", "retrain"]),
        recommender=variant[0],
        mitigation=variant[1],
    )
    means = mine.group_by("arm", "draw", maintain_order=True).agg(
        pl.col(measure).mean().alias("mean"), n_users=pl.col(measure).count()
    )
    names = {"placebo": _PLACEBO, "influx": _NEWCOMERS, "retrain": _AGAIN}
    for place, row in enumerate(means.sort("draw").iter_rows(named=True)):
        what = names[row["arm"]]
        number_of = f" {row['draw']}" if row["draw"] else ""
        yield {
            "name": name_of(variant),
            "series": what,
            "what": f"{what}{number_of}",
            "lane": (place * 7) % 11 - 5 if row["draw"] else 0,
            **point(row, unit="" if measure == "posts" else "%"),
        }


def _strip(rows: Sequence[Row], unit: str) -> dict[str, Any]:
    alt = altair()
    looks = {_PLACEBO: (GREY, "circle"), _AGAIN: (BLUE, "square"), _NEWCOMERS: (ORANGE, "diamond")}
    looks = {name: look for name, look in looks.items() if any(r["series"] == name for r in rows)}
    base = alt.Chart(alt.Data(values=list(rows)))
    legend = alt.Legend(orient="bottom", direction="vertical", labelLimit=240)
    colours = alt.Scale(domain=list(looks), range=[colour for colour, _ in looks.values()])
    shapes = alt.Scale(domain=list(looks), range=[shape for _, shape in looks.values()])
    encoded = {
        "x": alt.X("value:Q", title=unit, scale=alt.Scale(zero=False, padding=12)),
        "y": alt.Y("lane:Q", axis=None, scale=alt.Scale(domain=[-7, 7])),
        "color": alt.Color("series:N", title=None, scale=colours, sort=list(looks), legend=legend),
        "shape": alt.Shape("series:N", title=None, scale=shapes, sort=list(looks)),
        "tooltip": [
            alt.Tooltip("what:N", title="left out"),
            alt.Tooltip("figure:N", title=unit),
            alt.Tooltip("n:N", title="from"),
        ],
    }
    few, many = alt.datum.series != _PLACEBO, alt.datum.series == _PLACEBO
    layers = [
        base.transform_filter(many).mark_point(filled=True, size=22, opacity=0.6).encode(**encoded),
        base.transform_filter(few)
        .mark_point(filled=True, size=130, opacity=1, stroke=INK, strokeWidth=1)
        .encode(**encoded),
    ]
    return spec_of(alt.layer(*layers).properties(width="container", height=90))


def mix_charts(result: StudyResult, order: Sequence[Variant]) -> Iterator[Chart]:
    """Shares of slots of each value of an attribute, trained with and without the newcomers.

    Args:
        result: the result of a study of a log.
        order: recommenders and mitigations, in the order of the page.
    """
    arms = {"full": "with the newcomers", "influx": "without"}
    whole = result.summary.filter(pl.col("day").is_null(), pl.col("measure").str.contains(":"))
    attributes = dict.fromkeys(name.partition(":")[0] for name in whole["measure"])
    for attribute in attributes:
        rows: list[Row] = []
        for variant in order:
            mine = whole.filter(recommender=variant[0], mitigation=variant[1], cohort="incumbent")
            for row in mine.iter_rows(named=True):
                of, _, value = row["measure"].partition(":")
                if of == attribute and row["arm"] in arms:
                    named = {"name": name_of(variant), "what": value, "series": arms[row["arm"]]}
                    rows.append({**named, **point(row, least=0)})
        if rows:
            title = attribute.replace("_", " ")
            yield Chart(
                f"mix-{attribute}".replace("_", "-"),
                f"Is there another mix in feeds, by {title}?",
                "Slots of 100, when trained with the newcomers' events and without them.",
                dots(rows, "slots of 100", dict(zip(arms.values(), (BLUE, ORANGE), strict=True))),
                {"name": "recommender", "what": title, "series": "trained", **FIGURES},
                rows,
            )
