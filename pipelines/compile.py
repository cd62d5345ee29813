"""Compiles what the demo runs, so that the demo itself does not: `make install` does this once.

Numba keeps compiled code beside its source, for one version of the source and one processor.
"""

import recsys
from recsys.recommenders import shortlist

CONFIG = "configs/demo.yaml"
SMALL = (
    "world.incumbents=300",
    "world.influx.newcomers=12",
    "world.days_before=8",
    "world.days_after=2",
    "world.burn_in_days=1",
    "evaluation.days=[0,1]",
    "evaluation.panel=50",
    "seeds=2",
    "workers=1",
)
"""What makes the demo small; it calls the same functions with arguments of the same types."""


def main() -> None:
    """Runs a small demo, of which nothing is kept: as it is, and as if its few items were many."""
    study = recsys.load_study(CONFIG, SMALL)
    recsys.run(study)
    shortlist._FEW = 0
    recsys.run(study)


if __name__ == "__main__":
    main()
