"""Lays out the documents as a site: `make docs`, which then lets Zensical make `build/site/`."""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.getcwd())

from tests.kit.site import lay_out

OUT = Path("build/docs")

if __name__ == "__main__":
    print(f"{OUT}: {lay_out(Path(), OUT)} pages")
