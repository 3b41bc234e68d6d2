"""Child processes that begin with everything imported, so that a crash test need not wait for imports."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["faults.simulated_study"])


def start(call: Callable[..., None], *given: object, **named: object) -> BaseProcess:
    """Call a function of `faults.simulated_study` in a process of its own."""
    # The server that forks the children reads the path from the environment when it starts.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT), str(_ROOT / "tests")])
    process: BaseProcess = _CONTEXT.Process(target=call, args=given, kwargs=named)
    process.start()
    return process


def run(call: Callable[..., None], *given: object, **named: object) -> int:
    """Call a function in a process of its own to its end; returns the exit code, negative behind a signal."""
    process = start(call, *given, **named)
    process.join()
    assert process.exitcode is not None
    return process.exitcode
