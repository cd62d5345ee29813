"""The time left of a study, from the steps so far."""

from pipelines.report.remaining import Remaining, in_words
from recsys.core.steps import MAKING_TABLES, MEASURING, SIMULATING


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _study(clock: _Clock, **options: object) -> Remaining:
    """Two cells of als and one of trending, each of one simulated day and three measured ones."""
    remaining = Remaining(clock=clock, **options)  # type: ignore[arg-type]
    for name, kind in (("a", "als"), ("b", "als"), ("c", "trending")):
        remaining.expect(name, kind, {SIMULATING: 1.0, MEASURING: 3.0})
    return remaining


def _run(remaining: Remaining, clock: _Clock, name: str, kind: str, seconds: float) -> None:
    remaining.begin(SIMULATING, "seed 0, influx, day 1")
    clock.now += 10
    for day in range(3):
        remaining.begin(MEASURING, f"{kind}, seed 0, influx, day {day}")
        clock.now += seconds
    remaining.finish(name)


def test_nothing_is_known_before_a_step_of_each_phase() -> None:
    clock = _Clock()
    remaining = _study(clock)
    assert remaining.left() is None
    remaining.begin(SIMULATING, "seed 0, influx, day 1")
    clock.now = 10.0
    remaining.begin(MEASURING, "als, seed 0, influx, day 0")
    assert remaining.left() is None


def test_steps_left_times_their_length() -> None:
    clock = _Clock()
    remaining = _study(clock)
    _run(remaining, clock, "a", "als", 2.0)
    assert remaining.left() == 2 * (10 + 3 * 2.0)  # trending is taken to be as long as als
    _run(remaining, clock, "c", "trending", 0.5)
    assert remaining.left() == 10 + 3 * 2.0


def test_what_comes_after_the_last_cell_is_part_of_it() -> None:
    clock = _Clock()
    remaining = _study(clock, afterwards=20.0)
    for name, kind in (("a", "als"), ("b", "als"), ("c", "trending")):
        _run(remaining, clock, name, kind, 2.0)
    assert remaining.left() == 20.0
    remaining.begin(MAKING_TABLES, "headline")
    clock.now += 5
    assert remaining.left() == 15.0
    remaining.begin("writing files", "")
    clock.now += 60
    assert remaining.left() == 0.0


def test_threads_share_the_work() -> None:
    clock = _Clock()
    one, two = _study(clock), _study(clock, workers=2, simulating=1)
    for remaining in (one, two):
        start = clock.now
        _run(remaining, clock, "a", "als", 2.0)
        clock.now = start
    assert one.left() is not None
    assert two.left() == 2 * (10 + 3 * 2.0 / 2)  # a world's days are simulated one by one


def test_a_cell_that_was_kept_takes_no_time() -> None:
    clock = _Clock()
    remaining = _study(clock)
    _run(remaining, clock, "a", "als", 2.0)
    remaining.finish("b")
    remaining.finish("c")
    assert remaining.left() == 0.0


def test_the_time_left_falls_while_a_step_runs() -> None:
    clock = _Clock()
    remaining = _study(clock)
    _run(remaining, clock, "a", "als", 2.0)
    remaining.begin(SIMULATING, "seed 1, influx, day 1")
    before = remaining.left()
    clock.now += 4
    after = remaining.left()
    assert before is not None
    assert after == before - 4
    clock.now += 60
    assert remaining.left() == before - 10  # the step takes longer than it was thought to


def test_words_never_say_nothing_is_left() -> None:
    assert in_words(0.0) == "a few seconds left"
    assert in_words(54.0) == "about 50 s left"
    assert in_words(56.0) == "about 1 min left"


def test_threads_without_a_cell_shorten_nothing() -> None:
    clock = _Clock()
    remaining = Remaining(2, clock=clock)
    remaining.expect("a", "als", {SIMULATING: 4.0, MEASURING: 1.0})
    for day in range(2):
        remaining.begin(SIMULATING, f"seed 0, influx, day {day}")
        clock.now += 10
    remaining.begin(MEASURING, "als, seed 0, influx, day 0")
    clock.now += 1
    remaining.begin(SIMULATING, "seed 0, influx, day 2")
    assert remaining.left() == 1 * 10 + 10  # one day that has not begun, and the one that runs
