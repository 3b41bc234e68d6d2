from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unipelt_search import failpoints
from unipelt_search.errors import RequestError, TransientError


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_nothing_happens_unless_it_is_planned(tmp_path: Path) -> None:
    failpoints.arm(f"run.start.after=raise@1;log={tmp_path}/fired")
    failpoints.reach("run.start.before")
    assert not (tmp_path / "fired").exists()


def test_a_fault_happens_on_its_hit_and_once_and_is_written_down(tmp_path: Path) -> None:
    failpoints.arm(f"a.b=raise@2;c=full@1;d=delay:0.001@1;e=away@1;log={tmp_path}/fired")
    failpoints.reach("a.b")
    with pytest.raises(failpoints.InjectedError, match=r"at a\.b"):
        failpoints.reach("a.b")
    failpoints.reach("a.b")
    with pytest.raises(OSError) as caught:
        failpoints.reach("c")
    assert caught.value.errno == errno.ENOSPC
    failpoints.reach("d")
    with pytest.raises(TransientError, match=" at e"):
        failpoints.reach("e")
    assert (tmp_path / "fired").read_text() == "a.b raise\nc full\nd delay\ne away\n"


def test_the_environment_plans_a_kill(tmp_path: Path) -> None:
    code = "from unipelt_search.failpoints import reach; reach('x'); print('once', flush=True); reach('x'); print('no')"
    environment = {"UNIPELT_FAILPOINTS": f"x=kill@2;log={tmp_path}/fired", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-9, "once\n")
    assert (tmp_path / "fired").read_text() == "x kill\n"


@pytest.mark.parametrize("text", ["x", "x=kill", "x=kill@0", "x=burn@1", "x=kill@1,y=kill@1"])
def test_a_plan_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="UNIPELT_FAILPOINTS must hold faults"):
        failpoints.arm(text)
