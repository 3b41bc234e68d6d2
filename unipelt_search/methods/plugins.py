"""Finding the methods: ours beside this module, others by the entry-point group `unipelt_search.methods`.

An entry point loads a settings module, never its torch half, so that reports open without torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module, metadata
from pkgutil import iter_modules

import unipelt_search.methods as package
from unipelt_search.errors import MachineError
from unipelt_search.methods.method_entry import OURS, SubmoduleEntry

GROUP = "unipelt_search.methods"
"""The entry-point group; an entry point is `NAME = "package.name_settings:ENTRY"`."""
_SUFFIX = "_settings"


def our_entries() -> tuple[SubmoduleEntry, ...]:
    """Find the submodules of this package: every `*_settings` module of this folder that declares an `ENTRY`.

    Returns:
        The entries, in the order in which a set of them is written.
    """
    entries = []
    for found in iter_modules(package.__path__):
        if not found.name.endswith(_SUFFIX):
            continue
        module = import_module(f"{package.__name__}.{found.name}")
        # The settings of the training, the gates and the baselines stand here too, and are no submodules.
        entry = getattr(module, "ENTRY", None)
        if isinstance(entry, SubmoduleEntry):
            entries.append(entry)
    return tuple(sorted(entries, key=lambda entry: entry.set_order))


def plugin_entries(taken: Iterable[str]) -> tuple[SubmoduleEntry, ...]:
    """Load the submodules of other installed packages.

    Args:
        taken: The names that this package has: its submodules and its other methods.

    Returns:
        The entries, by name.

    Raises:
        MachineError: A package cannot be loaded or declares no valid entry, or a name is taken twice.
    """
    owners = dict.fromkeys(taken, OURS)
    entries = []
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        owner = _package_of(point)
        if point.name in owners:
            raise MachineError(
                f"Each method must have a name of its own; got {point.name!r} from both {owners[point.name]} and "
                f"{owner}. Uninstall one of them: pip uninstall {owner}."
            )
        owners[point.name] = owner
        entries.append(_load(point, owner))
    return tuple(entries)


def plugin_versions(packages: Iterable[str]) -> dict[str, str]:
    """Look up the installed versions of packages that bring methods.

    The driver stores them with the study and sends them to its workers, which pass them to `check_plugins`:
    `plugin_versions(plugin_packages(spec.space.compared).values())`.

    Args:
        packages: Distributions, see `catalogue.plugin_packages`; this one is left out.

    Returns:
        The version of each, by name; sorted.

    Raises:
        MachineError: One is not installed.
    """
    return {name: _version(name) for name in sorted(set(packages) - {OURS})}


def check_plugins(expected: Mapping[str, str]) -> None:
    """Check that this machine has the plug-ins of the driver. A worker calls it before its first run.

    Args:
        expected: What `plugin_versions` returned on the driver's machine.

    Raises:
        MachineError: A package is missing, or has another version.
    """
    for name, version in expected.items():
        found = _version(name)
        if found != version:
            raise MachineError(
                f"Every machine must have the driver's version of a plug-in; got {name} {found}, the driver has "
                f"{version}. Install it on every machine: pip install {name}=={version}."
            )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError as error:
        raise MachineError(
            f"The package {name!r}, which brings a method of this study, must be installed; this machine has none. "
            f"Install it: pip install {name}."
        ) from error


def _package_of(point: metadata.EntryPoint) -> str:
    return point.value if point.dist is None else point.dist.name


def _load(point: metadata.EntryPoint, owner: str) -> SubmoduleEntry:
    try:
        entry = point.load()
    # A plug-in is foreign code, and its import can fail in any way.
    except Exception as error:
        raise MachineError(
            f"The method {point.name!r} of the package {owner} must be loadable; got {type(error).__name__}: "
            f"{' '.join(str(error).split())}. Repair it, or remove it: pip uninstall {owner}."
        ) from error
    if not isinstance(entry, SubmoduleEntry) or entry.name != point.name:
        got = f"an entry named {entry.name!r}" if isinstance(entry, SubmoduleEntry) else type(entry).__name__
        raise MachineError(
            f"The entry point {point.name!r} of the package {owner} must name a SubmoduleEntry of that name; got "
            f"{got}. Repair it, or remove it: pip uninstall {owner}."
        )
    return entry.model_copy(update={"package": owner})
