from __future__ import annotations

import pytest

from unipelt_search.execution.run_times import RunTimes


class Time:
    """A clock that goes on when it is told to, in steps that no driver would take for a sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, times: RunTimes, seconds: float, *running: str) -> dict[str, str]:
        """Look every half minute; returns what the last look found."""
        found: dict[str, str] = {}
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 30.0, until)
            found = times.overdue(running)
        return found


@pytest.fixture
def clock() -> Time:
    return Time()


def test_a_finished_run_took_its_own_seconds_without_the_start_of_its_worker(clock: Time) -> None:
    times = RunTimes(clock)
    times.begin("a")
    clock.now = 50.0
    times.hear("a", 4.0)
    clock.now = 51.0
    times.finish("a")
    assert times.finished == {"a": 5.0}


def test_a_run_may_take_so_long_and_its_worker_needs_time_to_start(clock: Time) -> None:
    times = RunTimes(clock, run_seconds=100.0)
    times.begin("a")
    assert clock.pass_by(times, 390.0, "a") == {}
    times.hear("a", 90.0)
    assert clock.pass_by(times, 10.0, "a") == {}
    found = clock.pass_by(times, 1.0, "a")
    assert found == {"a": "timeout: a run must end within 100 s (machine.run_seconds); this one did not."}


def test_a_silence_that_was_allowed_is_no_more_than_that(clock: Time) -> None:
    times = RunTimes(clock, silence_seconds=20.0)
    for run in ("a", "b"):
        times.begin(run)
    assert clock.pass_by(times, 320.0, "a", "b") == {}
    assert set(clock.pass_by(times, 1.0, "a", "b")) == {"a", "b"}
    times.hear("a", 1.0)
    assert set(clock.pass_by(times, 20.0, "a", "b")) == {"b"}
    found = clock.pass_by(times, 1.0, "a")
    assert found["a"].startswith("timeout: a run must give a sign every 20 s (machine.silence_seconds)")
    assert times.overdue([]) == {}, "a run that has ended is not looked at"


def test_without_limits_of_its_own_a_run_is_given_a_day_and_then_what_others_needed(clock: Time) -> None:
    times = RunTimes(clock)
    times.begin("a")
    times.begin("b")
    assert clock.pass_by(times, 86_700.0, "a", "b") == {}
    assert set(clock.pass_by(times, 1.0, "a", "b")) == {"a", "b"}
    times.hear("b", 5.0)
    clock.pass_by(times, 5.0, "b")
    times.hear("b", 10.0)
    assert clock.pass_by(times, 3600.0, "b") == {}, "an hour at least"
    assert set(clock.pass_by(times, 1.0, "b")) == {"b"}
    times.begin("c")
    times.hear("c", 1.0)
    clock.pass_by(times, 100.0, "c")
    times.hear("c", 101.0)
    assert clock.pass_by(times, 20_000.0, "c") == {}, "200 times the longest"
    assert set(clock.pass_by(times, 1.0, "c")) == {"c"}


def test_a_laptop_that_slept_is_no_silence(clock: Time) -> None:
    times = RunTimes(clock, run_seconds=1000.0, silence_seconds=20.0)
    times.begin("a")
    times.hear("a", 1.0)
    clock.now += 36_000.0
    assert times.overdue(["a"]) == {}
    assert clock.pass_by(times, 19.0, "a") == {}
    assert set(clock.pass_by(times, 2.0, "a")) == {"a"}
