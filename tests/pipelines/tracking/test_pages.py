"""MLflow's own pages in a real browser: what the printed links open on."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pipelines.run import main
from tests.kit.browser import NEEDS_CHROMIUM, Browser, browser

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]  # a study of four, a server and a browser
COLUMNS = ("recommender", "mitigation", "changed_pct", "floor_pct", "newcomer_pct", "net_pct")
PATIENCE = 240.0


@pytest.fixture(scope="module")
def told(
    finished: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, Any]]:
    """A folder in which a study of four recommenders is finished, and what `--json` said of it."""
    place = tmp_path_factory.mktemp("pages") / "work"
    shutil.copytree(finished, place)
    printed = place / "printed.json"
    with pytest.MonkeyPatch.context() as patch, printed.open("w") as out:
        patch.chdir(place)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(sys, "stdout", out)
        assert main(["tiny.yaml", "name=pages", "mitigations=[[cap]]", "--json"]) == 0
    return place, json.loads(printed.read_text())


@pytest.fixture(scope="module")
def address(told: tuple[Path, dict[str, Any]]) -> Iterator[str]:
    """The address of MLflow's pages, as `recsys ui` serves them."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    words = ["ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", "sqlite:///mlruns/mlflow.db"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words, *store],
        cwd=told[0],
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                assert time.monotonic() < until, "MLflow's pages did not come up"
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile"), 2200, 1300) as window:
        yield window


@pytest.fixture(scope="module")
def runs(told: tuple[Path, dict[str, Any]]) -> list[Run]:
    """The runs of the study's recommenders, least drift first."""
    client = MlflowClient(f"sqlite:///{told[0]}/mlruns/mlflow.db")
    parent = told[1]["mlflow_run_id"]
    found = client.search_runs(["1"], f"tags.mlflow.parentRunId = '{parent}'")
    return sorted(found, key=lambda run: run.data.metrics["net_pct"])


def link(said: str, address: str) -> str:
    """A printed link, at the port of the test's server."""
    assert said.startswith("http://127.0.0.1:5000/")
    return said.replace("http://127.0.0.1:5000", address)


def test_the_link_opens_on_which_drifts_least(
    told: tuple[Path, dict[str, Any]], address: str, page: Browser, runs: list[Run], tmp_path: Path
) -> None:
    page.open(link(told[1]["mlflow_url"], address))
    shown = page.wait(*COLUMNS, "utility_pct", "n_seeds", *(run.info.run_name for run in runs))
    page.picture(tmp_path / "table.png")
    assert "Evaluation" not in shown, "the pages are those of model training"
    assert len(runs) == 4
    for run in runs:
        for name in (*COLUMNS[2:], "utility_pct"):
            assert f"{run.data.metrics[name]:g}" in shown, (run.info.run_name, name)
    places = "return [...document.querySelectorAll('a')].map(a => a.innerText)"
    linked = page.value(f"(() => {{ {places} }})()")
    names = [run.info.run_name for run in runs]
    assert [text for text in linked if text in names] == names, "least drift first"
    short = told[1]["mlflow_url"].partition("&workflowType")[0]
    page.open(link(short, address))  # as it is printed on a terminal
    page.wait(*COLUMNS, *names)


def test_the_second_view_has_charts(
    told: tuple[Path, dict[str, Any]], address: str, page: Browser, tmp_path: Path
) -> None:
    page.open(link(told[1]["mlflow_charts_url"], address))
    page.wait("Which drifts least, at what cost", "By evaluation day")
    page.until("document.querySelectorAll('.js-plotly-plot .scatterlayer .points path').length > 3")
    page.until("document.querySelectorAll('.js-plotly-plot').length >= 4")
    page.until("document.querySelectorAll('.js-plotly-plot .scatterlayer .lines path').length >= 4")
    page.picture(tmp_path / "charts.png")


def test_a_run_shows_its_figures(
    address: str, page: Browser, runs: list[Run], tmp_path: Path
) -> None:
    run = runs[0]
    page.open(f"{address}/#/experiments/1/runs/{run.info.run_id}?workflowType=machine_learning")
    shown = page.wait("net_pct", "pages world", "Finished")
    page.picture(tmp_path / "run.png")
    count = re.search(r"Metrics \((\d+)\)", shown)
    assert count is not None
    assert int(count[1]) == len(run.data.metrics) <= 40


def test_four_runs_compare(address: str, page: Browser, runs: list[Run], tmp_path: Path) -> None:
    ids = quote(json.dumps([run.info.run_id for run in runs]))
    page.open(f"{address}/#/compare-runs?runs={ids}&experiments={quote(json.dumps(['1']))}")
    shown = page.wait("Comparing 4 Runs", "net_pct", "mitigation")
    page.picture(tmp_path / "compare.png")
    for run in runs:
        assert f"{run.data.metrics['net_pct']:g}" in shown


def test_the_page_of_the_study_is_an_artifact_that_shows(
    told: tuple[Path, dict[str, Any]], address: str, page: Browser, tmp_path: Path
) -> None:
    """Feeds side by side too; MLflow gives the page no storage and no address of its own."""
    run_id = told[1]["mlflow_run_id"]
    page.open(f"{address}/#/experiments/1/runs/{run_id}/artifacts/report.html")
    page.until("document.querySelector('iframe') !== null")
    with page.frame() as inside:
        inside.wait("Did feeds change", "long-time users")
        inside.until("document.querySelectorAll('.phone').length === 2")
        inside.until("document.querySelectorAll('.phone .post').length === 10")
        inside.until("document.querySelectorAll('[data-plot] svg').length > 0")
    page.picture(tmp_path / "artifact.png")
