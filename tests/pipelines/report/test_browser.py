"""The page in a real browser: nothing overlaps or leaves its frame, in light and dark."""

import re
import subprocess
from pathlib import Path

import pytest

from pipelines.report.page import save_page
from recsys.study.result import StudyResult
from tests.kit.browser import CHROMIUM, FLAGS, NEEDS_CHROMIUM

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

PROBE = """
<script>
setTimeout(() => {
  const box = (node) => node.getBoundingClientRect();
  const frames = [...document.querySelectorAll("[data-plot] svg")];
  const out = [], over = [];
  for (const frame of frames) {
    const edge = box(frame);
    const texts = [...frame.querySelectorAll("text")].filter((t) =>
      t.textContent.trim() && t.getAttribute("stroke") === null &&
      getComputedStyle(t).opacity !== "0");  // labels that would overlap are hidden so
    for (const t of texts) {
      const b = box(t);
      if (b.left < edge.left - 1 || b.right > edge.right + 1 || b.top < edge.top - 1 ||
          b.bottom > edge.bottom + 1) out.push(t.textContent);
    }
    for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++) {
      const [a, b] = [box(texts[i]), box(texts[j])];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1 && high > 3) over.push(
        texts[i].textContent + " / " + texts[j].textContent + " in " + frame.closest("figure").id);
    }
  }
  const found = {
    plots: document.querySelectorAll("[data-plot]").length, drawn: frames.length,
    phones: document.querySelectorAll(".phone").length,
    posts: document.querySelectorAll(".phone .post").length,
    out, over, wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
  const seen = document.createElement("pre");
  seen.id = "probe";
  seen.textContent = JSON.stringify(found);
  document.body.append(seen);
}, 2500);
</script></body>
"""


def seen(page: Path, width: int, place: Path, *more: str) -> dict[str, object]:
    """What the probe saw on the page in a window of this width."""
    import json

    probed = place / "probed.html"
    text = page.read_text(encoding="utf-8")
    probed.write_text(PROBE.join(text.rsplit("</body>", 1)), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, *FLAGS, "--virtual-time-budget=10000",
            f"--user-data-dir={place / 'profile'}", f"--window-size={width},2000", *more,
            "--dump-dom", probed.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)
    assert found is not None, done.stderr[-2000:]
    from html import unescape

    probe: dict[str, object] = json.loads(unescape(found[1]))
    return probe


@pytest.mark.parametrize("kind", ["course_result", "log_result"])
@pytest.mark.parametrize("width", [1280, 500])
def test_labels_stay_in_their_frame_and_apart(
    kind: str, width: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    result: StudyResult = request.getfixturevalue(kind)
    save_page(result, tmp_path / "report.html")
    probe = seen(tmp_path / "report.html", width, tmp_path)
    assert probe["plots"] == probe["drawn"] != 0
    assert probe["phones"] == 2
    assert probe["posts"] == 2 * result.study.evaluation.k
    assert probe["out"] == []
    assert probe["over"] == []
    assert probe["wide"] == 0
