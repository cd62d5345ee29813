"""Makes the pictures of the documents from a finished study: `make pictures`.

A browser without a window opens the study's page; what surrounds the phones is hidden, and the
picture is saved with few colours.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, os.getcwd())

import recsys
from pipelines.program import config_in
from pipelines.report.page import save_page
from pipelines.storage.cells import CellStore

OUT = Path("docs/feeds.png")
SHOWN = 10
"""Slots of each feed that are on the picture."""
ONLY_PHONES = f"""<style>
header, #pictures, #tables, footer, .picker, aside {{display: none !important}}
body {{padding: 1.2rem; max-width: none}} h2 {{margin: 0 0 .8rem}}
.stage {{grid-template-columns: 1fr !important}} .post:nth-child(n + {SHOWN + 1}) {{display: none}}
</style>"""
CHOOSE = """<script>
const pick = (id, text) => {
  const box = document.getElementById(id);
  const found = [...box.options].findIndex((each) => each.text.startsWith(text));
  if (found >= 0) { box.selectedIndex = found; box.dispatchEvent(new Event("change")); }
};
pick("pick-recommender", "als");
pick("pick-user", "Typical");
</script>"""
SIZE = (730, 1050)


def main(words: list[str]) -> int:
    """Runs the study, or takes it from finished cells, and writes the picture."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if browser is None:
        print("make pictures needs Chromium: apt-get install chromium", file=sys.stderr)
        return 2
    path, changes = config_in(words, "configs/demo.yaml")
    study = recsys.load_study(path, changes)
    result = recsys.run(study, store=CellStore(study))
    with tempfile.TemporaryDirectory() as place:
        page, shot = Path(place) / "page.html", Path(place) / "shot.png"
        save_page(result, page)
        picture_of(page, shot, browser)
        smaller(shot, OUT)
    print(f"{OUT}: {OUT.stat().st_size:,} bytes")
    return 0


def picture_of(page: Path, shot: Path, browser: str) -> None:
    """Saves the phones of a page as a PNG."""
    text, end = page.read_text(encoding="utf-8").rsplit("</body>", 1)
    text += f"{CHOOSE}{ONLY_PHONES}</body>{end}"
    page.write_text(text, encoding="utf-8")
    subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--virtual-time-budget=8000", f"--window-size={SIZE[0]},{SIZE[1]}",
            "--force-device-scale-factor=1.5", f"--screenshot={shot}", page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )  # fmt: skip


def smaller(shot: Path, out: Path) -> None:
    """Saves a PNG with 48 colours."""
    from PIL import Image

    with Image.open(shot) as image:
        image.convert("RGB").quantize(48, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
