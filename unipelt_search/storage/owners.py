"""Who holds a run: a driver, named so that another one on the same machine can tell whether it still lives."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import psutil

_SEPARATOR = "|"
_PARTS = 5


def new_owner() -> str:
    """Return the name of a new driver: its host, boot and container, process, that one's start, and a random word."""
    pid = os.getpid()
    host = socket.gethostname().replace(_SEPARATOR, "-")[:120]
    parts = [host, _host_id(), str(pid), _started(pid) or "", uuid4().hex[:12]]
    return _SEPARATOR.join(parts)


def is_dead(owner: str) -> bool:
    """Tell whether an owner is provably gone; False where this machine cannot know.

    Args:
        owner: What `new_owner` returned, on this machine or another.

    Returns:
        True when it was a process of this machine, since the same boot, and has ended.
    """
    parts = owner.split(_SEPARATOR)
    if len(parts) != _PARTS or parts[1] != _host_id() or not parts[2].isdigit():
        return False
    # The number alone proves nothing: it may be that of a later process by now.
    return _started(int(parts[2])) != (parts[3] or None)


def format_owner(owner: str) -> str:
    """Return an owner as a message names it.

    Args:
        owner: What `new_owner` returned.

    Returns:
        ``process 4242 on host``, or the name as it is where it is of another form.
    """
    parts = owner.split(_SEPARATOR)
    return f"process {parts[2]} on {parts[0]}" if len(parts) == _PARTS else owner


@cache
def _host_id() -> str:
    """Name what process numbers are unique in: the boot of a machine, and the container on it."""
    facts = [socket.gethostname()]
    with suppress(OSError):  # not Linux: the host's name has to do
        facts += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return sha256("\n".join(facts).encode()).hexdigest()[:12]


def _started(pid: int) -> str | None:
    """Return when a process began, in ticks since the boot; None when there is no such process any more.

    A number is given again to another process, which began later. A zombie has ended.
    """
    try:
        # The name in parentheses may hold anything, parentheses too.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        # Without /proc a living process has no start that could be compared.
        return None if Path("/proc/self/stat").exists() or not psutil.pid_exists(pid) else ""
    return None if fields[0] in {"Z", "X"} else fields[19]
