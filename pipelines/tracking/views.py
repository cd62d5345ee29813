"""Saved views of MLflow's runs table: the columns, their order and the charts a link opens on.

MLflow keeps a view as a tag of the experiment, `mlflow.sharedViewState.<key>`: a name, a date, and
the state of the page as JSON, compressed. The page `…/runs?viewStateShareKey=<key>` opens in that
state.
"""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

TAG = "mlflow.sharedViewState."
"""What the names of the tags begin with; the key of the view follows."""
MODE = "workflowType=machine_learning"
"""What a whole address ends in, so that the menu is that of model training, not of GenAI."""
_DEFLATED = "deflate;"
_LONGEST_KEY = 19
"""Letters of a key: the address of a view fits a terminal of 80 columns."""
_BEGINNING = 1_735_689_600_000
"""When views were saved that never change: the first day of 2025, in milliseconds since 1970."""


class Chart(NamedTuple):
    """A chart of a view.

    Attributes:
        section: the heading that it stands under.
        kind: `LINE` (over steps), `BAR` or `SCATTER`, as MLflow calls them.
        metrics: the metrics that it shows; those of the x and the y axis if it is a scatter.
    """

    section: str
    kind: str
    metrics: tuple[str, ...]


class View(NamedTuple):
    """A saved view.

    Attributes:
        key: what the link calls it, such as `demo`.
        name: what the menu of views calls it.
        runs: the filter that chooses its runs, in MLflow's language.
        columns: columns after the run's name, such as `params.recommender`, `metrics.net_pct`.
        sort: the column that rows are sorted by.
        ascending: whether the smallest comes first.
        charts: its charts; the link opens on them if there are any.
    """

    key: str
    name: str
    runs: str
    columns: tuple[str, ...]
    sort: str
    ascending: bool = True
    charts: tuple[Chart, ...] = ()

    @property
    def tag(self) -> str:
        """The name of the experiment's tag that holds the view."""
        return f"{TAG}{self.key}"

    def saved(self, at: int = _BEGINNING) -> str:
        """The value of the tag.

        Args:
            at: when it was saved, in milliseconds since 1970.
        """
        state = encoded(_state(self))
        return json.dumps({"name": self.name, "createdAt": at, "updatedAt": at, "state": state})

    @property
    def query(self) -> str:
        """What the address of the view ends in, after `/runs?`."""
        mode = "&compareRunsMode=CHART" if self.charts else ""
        return f"viewStateShareKey={quote(self.key, safe='')}{mode}"


_WHO = ("params.recommender", "params.mitigation")
_DRIFT = ("changed_pct", "floor_pct", "newcomer_pct", "net_pct", "utility_pct", "n_seeds")
_REMOVAL = ("changed_pct", "placebo_pct", "retrain_pct", "p_value", "ndcg", "recall")
_TEST = ("ndcg", "recall", "hit_rate", "mrr", "utility", "coverage", "fit_s")
_COLUMNS = {"world": _DRIFT, "log": _REMOVAL, "training": _TEST}
"""Metrics that the table of a kind of run shows, in their order."""
_SORTED_BY = {"world": ("net_pct", True), "log": ("changed_pct", True), "training": ("ndcg", False)}
_COST = "Which drifts least, at what cost"
_OTHERS = "Model metrics"
"""The section in which MLflow puts a chart of each other metric."""
_BY_DAY = "By evaluation day (step)"
_INTERVAL = ("net_pct_by_day", "net_ci_low_pct_by_day", "net_ci_high_pct_by_day")
_CHARTS = {
    "world": (
        Chart(_COST, "SCATTER", ("net_pct", "utility_pct")),
        Chart(_COST, "BAR", ("net_pct",)),
        Chart(_BY_DAY, "LINE", ("net_pct_by_day",)),
        Chart(_BY_DAY, "LINE", ("newcomer_pct_by_day",)),
        Chart(_BY_DAY, "LINE", ("utility_pct_by_day",)),
        Chart(_BY_DAY, "LINE", _INTERVAL),
    ),
    "log": (
        Chart(_COST, "SCATTER", ("changed_pct", "ndcg")),
        Chart(_COST, "BAR", ("changed_pct",)),
        Chart(_COST, "BAR", ("placebo_pct",)),
        Chart(_COST, "BAR", ("p_value",)),
    ),
}


def shared_views() -> tuple[View, ...]:
    """The views that every experiment has: all recommenders of all studies, and all trainings."""
    studies = _columns("world", ("tags.study",))
    return (
        View(
            "recsys.all", "All studies: which drifts least", "tags.role = 'recommender'", studies,
            "metrics.net_pct",
        ),
        View(
            "recsys.training", "All training runs", "tags.role = 'training'", _columns("training"),
            "metrics.ndcg", ascending=False,
        ),
    )  # fmt: skip


