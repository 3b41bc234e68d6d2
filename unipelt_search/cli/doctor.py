"""The facts about the machine that a fault is told apart by: for `doctor`, and as one line after an error."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from unipelt_search.records.diagnosis import MachineFacts
from unipelt_search.settings import hub_is_offline

_OURS = "unipelt-search"
_IN_THE_LINE = (_OURS, "torch", "transformers", "ray", "optuna", "sqlalchemy")
_OPTIONAL = re.compile(r"""extra == ["'](demo|peft|postgres|mysql)["']""")
"""Extras that change what a command can do."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def machine_facts() -> MachineFacts:
    """Look at this machine.

    Returns:
        What a maintainer would ask first. Nothing is imported for it that is not loaded yet, so that it works where an
        import is what failed.
    """
    import psutil

    torch = sys.modules.get("torch")
    gpus = None
    if torch is not None:
        gpus = tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    required, optional = _dependencies()
    return MachineFacts(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=psutil.cpu_count(),
        memory_free=psutil.virtual_memory().available,
        disk_free=shutil.disk_usage(Path.cwd()).free,
        gpus=gpus,
        hub_is_offline=hub_is_offline(),
        packages={package: _version(package) for package in required},
        optional={package: _version(package) for package in optional},
    )


def doctor_line() -> str:
    """Say in one line what a maintainer would ask first: versions, cores, memory, GPUs, disk, whether the hub is off.

    Returns:
        The line.
    """
    found = machine_facts()
    facts = [f"{package} {_version(package) or 'missing'}" for package in _IN_THE_LINE]
    facts.append(f"Python {found.python} on {found.system}")
    facts.append(f"{found.cores} cores")
    facts.append(f"{found.memory_free / 2**30:.1f} GiB memory free")
    facts.append(f"{found.disk_free / 2**30:.1f} GiB disk free here")
    if found.gpus is not None:
        facts.append(f"{len(found.gpus)} GPUs")
    if found.hub_is_offline:
        facts.append("HF_HUB_OFFLINE is set")
    return f"This machine: {', '.join(facts)}."


def _dependencies() -> tuple[list[str], list[str]]:
    """List the packages that this one needs, as it was installed, and those of its extras; ours is the first."""
    try:
        requirements = requires(_OURS) or []
    except PackageNotFoundError:  # run from a checkout
        requirements = []
    required, optional = [*_IN_THE_LINE], []
    for requirement in requirements:
        name = _NAME.match(requirement)
        if name is None:
            continue
        if "extra ==" not in requirement:
            required.append(name.group().lower())
        elif _OPTIONAL.search(requirement):
            optional.append(name.group().lower())
    return list(dict.fromkeys(required)), list(dict.fromkeys(optional))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
