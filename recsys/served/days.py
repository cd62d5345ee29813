"""Which day of one frame is set beside which day of another, and where the floor comes from.

Both feeds of a pair are of the same day wherever the frames share days. Frames that share none,
A's days all being earlier, are a before and an after: each day of B is set beside A's last day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from recsys.core.errors import LogError
from recsys.served.read import Numbers, Served


@dataclass(frozen=True)
class Plan:
    """What is compared with what; days are places in `Numbers.days`.

    Attributes:
        kind: whether feeds are compared on the same day, or after with before.
        floor: what the floor is measured on, if there is one.
        pairs: (day of A, day of B) of each comparison; B's day names it.
        floors: for each day of B, pairs of days: of A and C, or of A alone (turnover).
    """

    kind: Literal["same day", "before and after"]
    floor: Literal["reference", "turnover"] | None
    pairs: tuple[tuple[int, int], ...]
    floors: Mapping[int, tuple[tuple[int, int], ...]]

    @property
    def before(self) -> dict[int, int]:
        """The last day that was compared before each, where the same days are compared: what a
        feed's turnover is since. Days of a before and an after are not as far apart, so none."""
        days = [day for _, day in self.pairs]
        return dict(zip(days[1:], days, strict=False)) if self.kind == "same day" else {}


def plan_days(feeds: dict[str, Served], numbers: Numbers) -> Plan:
    """Pairs of days to compare.

    Args:
        feeds: of "a", "b" and, if there is one, "reference".
        numbers: what their days stand for.

    Raises:
        LogError: frames whose days cannot be paired.
    """
    before, after = feeds["a"].days, feeds["b"].days
    shared = [day for day in after if day in before]
    third = feeds["reference"].days if "reference" in feeds else None
    if shared:
        return _same_day(shared, before, third)
    if before[-1] > after[0]:
        raise LogError(
            f"day: a has {_span(before, numbers)} and b {_span(after, numbers)}, with none in "
            "common and not one before the other; a is compared with b of the same day, or else "
            "its last day with later ones"
        )
    return _before_and_after(before, after, third, numbers)


def _same_day(shared: Sequence[int], before: Sequence[int], third: Sequence[int] | None) -> Plan:
    if third is not None:
        days = [day for day in shared if day in third]
        if not days:
            raise LogError("day: reference has none of the days that a and b share; give it those")
        floors = {day: ((day, day),) for day in days}
        return Plan("same day", "reference", tuple((day, day) for day in days), floors)
    steps = dict(zip(before[1:], before, strict=False))
    floors = {day: ((steps[day], day),) for day in shared if day in steps}
    pairs = tuple((day, day) for day in shared)
    return Plan("same day", "turnover" if floors else None, pairs, floors)


def _before_and_after(
    before: Sequence[int], after: Sequence[int], third: Sequence[int] | None, numbers: Numbers
) -> Plan:
    last = before[-1]
    if third is not None:
        floors = {d: ((last, d if d in third else last),) for d in after if {d, last} & {*third}}
        if not floors:
            raise LogError("day: reference has neither b's days nor a's last; give it one of them")
        pairs = tuple((last, day) for day in after if day in floors)
        return Plan("before and after", "reference", pairs, floors)
    dates = numbers.days.cast(pl.Date).to_physical() if _are_dates(numbers) else numbers.days
    number = [int(day) for day in dates]
    apart: dict[int, list[tuple[int, int]]] = {}
    for earlier in before:
        for later in before:
            if later > earlier:
                apart.setdefault(number[later] - number[earlier], []).append((earlier, later))
    distance = {day: number[day] - number[last] for day in after}
    turnover = {day: tuple(apart[gap]) for day, gap in distance.items() if gap in apart}
    pairs = tuple((last, day) for day in after)
    return Plan("before and after", "turnover" if turnover else None, pairs, turnover)


def _are_dates(numbers: Numbers) -> bool:
    return numbers.days.dtype == pl.Date


def _span(days: Sequence[int], numbers: Numbers) -> str:
    first, last = numbers.days[days[0]], numbers.days[days[-1]]
    return f"day {first}" if first == last else f"days {first} to {last}"
