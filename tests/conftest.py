"""What holds for all tests, and a list of those that take long and do not say so."""

import resource
import time
from contextlib import contextmanager

import pytest
from hypothesis import settings
from numba.core import event

LONG = 10.0
"""Seconds of CPU time, without what numba compiles, from which on a test is marked `slow`."""

# No deadline, since a machine may be busy. `make test-all` loads "explore": new cases each time.
settings.register_profile("recsys", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("recsys")

pytest.register_assert_rewrite("tests.kit")  # its checks say what they compared, as tests do


class Compiling(event.Listener):
    """CPU seconds that this process has spent in numba's compiler."""

    seconds, depth, started = 0.0, 0, 0.0

    def on_start(self, event):
        if self.depth == 0:
            self.started = time.process_time()
        self.depth += 1

    def on_end(self, event):
        self.depth -= 1
        if self.depth == 0:
            self.seconds += time.process_time() - self.started


compiling = Compiling()
event.register("numba:compile", compiling)


def cpu_seconds():
    """Of this process and of those that it has waited for, without numba's compiler."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used) - compiling.seconds


@contextmanager
def shortlists_made(name):
    """Logs of tests have few items, of which no shortlists are made; tests of pruning want them."""
    with pytest.MonkeyPatch.context() as patch:
        if "pruned" in name:
            from recsys.recommenders import shortlist

            patch.setattr(shortlist, "_FEW", 0)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """CPU time does not depend on what else the machine does, as time on the clock would."""
    before = cpu_seconds()
    try:
        with shortlists_made(item.name):
            return (yield)
    finally:
        took = cpu_seconds() - before
        if took > LONG and item.get_closest_marker("slow") is None:
            item.user_properties.append(("long", took))


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    long = {
        report.nodeid: dict(report.user_properties)["long"]
        for report in reports
        if "long" in dict(getattr(report, "user_properties", ()))
    }
    if long:
        terminalreporter.section(f"above {LONG:g} s of CPU time and not marked slow")
        for test, seconds in sorted(long.items(), key=lambda pair: -pair[1]):
            terminalreporter.line(f"{seconds:6.1f} s  {test}")
