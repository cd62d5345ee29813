"""Plans which days are compared, and which days give the floor.

If A and B share days, feeds of the same day are compared ("same day"). If they share none and all
days of A are earlier, each day of B is compared with the last day of A ("before and after").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from recsys.core.errors import LogError
from recsys.served.read import Numbers, Served


@dataclass(frozen=True)
class Plan:
    """The days to compare; a day is a position in `Numbers.days`.

    Attributes:
        kind: whether feeds are compared on the same day, or later days with an earlier one.
        floor: what the floor is, see `FeedComparison.floor`; None if there is none.
        pairs: (day of A, day of B) of each comparison, which is called by the day of B.
        floors: for the days of B that have a floor, the pairs of days that give it: (day of A, day
            of the reference), or two days of A (turnover).
    """

    kind: Literal["same day", "before and after"]
    floor: Literal["reference", "turnover"] | None
    pairs: tuple[tuple[int, int], ...]
    floors: Mapping[int, tuple[tuple[int, int], ...]]

    @property
    def before(self) -> dict[int, int]:
        """For each compared day the compared day before it, from which turnover is measured.

        Empty for "before and after", where the days of A and B are not equally far apart.
        """
        days = [day for _, day in self.pairs]
        return dict(zip(days[1:], days, strict=False)) if self.kind == "same day" else {}


def plan_days(feeds: dict[str, Served], numbers: Numbers) -> Plan:
    """Pairs the days of the frames.

    Args:
        feeds: feeds by frame: "a", "b" and, if given, "reference".
        numbers: the days that numbers stand for.

    Raises:
        LogError: the days of the frames cannot be paired.
    """
    a_days, b_days = feeds["a"].days, feeds["b"].days
    shared = [day for day in b_days if day in a_days]
    reference_days = feeds["reference"].days if "reference" in feeds else None
    if shared:
        return _same_day(shared, a_days, reference_days)
    if a_days[-1] > b_days[0]:
        raise LogError(
            f"day: a has {_span(a_days, numbers)} and b {_span(b_days, numbers)}; give frames that "
            "share days, or frames where all days of a are earlier than those of b"
        )
    return _before_and_after(a_days, b_days, reference_days, numbers)


def _same_day(
    shared: Sequence[int], a_days: Sequence[int], reference_days: Sequence[int] | None
) -> Plan:
    if reference_days is not None:
        days = [day for day in shared if day in reference_days]
        if not days:
            raise LogError("day: reference has none of the days that a and b share; give it those")
        floors = {day: ((day, day),) for day in days}
        return Plan("same day", "reference", tuple((day, day) for day in days), floors)
    day_before = dict(zip(a_days[1:], a_days, strict=False))
    floors = {day: ((day_before[day], day),) for day in shared if day in day_before}
    pairs = tuple((day, day) for day in shared)
    return Plan("same day", "turnover" if floors else None, pairs, floors)


def _before_and_after(
    a_days: Sequence[int],
    b_days: Sequence[int],
    reference_days: Sequence[int] | None,
    numbers: Numbers,
) -> Plan:
    last = a_days[-1]
    if reference_days is not None:
        floors = {
            day: ((last, day if day in reference_days else last),)
            for day in b_days
            if day in reference_days or last in reference_days
        }
        if not floors:
            raise LogError(
                "day: reference has neither a day of b nor the last day of a; give it one of them"
            )
        pairs = tuple((last, day) for day in b_days if day in floors)
        return Plan("before and after", "reference", pairs, floors)
    # Turnover over the same number of days as between the last day of A and the day of B.
    number = [int(day) for day in numbers.days.to_physical()]
    pairs_by_gap: dict[int, list[tuple[int, int]]] = {}
    for earlier in a_days:
        for later in a_days:
            if later > earlier:
                gap = number[later] - number[earlier]
                pairs_by_gap.setdefault(gap, []).append((earlier, later))
    gaps = {day: number[day] - number[last] for day in b_days}
    turnover = {day: tuple(pairs_by_gap[gap]) for day, gap in gaps.items() if gap in pairs_by_gap}
    pairs = tuple((last, day) for day in b_days)
    return Plan("before and after", "turnover" if turnover else None, pairs, turnover)


def _span(days: Sequence[int], numbers: Numbers) -> str:
    first, last = numbers.days[days[0]], numbers.days[days[-1]]
    return f"day {first}" if first == last else f"days {first} to {last}"
