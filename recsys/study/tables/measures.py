"""The table `measures`: title, unit and formula of each measure that the other tables hold."""

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from recsys.measures.attention_rows import EXPOSURE_FORMULAS
from recsys.measures.registry import MEASURES
from recsys.measures.rows import Attributes, described, measures_of
from recsys.study.tables.cubes import measure_columns
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
    """A row for each measure of the per-user rows and of the table `exposure`.

    Args:
        per_user: as in `StudyResult.per_user`.
        attributes: attributes of a log, by the names that they have in the config. They have
            measures of their own, such as the share of each value (`format:video`).
        more: names of measures in other tables.

    Returns:
        The columns of `COLUMNS`.
    """
    names = list(dict.fromkeys([*measure_columns(per_user), *more]))
    shares = [name.partition(":") for name in names if ":" in name]
    of_attributes: Attributes = {
        attribute: (
            np.zeros(1, dtype=np.int32),
            [value for name, _, value in shares if name == attribute],
        )
        for attribute in {**attributes, **{name: "" for name, _, _ in shares}}
    }
    measures = {**MEASURES, **measures_of([], of_attributes)}
    of_users = described({name: measures[name] for name in names if name in measures})
    of_attention = [
        (name, name.replace("_", " "), "exposure", "", formula)
        for name, formula in EXPOSURE_FORMULAS.items()
    ]
    return pl.concat([of_users, pl.DataFrame(of_attention, schema=of_users.schema, orient="row")])
