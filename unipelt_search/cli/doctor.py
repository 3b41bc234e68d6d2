"""One line about the machine, for errors that the machine and not the request is to blame for."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from unipelt_search.settings import hub_is_offline

_PACKAGES = ("unipelt-search", "torch", "transformers", "ray", "optuna", "sqlalchemy")


def doctor_line() -> str:
    """Say what a maintainer would ask first: versions, cores, memory, GPUs, free disk, and whether the hub is off.

    Returns:
        One line. Nothing is imported for it that is not loaded yet, so that it works where an import is what failed.
    """
    import psutil

    facts = [f"{package} {_version(package)}" for package in _PACKAGES]
    facts.append(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    facts.append(f"{psutil.cpu_count()} cores")
    facts.append(f"{psutil.virtual_memory().available / 2**30:.1f} GiB memory free")
    facts.append(f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB disk free here")
    torch = sys.modules.get("torch")
    if torch is not None:
        facts.append(f"{torch.cuda.device_count()} GPUs")
    if hub_is_offline():
        facts.append("HF_HUB_OFFLINE is set")
    return f"This machine: {', '.join(facts)}."


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
