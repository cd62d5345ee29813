"""Claim 5: random groups of incumbents of a real log are seldom accused, whatever the audit prints.

A group of incumbents takes the newcomers' place, and goes through all that a study of a log does.
It is drawn by lot within strata of activity, so whatever is found is a false alarm. There are
groups of whole users and, where the log has times, groups of users who joined on one day
(`recsys.checks.proof.lots`); the latter are seen by exposure, too.

Many groups share their fits: a batch divides the incumbents outside the panel into two halves,
draws groups from each, and holds some groups of each half against all groups of the other. So an
accused group has no member in common with its placebos, as newcomers have not. The groups of a
batch share panel, halves and placebos, and their alarms come together; batches differ in all three.
The view by exposure has no placebos: what changed is the same for all groups of a log, and who was
exposed differs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from recsys.checks.proof.claims import Figure
from recsys.checks.proof.lots import JOINED, Lots, Way, joined_users, whole_users
from recsys.checks.verdicts import mean_and_ends
from recsys.config import Study
from recsys.core.lazy import lazy
from recsys.measures.pair import FeedPair, Measure
from recsys.mitigations.build import make_recommender
from recsys.recommenders import Ranking
from recsys.statistics import nested_interval
from recsys.study.arms.measured_log import MeasuredLog
from recsys.study.arms.measuring import Group
from recsys.study.tables.drift import drift_of_log, primaries_of_log
from recsys.study.tables.matching import matching_table
from recsys.study.tables.mix import mix_of
from recsys.study.verdicts.exposure import CHANGED, NO_VERDICT, verdicts_by_exposure
from recsys.study.verdicts.log import FEEDS, TESTED, said_of_newcomers
from recsys.study.verdicts.value import Finding

EXPOSURE = "exposure"
"""The verdict of the view by exposure, beside `FEEDS`, `MIX` and `QUALITY`."""
_QUALITIES = ("ndcg",)
_ALARMS = {
    "batch": pl.Int64,
    "group": pl.Int64,
    "verdict": pl.String,
    "placebos": pl.String,
    "recommender": pl.String,
    "p_value": pl.Float64,
    "alarm": pl.Boolean,
}
"""Columns of the rows of a batch. `placebos` is the sort of groups; empty for the view by exposure,
which has none. `recommender` is empty where all of a study are judged at once. `alarm` is empty
where the audit says that nothing can be tested."""
_CLAIM = "random groups of long-time users accused"


@dataclass(frozen=True)
class _Tested:
    """The log of a study, of which only what verdicts rest on is measured; see `AboutLog`."""

    log: MeasuredLog

    @lazy
    def measures(self) -> dict[str, Measure]:
        """The measures that verdicts rest on, by name."""
        tested = {TESTED, *_QUALITIES, *self.log.source.attributes}
        measures = self.log.measures.items()
        return {name: m for name, m in measures if name.partition(":")[0] in tested}

    def pair(self, group: Group, reference: Ranking) -> FeedPair:
        """See `AboutLog`."""
        return self.log.pair(group, reference)

    def pool(self) -> None:
        """None: attention is not judged."""

    @property
    def columns(self) -> Mapping[str, str]:
        """No attribute: these feeds are not shown."""
        return {}


def run_alarms(study: Study, batch: int, groups: int, draws: int) -> pl.DataFrame:
    """The alarms of one batch.

    Args:
        study: a study of a log. Its newcomers stay in the log where groups are whole users, and are
            in no group.
        batch: number of the batch, from 0.
        groups: number of groups of each sort that are accused, an even number such as 20.
        draws: number of placebo groups of each, such as 39; at least half of `groups`.

    Returns:
        A row for each accused group and verdict, in the columns of `_ALARMS`.

    Raises:
        ConfigError, LogError: the log cannot be used.
    """
    log = MeasuredLog(study.log, study.evaluation, study.first_seed + batch)
    log.check()
    numbers = range(1, groups // 2 + 1)
    rows = list(_by_removal(study, whole_users(log), numbers, range(1, draws + 1)))
    if log.train.has_times:
        joined = joined_users(log)
        if joined is None:
            rows += [_row(0, FEEDS, None, placebos=JOINED), _row(0, EXPOSURE, None)]
        else:
            rows += _by_removal(study, joined, numbers, range(1, draws + 1))
            rows += _by_exposure(log, joined, numbers)
    return pl.DataFrame([{"batch": batch, **row} for row in rows], schema=_ALARMS)


def _by_removal(
    study: Study, lots: Lots, groups: Sequence[int], draws: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """What an audit says of each group, by each recommender alone and by all of them."""
    about = _Tested(lots.log)
    audits: dict[tuple[int, int], list[pl.DataFrame]] = {}
    for spec in study.recommenders:
        for chain in study.chains_for(spec.name):
            recommender = make_recommender(spec, chain, anew=study.loop == "open")
            way = Way(recommender, (spec.name, chain.name), about)
            for half, number, rows in lots.audits(way, groups, draws):
                audits.setdefault((half, number), []).append(rows)
    for (half, number), parts in audits.items():
        studies = {_name_of(part): part for part in parts}
        if len(parts) > 1:
            studies[None] = pl.concat(parts)
        matching = matching_table(lots.halves[1 - half]).row(0, named=True)
        for name, per_user in studies.items():
            drift, mix = _tables(per_user, study, matching["crowding"])
            for said in said_of_newcomers(drift, mix, matching):
                of = {"placebos": lots.sort, "recommender": name, "p_value": said.p_value}
                yield _row(2 * number + half, said.about, said.accused, **of)


def _name_of(per_user: pl.DataFrame) -> str | None:
    recommender, mitigation = per_user.select("recommender", "mitigation").row(0)
    return Finding(recommender, mitigation, "").name


def _tables(
    per_user: pl.DataFrame, study: Study, crowding: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables `drift` and `mix` of a study."""
    attributes = study.log.attributes
    mixes = [name for name in per_user.columns if name.partition(":")[0] in attributes]
    drift = drift_of_log(
        per_user.drop(mixes), crowding, primaries_of_log(attributes), same_seed=True
    )
    return drift, mix_of(per_user, attributes, crowding)


