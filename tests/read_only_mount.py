"""Running a command in a process that sees a folder as a read-only mount."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

_SCRIPT = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && ! touch "$1/x" 2>/dev/null && shift && exec "$@"'


@cache
def can_mount() -> bool:
    """Tell whether this process may make mounts that only its children see."""
    try:
        return subprocess.run(["unshare", "-m", "mount", "--bind", "/tmp", "/tmp"], capture_output=True).returncode == 0
    except OSError:
        return False


def run_read_only(folder: Path, command: list[str]) -> str:
    """Run a command for which the folder is read-only; returns what it printed."""
    whole = ["unshare", "-m", "sh", "-c", _SCRIPT, "sh", str(folder), *command]
    return subprocess.run(whole, capture_output=True, text=True, check=True, env=os.environ).stdout.strip()
