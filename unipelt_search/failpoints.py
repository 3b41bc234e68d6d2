"""Faults on demand, so that tests can let every durable step fail; off unless ``UNIPELT_FAILPOINTS`` is set.

A failpoint is a name that the code passes through: `reach("run.finish.before")`. The variable says what happens there::

    UNIPELT_FAILPOINTS="run.finish.before=kill@3;run.start.after=delay:0.5@1;log=/tmp/fired"

`kill` ends the process as SIGKILL does, `raise` raises `InjectedError`, `away` the error of a database that does not
respond, `full` that of a full disk, `delay:SECONDS` waits; each on the n-th time that the point is reached, once. What
fired is appended to the log before it happens, because a killed process cannot tell.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from unipelt_search.errors import RequestError, StorageError, TransientError
from unipelt_search.settings import failpoints

_FAULT = re.compile(r"(?P<name>[\w.]+)=(?P<action>kill|raise|away|full|delay)(:(?P<seconds>[\d.]+))?@(?P<hit>[1-9]\d*)")


class InjectedError(StorageError):
    """What the action `raise` raises: the storage failed for some other reason."""


@dataclass(frozen=True)
class _Fault:
    action: str
    seconds: float
    hit: int


@dataclass
class _Plan:
    faults: dict[str, _Fault] = field(default_factory=dict)
    log: Path | None = None
    hits: Counter[str] = field(default_factory=Counter)


_plan: _Plan | None = None


def reach(name: str) -> None:
    """Pass a failpoint: nothing happens unless a fault is planned there.

    Args:
        name: The point, for example ``run.finish.before``.

    Raises:
        InjectedError: The planned action is `raise`.
        TransientError: The planned action is `away`.
        OSError: The planned action is `full`.
    """
    global _plan
    if _plan is None:
        _plan = _parse(failpoints())
    fault = _plan.faults.get(name)
    if fault is None:
        return
    _plan.hits[name] += 1
    if _plan.hits[name] != fault.hit:
        return
    if _plan.log is not None:
        with _plan.log.open("a", encoding="utf-8") as log:
            log.write(f"{name} {fault.action}\n")
    match fault.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise InjectedError(f"A test asked for an error at {name}.")
        case "away":
            raise TransientError(f"The database does not respond, as a test asked for at {name}.")
        case "full":
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, as a test asked for at {name}")
        case "delay":
            time.sleep(fault.seconds)


def arm(text: str) -> None:
    """Plan faults for this process, instead of those of the environment.

    Args:
        text: What ``UNIPELT_FAILPOINTS`` would hold; empty plans none.

    Raises:
        RequestError: It cannot be read.
    """
    global _plan
    _plan = _parse(text)


def _parse(text: str) -> _Plan:
    plan = _Plan()
    for word in filter(None, text.split(";")):
        fault = _FAULT.fullmatch(word)
        if word.startswith("log="):
            plan.log = Path(word.removeprefix("log="))
        elif fault is None:
            raise RequestError(
                f"UNIPELT_FAILPOINTS must hold faults such as run.finish.before=kill@1, with semicolons in between; "
                f"got {word!r}. Unset it outside of tests."
            )
        else:
            seconds = float(fault["seconds"] or 0)
            plan.faults[fault["name"]] = _Fault(fault["action"], seconds, int(fault["hit"]))
    return plan