def _by_exposure(log: MeasuredLog, joined: Lots, groups: Sequence[int]) -> Iterator[dict[str, Any]]:
    """What the view by exposure says of each group; no alarm where it gives no verdict."""
    for half in (0, 1):
        for number in groups:
            verdicts = verdicts_by_exposure(log.exposed_in(joined.wave(half, number)).table)
            given = [verdict.p_value for verdict in verdicts if verdict.answer != NO_VERDICT]
            accused = any(verdict.answer == CHANGED for verdict in verdicts) if verdicts else None
            yield _row(2 * number + half, EXPOSURE, accused, p_value=min(given, default=None))


def _row(group: int, verdict: str, accused: bool | None, **more: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("placebos", "recommender", "p_value"))
    return {"group": group, "verdict": verdict, **nothing, **more, "alarm": accused}


def alarms(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[Figure]]:
    """How often each verdict accused a group.

    Args:
        rows: of `run_alarms`, of all batches.

    Returns:
        verdict · placebos · recommender · alarms · groups (that could be judged) · share; and the
        figures of claim 5, whose intervals are over batches.
    """
    table, figures = [], []
    for (verdict, placebos, recommender), part in rows.group_by(
        "verdict", "placebos", "recommender", maintain_order=True
    ):
        judged = part.drop_nulls("alarm")
        by_batch = judged.group_by("batch", maintain_order=True).agg(pl.col("alarm").mean())
        nothing = (float("nan"),) * 3
        interval = (
            mean_and_ends(nested_interval(by_batch["alarm"].to_numpy()[None]))
            if judged.height
            else nothing
        )
        alarmed = int(judged["alarm"].sum())
        table.append((verdict, placebos, recommender, alarmed, judged.height, interval[0]))
        who = () if placebos is None else (placebos, recommender or "all recommenders")
        figures.append(Figure(_CLAIM, ", ".join((verdict, *who)), *interval, judged.height))
    columns = ("verdict", "placebos", "recommender", "alarms", "groups", "share")
    return pl.DataFrame(table, schema=columns, orient="row"), figures
