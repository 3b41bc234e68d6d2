"""Starting Ray for a study alone, and what else it changes around it."""

from __future__ import annotations

import logging
import os
import signal

import psutil
import pytest
import ray
from ray._private import ray_constants

from unipelt_search.errors import RequestError
from unipelt_search.execution import ray_session
from unipelt_search.specs.study import MachineSpec


def test_sigterm_is_an_interrupt_before_and_after_the_search_too() -> None:
    with ray_session._terminate_as_interrupt(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_silence_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "1")
    monkeypatch.delenv("TUNE_DISABLE_SIGINT_HANDLER", raising=False)
    level = logging.getLogger("ray").level
    with ray_session._silence():
        assert os.environ["RAY_AIR_NEW_OUTPUT"] == "0"
        assert logging.getLogger("ray").level == logging.CRITICAL
    assert os.environ["RAY_AIR_NEW_OUTPUT"] == "1"
    assert "TUNE_DISABLE_SIGINT_HANDLER" not in os.environ
    assert logging.getLogger("ray").level == level


def test_a_run_that_does_not_fit_is_refused_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_session, "_start_local", lambda capacity: pytest.fail("Ray was started"))
    with pytest.raises(RequestError, match="--cpus-per-trial must fit on this machine"):
        with ray_session.open_ray(MachineSpec(cpus_per_trial=10_000)):
            pass


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_nobody_outside_can_reach_the_ray_of_this_machine() -> None:
    @ray.remote
    def address() -> str:
        return ray.util.get_node_ip_address()

    before = ray_constants.ENABLE_RAY_CLUSTER
    with ray_session.open_ray(MachineSpec(concurrency=1)):
        assert ray.get(address.remote()) == "127.0.0.1"
        assert os.environ["RAY_AUTH_MODE"] == "token", "others on this machine need the user's token"
        ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
        names = {process.name() for process in ours}
        listening = [connection.laddr.ip for process in ours for connection in process.net_connections("inet")
                     if connection.status == psutil.CONN_LISTEN]  # fmt: skip
    assert {"gcs_server", "raylet"} <= names
    assert len(listening) >= 5
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert ray_constants.ENABLE_RAY_CLUSTER is before, "a cluster can be joined afterwards"


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_sigterm_to_every_process_of_a_job_leaves_ray_to_the_driver() -> None:
    @ray.remote
    class Counter:
        def __init__(self) -> None:
            self.calls = 0

        def count(self) -> tuple[int, int]:
            self.calls += 1
            return self.calls, os.getpid()

    before = psutil.Process().children(recursive=True)
    with ray_session.open_ray(MachineSpec(concurrency=1)):
        counter = Counter.remote()
        _, pid = ray.get(counter.count.remote())
        started = set(psutil.Process().children(recursive=True)) - set(before)
        assert {"gcs_server", "raylet"} <= {process.name() for process in started}
        assert pid in {process.pid for process in started}
        for process in started:
            process.terminate()
        _, alive = psutil.wait_procs(started, timeout=2)
        assert set(alive) == started
        assert ray.get(counter.count.remote(), timeout=60) == (2, pid)
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
