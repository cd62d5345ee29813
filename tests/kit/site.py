"""The documents as the sources of a site.

The pages of docs/, README.md, ARCHITECTURE.md and CHANGELOG.md, the notebooks and the configuration
reference are written to `build/docs/`, where their links lead to one another; Zensical then makes
`build/site/` of them, as `mkdocs.yml` says.
"""

import json
import os
import re
import shutil
from pathlib import Path

from tests.kit.reference import configuration

ABOVE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
}
"""Files of the repository's root, and their places in the site."""
LINK = re.compile(r"(\]\(|src=\")([^)\"\s#:]+)(#[^)\s]*)?([)\"])")
CODE = re.compile(r"(^```.*?^```$|`[^`\n]*`)", re.MULTILINE | re.DOTALL)


def lay_out(root: Path, out: Path) -> int:
    """Writes the sources of the site.

    Args:
        root: the root of the repository.
        out: the folder to write; it is deleted first.

    Returns:
        The number of pages.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name, place in ABOVE.items():
        text = (root / name).read_text(encoding="utf-8")
        (out / place).write_text(linked(text, "") if name.endswith(".md") else text, "utf-8")
    for path in sorted((root / "docs").iterdir()):
        if path.suffix == ".md":
            text = linked(path.read_text(encoding="utf-8"), "docs/")
            (out / path.name).write_text(text, encoding="utf-8")
        elif path.is_file():
            shutil.copy(path, out / path.name)
    for path in sorted((root / "docs/notebooks").glob("*.ipynb")):
        (out / f"notebook-{path.stem}.md").write_text(as_page(path), encoding="utf-8")
    (out / "configuration.md").write_text(configuration(), encoding="utf-8")
    return len(list(out.glob("*.md")))


def linked(text: str, folder: str) -> str:
    """A page whose links lead to pages of the site instead of files of the repository.

    Args:
        text: the page, in Markdown.
        folder: the folder of its file, such as `docs/`, or nothing for the root.

    Raises:
        ValueError: a link leads to a file that the site lacks.

    >>> linked("[what changed](../CHANGELOG.md#added)", "docs/")
    '[what changed](changelog.md#added)'
    """

    def moved(found: re.Match[str]) -> str:
        path = os.path.normpath(folder + found[2])
        if path in ABOVE:
            path = ABOVE[path]
        elif path.startswith("docs/notebooks/"):
            path = f"notebook-{Path(path).stem}.md"
        elif path.startswith("docs/"):
            path = path.removeprefix("docs/")
        else:
            raise ValueError(f"{found[0]}: the site has no page for {path}")
        return f"{found[1]}{path}{found[3] or ''}{found[4]}"

    parts = CODE.split(text)
    parts[::2] = (LINK.sub(moved, prose) for prose in parts[::2])
    return "".join(parts)


def as_page(path: Path) -> str:
    """A notebook in Markdown, its code as blocks of Python."""
    pages = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        pages.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    pages.append(f"This page is the notebook `docs/notebooks/{path.name}`.")
    return linked("\n\n".join(pages) + "\n", "docs/notebooks/")
