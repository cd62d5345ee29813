"""Jobs in threads: their order, and that no result depends on it."""

import gc
import threading
import time
import weakref
from typing import NamedTuple

import pytest

from recsys.core import jobs
from recsys.core.jobs import Threads, begun_ahead, groups_at_once, run_all
from recsys.core.kept import Kept


class _Job(NamedTuple):
    group: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.group}{self.number}"

    @property
    def identity(self) -> str:
        return self.name


JOBS = [_Job(group, number) for group in "abcd" for number in range(4)]


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 40])
def test_every_job_has_one_turn_and_groups_keep_their_order(threads: int) -> None:
    order = begun_ahead([job.group for job in JOBS], threads)
    assert sorted(order) == list(range(len(JOBS)))
    for group in "abcd":
        own = [JOBS[place].number for place in order if JOBS[place].group == group]
        assert own == sorted(own)


def test_one_thread_takes_the_jobs_as_they_come() -> None:
    assert begun_ahead([job.group for job in JOBS], 1) == list(range(len(JOBS)))
    assert begun_ahead([], 3) == []


@pytest.mark.parametrize("threads", [1, 2, 4, 9])
def test_no_group_begins_while_too_many_are_unfinished(threads: int) -> None:
    """A group that is begun when all others that are kept have jobs left would push one out."""
    order = begun_ahead([job.group for job in JOBS], threads)
    most, left, begun = groups_at_once(threads, 4), dict.fromkeys("abcd", 4), set()
    for place in order:
        group = JOBS[place].group
        begun.add(group)
        assert sum(left[one] > 0 for one in begun) <= most
        left[group] -= 1


def test_two_threads_make_what_two_groups_share_at_the_same_time() -> None:
    """In any other order the second thread waits for what the first one is making."""
    both = threading.Barrier(2, timeout=10)
    made = {group: threading.Lock() for group in "abcd"}
    begun: set[str] = set()

    def work(job: _Job) -> str:
        with made[job.group]:
            if job.group in "ab" and job.group not in begun:
                begun.add(job.group)
                both.wait()
        return job.name

    found = run_all(JOBS, work, Threads(2), together=lambda job: job.group)
    assert found == [job.name for job in JOBS]
    assert begun == {"a", "b"}


@pytest.mark.parametrize("stored", [False, True], ids=["all run", "the last of each is stored"])
@pytest.mark.parametrize("threads", [1, 2])
def test_worlds_are_freed_when_later_groups_run(
    threads: int, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they name themselves, and Python does not look for such circles by itself."""
    monkeypatch.setattr(jobs, "_LONG", 0.01)
    kept = Kept[str, _World](groups_at_once(threads, 4))
    made: list[weakref.ref[_World]] = []

    def begun() -> _World:
        world = _World()
        made.append(weakref.ref(world))
        return world

    alive: list[int] = []

    def count() -> None:
        alive.append(sum(world() is not None for world in made))

    def work(job: _Job) -> None:
        kept(job.group, begun)
        time.sleep(0.011)
        if threads == 1:  # of two, one may begin before the other has looked
            count()

    store = {job.identity: None for job in JOBS if stored and job.number == 3}
    gc.disable()
    try:
        run_all(JOBS, work, Threads(threads), store=store, together=lambda job: job.group)
        count()
    finally:
        gc.enable()
    assert len(made) == 4 or threads == 2  # two may take the last job of a group and the next one
    assert max(alive) <= 2


class _World:
    """Something that names itself."""

    def __init__(self) -> None:
        self.itself = self
