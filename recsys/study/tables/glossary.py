"""Title, unit and formula of every measure in the other tables."""

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from recsys.measures.attention_rows import EXPOSURE_FORMULAS
from recsys.measures.registry import MEASURES
from recsys.measures.rows import KEYS, Attributes, described, measures_of
from recsys.study.tables.table import Column, Columns

COLUMNS: Columns = {
    "measure": Column(pl.String, "name of a measure that another table has"),
    "title": Column(pl.String, "the same in words"),
    "kind": Column(pl.String, "`drift`, `level` or `exposure`"),
    "unit": Column(pl.String, "unit, such as bits"),
    "formula": Column(pl.String, "formula"),
}


def measures_in(
    per_user: pl.DataFrame, attributes: Mapping[str, str], more: Iterable[str] = ()
) -> pl.DataFrame:
    """The columns of `COLUMNS`, a row for each measure of per-user values and of exposure.

    Args:
        per_user: as in `StudyResult.per_user`.
        attributes: names of attributes that are measured beside the registry's.
        more: measures in other frames.
    """
    columns = list(dict.fromkeys([*(n for n in per_user.columns if n not in KEYS), *more]))
    made: Attributes = {
        name: (
            np.zeros(1, dtype=np.int32),
            [c.partition(":")[2] for c in columns if c.startswith(f"{name}:")],
        )
        for name in {**attributes, **{c.partition(":")[0]: "" for c in columns if ":" in c}}
    }
    known = {**MEASURES, **measures_of([], made)}
    own = described({name: known[name] for name in columns if name in known})
    exposed = [
        (name, name.replace("_", " "), "exposure", "", EXPOSURE_FORMULAS[name])
        for name in EXPOSURE_FORMULAS
    ]
    return pl.concat([own, pl.DataFrame(exposed, schema=own.schema, orient="row")])