def views_of(kind: str, name: str, parent: str, group: str | None = None) -> tuple[View, ...]:
    """The views of a program's last run: the table first, then the charts.

    Args:
        kind: `world` or `log` for a study; `training`, whose table is that of all training runs;
            any other kind has no table.
        name: name of the study.
        parent: the id of its run, below which are those of its recommenders.
        group: name of the study without that of its variant; its views hold all variants.
    """
    if kind == "training":
        return shared_views()[1:]
    if kind not in _COLUMNS:
        return ()
    runs = f"tags.mlflow.parentRunId = '{parent}'"
    if group is not None:
        runs = f"tags.role = 'recommender' and tags.group = '{group}'"
    columns = _columns(kind, () if group is None else ("tags.variant",))
    metric, ascending = _SORTED_BY[kind]
    whole, key = group or name, _key(group or name)
    table = View(
        key,
        f"{whole}: which drifts least",
        runs,
        columns,
        f"metrics.{metric}",
        ascending,
    )
    charts = table._replace(key=f"{key}.charts", name=f"{whole}: charts", charts=_CHARTS[kind])
    return table, charts


def encoded(state: Mapping[str, Any]) -> str:
    """The state of a page as MLflow keeps it.

    >>> decoded(encoded({"selectedColumns": ["metrics.`net_pct`"]}))
    {'selectedColumns': ['metrics.`net_pct`']}
    """
    packed = zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)
    return _DEFLATED + base64.b64encode(packed).decode()


def decoded(text: str) -> dict[str, Any]:
    """The state of a page from what MLflow keeps.

    Args:
        text: the result of `encoded`, or what MLflow's pages have saved.

    Raises:
        ValueError: it is not such a text.
    """
    if not text.startswith(_DEFLATED):
        raise ValueError("not a saved view: it does not begin with deflate;")
    try:
        found = json.loads(zlib.decompress(base64.b64decode(text.removeprefix(_DEFLATED))))
    except zlib.error as error:
        raise ValueError(f"not a saved view: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("not a saved view: its state is not an object")
    return found


def _columns(kind: str, first: Sequence[str] = ()) -> tuple[str, ...]:
    return (*first, *_WHO, *(f"metrics.{name}" for name in _COLUMNS[kind]))


def _key(name: str) -> str:
    """A key for a name; it holds no dot, unlike those of other views."""
    plain = re.sub(r"[^\w-]+", "-", name)
    if plain == name and len(name) <= _LONGEST_KEY:
        return name
    return f"{plain[:12]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _quoted(column: str) -> str:
    """`metrics.net_pct` as MLflow's pages name the column."""
    table, _, name = column.partition(".")
    return f"{table}.`{name}`"


def _width(column: str) -> int:
    """Pixels that a column takes, so that a table fits a window of 1,500."""
    table, _, name = column.partition(".")
    return max(20 + 7 * len(name), 90 if table == "metrics" else 110)


def _state(view: View) -> dict[str, Any]:
    columns = [_quoted(column) for column in view.columns]
    state: dict[str, Any] = {
        "searchFilter": view.runs,
        "orderByKey": _quoted(view.sort),
        "orderByAsc": view.ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {name: _width(name) for name in columns},
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "groupBy": None,
    }
    if not view.charts:
        return state
    names = list(dict.fromkeys(chart.section for chart in view.charts))
    sections = [_section(name) for name in names]
    cards = [_card(n, chart) for n, chart in enumerate(view.charts)]
    return {
        **state,
        "compareRunCharts": cards,
        "compareRunSections": [*sections, {**_section(_OTHERS), "display": False}],
        "isAccordionReordered": True,
    }


def _section(name: str) -> dict[str, Any]:
    return {
        "uuid": f"recsys-{name}",
        "name": name,
        "display": True,
        "isReordered": True,
        "columns": 2,
    }


def _card(number: int, chart: Chart) -> dict[str, Any]:
    """A chart as MLflow's pages keep it."""
    card: dict[str, Any] = {
        "uuid": f"recsys-{number}",
        "type": chart.kind,
        "metricSectionId": f"recsys-{chart.section}",
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
    }
    if chart.kind == "SCATTER":
        axes = [{"key": name, "type": "METRIC"} for name in chart.metrics]
        return {**card, "xaxis": axes[0], "yaxis": axes[1]}
    card |= {"metricKey": chart.metrics[0]}
    if chart.kind == "LINE":
        card |= {
            "selectedMetricKeys": list(chart.metrics),
            "lineSmoothness": 0,
            "xAxisKey": "step",
            "xAxisScaleType": "linear",
            "scaleType": "linear",
            "yAxisKey": "metric",
            "useGlobalXaxisKey": False,
            "displayPoints": True,
        }
    return card
