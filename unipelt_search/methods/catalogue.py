"""The catalogue of methods: what is compared in a study. A method is data; those of plug-ins are found like ours.

A method is a baseline, a submodule alone, or a set of gated submodules: `unipelt[lora,adapter]`. A set has one
canonical form: catalogue order, no spaces, and the name of its own where it has one (`unipelt_al`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from unipelt_search.errors import MachineError, RequestError, UnknownMethodError, did_you_mean
from unipelt_search.frozen import Frozen
from unipelt_search.methods.baseline_settings import FINE_TUNING, HEAD, MAJORITY
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.method_entry import OURS, BaselineEntry, Method, SubmoduleEntry
from unipelt_search.methods.plugins import our_entries, plugin_entries

MAX_NAME_LENGTH = 64
"""Characters of a method's name, which the database keeps."""
DEFAULT_METHODS: tuple[str, ...] = ("head", "bitfit", "lora", "adapter", "prefix", "unipelt_apl", "fine_tuning")
NAMED_SETS: Mapping[str, tuple[str, ...]] = {
    "unipelt_ap": ("adapter", "prefix"),
    "unipelt_al": ("adapter", "lora"),
    "unipelt_pl": ("prefix", "lora"),
    "unipelt_apl": ("adapter", "prefix", "lora"),
}
"""Sets of gated submodules with a name of their own."""
_SET = re.compile(r"unipelt\[(.*)\]")
_OUTSIDE_BRACKETS = re.compile(r",(?![^\[]*\])")
_EXAMPLE = "unipelt[lora,adapter]"


class _Catalogue(NamedTuple):
    submodules: dict[str, SubmoduleEntry]
    """In the order in which a set is written."""
    methods: dict[str, Method]
    """Those with a name of their own, in the order of every list."""


def catalogue() -> tuple[SubmoduleEntry, ...]:
    """List every submodule: ours in the order in which a set is written, then those of plug-ins by name.

    Returns:
        The entries.

    Raises:
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    return tuple(_load().submodules.values())


def ordered_entries() -> tuple[SubmoduleEntry, ...]:
    """List every submodule in the order of lists of methods and of sampling: ours, then those of plug-ins by name.

    Returns:
        The entries.

    Raises:
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    entries = catalogue()
    ours = [entry for entry in entries if entry.package == OURS]
    ours.sort(key=_list_order)
    others = [entry for entry in entries if entry.package != OURS]
    return (*ours, *others)


def named_methods() -> tuple[Method, ...]:
    """List every method that has a name of its own: ours, then those of plug-ins by name.

    Returns:
        The methods; sets of gated submodules without a name of their own are not among them.

    Raises:
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    return tuple(_load().methods.values())


def trained_methods() -> tuple[str, ...]:
    """List the names of `named_methods`, without `majority`, which is never trained.

    Returns:
        The names.

    Raises:
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    return tuple(method.name for method in named_methods() if _is_trained(method))


def find_submodule(name: str) -> SubmoduleEntry:
    """Find a submodule.

    Args:
        name: For example `lora`.

    Returns:
        Its entry.

    Raises:
        UnknownMethodError: No installed package has it.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    known = _load().submodules
    if name not in known:
        raise UnknownMethodError(
            f"A submodule must be one of {', '.join(known)}; got {name!r}.{did_you_mean(name, known)} Those of other "
            "packages are known once the package is installed."
        )
    return known[name]


def find_method(name: str) -> Method:
    """Find a method.

    Args:
        name: A method's name, or a set of gated submodules such as `unipelt[lora,adapter]`, in any order.

    Returns:
        The method, under its canonical name.

    Raises:
        UnknownMethodError: There is no such method.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    canonical = canonical_method(name)
    named = _load().methods.get(canonical)
    return named if named is not None else _set_method(canonical, set_members(canonical))


def canonical_method(name: str) -> str:
    """Return the one name of a method.

    Args:
        name: A method's name, or a set of two or more gated submodules in any order, with or without spaces.

    Returns:
        The name as it is stored and compared: a set in the order of the catalogue, or by a name of its own.

    Raises:
        UnknownMethodError: There is no such method, or its name is too long for the database.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    known = _load()
    text = "".join(name.split())
    if text in known.methods:
        return text
    members = set_members(text)
    if not members:
        raise UnknownMethodError(
            f"A method must be one of {', '.join(trained_methods())}, or a set such as {_EXAMPLE}; got {name!r}."
            f"{did_you_mean(text, known.methods)}"
        )
    return _canonical_set(name, members)


def set_members(name: str) -> tuple[str, ...]:
    """Read the submodules of a set out of its name, whether they are installed or not.

    Args:
        name: A method's name.

    Returns:
        The submodules in the order of the name; none where the name is not that of a set.
    """
    if name in NAMED_SETS:
        return NAMED_SETS[name]
    match = _SET.fullmatch(name)
    if match is None:
        return ()
    members = match.group(1).split(",")
    return tuple(member.strip() for member in members)


def stored_method(name: str) -> Method:
    """Describe a method of a stored study, whose package may be missing.

    Args:
        name: A canonical name, as the database has it.

    Returns:
        The method; where its package is missing, what its name says.

    Raises:
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    if is_installed(name):
        return find_method(name)
    members = set_members(name)
    if members:
        return _set_method(name, members)
    return Method(
        name=name, submodules=(name,), gated=False, trains="submodules", sentence="Its package is not installed."
    )


def is_installed(method: str) -> bool:
    """Tell whether every package is installed that brings a method.

    Args:
        method: A method's name.

    Returns:
        Whether `find_method` finds it.

    Raises:
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    known = _load()
    if method in known.methods:
        return True
    members = set_members(method)
    return bool(members) and all(member in known.submodules for member in members)


def plugin_packages(methods: Iterable[str]) -> dict[str, str]:
    """List the packages of plug-ins that methods need.

    Args:
        methods: Names of installed methods.

    Returns:
        The package of each submodule that is not ours, by the submodule's name; sorted.

    Raises:
        UnknownMethodError: There is no such method.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    packages = {}
    for method in methods:
        for submodule in find_method(method).submodules:
            package = find_submodule(submodule).package
            if package != OURS:
                packages[submodule] = package
    return dict(sorted(packages.items()))


def check_installed(methods: Iterable[str], packages: Mapping[str, str]) -> None:
    """Check that the plug-ins are installed that a stored study or an exported model was made with.

    Args:
        methods: Its methods.
        packages: What `plugin_packages` returned when it was made.

    Raises:
        MachineError: A package is missing, or another one has taken its submodule's name.
    """
    known = _load().submodules
    for method in methods:
        for submodule in stored_method(method).submodules:
            needed = packages.get(submodule)
            entry = known.get(submodule)
            if entry is None:
                source = f"the package {needed!r}" if needed else "a package that was not stored"
                raise MachineError(
                    f"The method {method!r} must be installed; this machine has no {submodule!r}, which is of "
                    f"{source}. Install that package."
                )
            if needed is not None and entry.package != needed:
                raise MachineError(
                    f"The method {method!r} must be that of the package {needed!r}; this machine has {submodule!r} of "
                    f"the package {entry.package!r}. Install the one in place of the other."
                )


def reload_catalogue() -> None:
    """Find the methods anew at their next use, after a package was installed or removed while the process runs."""
    _load.cache_clear()


def split_methods(text: str) -> tuple[str, ...]:
    """Split a list of methods at its commas, those inside brackets aside.

    Args:
        text: What followed ``--methods``.

    Returns:
        The names, without spaces around them; empty ones are left out.
    """
    names = (name.strip() for name in _OUTSIDE_BRACKETS.split(text))
    return tuple(name for name in names if name)


def check_methods(names: Iterable[str]) -> tuple[str, ...]:
    """Check the methods that a user asked for.

    Args:
        names: What followed ``--methods``.

    Returns:
        Their canonical names, in the same order.

    Raises:
        RequestError: A name is unknown, a method is named twice, or one is `majority`, which needs no asking.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    asked: dict[str, str] = {}
    for name in names:
        if name == MAJORITY.name:
            raise RequestError("--methods must not name 'majority': it costs no trial and is in every leaderboard.")
        canonical = canonical_method(name)
        if canonical in asked:
            raise RequestError(
                f"--methods must name each method once; got {asked[canonical]!r} and {name!r}, both of which are "
                f"{canonical}."
            )
        asked[canonical] = name
    if not asked:
        raise RequestError(f"--methods must name at least one method; known: {', '.join(trained_methods())}.")
    return tuple(asked)


def part_models() -> dict[str, type[Frozen]]:
    """Return the specification of each part of a configuration, `training` aside, by the part's name.

    Returns:
        Those of submodules, in the order of sampling, then `gate`; a plug-in's stand between ours and `gate`.

    Raises:
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    models = {entry.name: entry.settings for entry in ordered_entries() if entry.settings is not None}
    return models | {"gate": GateSpec}


def parts_of(method: str) -> tuple[str, ...]:
    """List the parts of a method's configurations.

    Args:
        method: A trained method.

    Returns:
        `training`, then each submodule that has settings, then `gate` where there are gates.

    Raises:
        UnknownMethodError: There is no such method.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    found = find_method(method)
    wanted = {*found.submodules, "gate"} if found.gated else {*found.submodules}
    return ("training", *(part for part in part_models() if part in wanted))


@cache
def _load() -> _Catalogue:
    """Find every method once a process; the first use does, importing this module does not."""
    ours = our_entries()
    methods = _our_methods(ours)
    others = plugin_entries(methods)
    submodules = {entry.name: entry for entry in (*ours, *others)}
    for entry in others:
        methods[entry.name] = entry.as_method()
    return _Catalogue(submodules, methods)


def _canonical_set(name: str, members: tuple[str, ...]) -> str:
    known = _load().submodules
    for member in members:
        if member not in known:
            raise UnknownMethodError(
                f"A set of gated submodules must name {', '.join(known)}; got {member!r} in {name!r}."
                f"{did_you_mean(member, known)}"
            )
    if len(members) < 2 or len(set(members)) < len(members):
        raise UnknownMethodError(
            f"A set of gated submodules must name two or more different ones, as in {_EXAMPLE}; got {name!r}."
        )
    ordered = tuple(submodule for submodule in known if submodule in members)
    for named, submodules in NAMED_SETS.items():
        if submodules == ordered:
            return named
    canonical = f"unipelt[{','.join(ordered)}]"
    if len(canonical) > MAX_NAME_LENGTH:
        raise UnknownMethodError(
            f"A method's name must have at most {MAX_NAME_LENGTH} characters, which the database keeps; got "
            f"{len(canonical)}: {canonical}. Take fewer submodules."
        )
    return canonical


def _set_method(name: str, submodules: tuple[str, ...]) -> Method:
    names = ", ".join(submodules)
    return Method(
        name=name,
        submodules=submodules,
        gated=True,
        trains="submodules",
        sentence=f"UniPELT (Mao et al., 2022): {names} in one model, each behind a learned gate.",
    )


def _baseline(entry: BaselineEntry) -> Method:
    return Method(
        name=entry.name,
        submodules=(),
        gated=False,
        trains=entry.trains,
        sentence=entry.sentence,
    )


def _list_order(entry: SubmoduleEntry) -> int:
    return entry.list_order


def _is_trained(method: Method) -> bool:
    return method.trains != "nothing"


def _our_methods(entries: Iterable[SubmoduleEntry]) -> dict[str, Method]:
    alone = sorted(entries, key=_list_order)
    methods = [
        _baseline(MAJORITY),
        _baseline(HEAD),
        *(entry.as_method() for entry in alone),
        *(_set_method(name, submodules) for name, submodules in NAMED_SETS.items()),
        _baseline(FINE_TUNING),
    ]
    return {method.name: method for method in methods}


METHODS: dict[str, Method] = _our_methods(our_entries())
"""Our own methods that have a name, in the order of every list; `find_method` knows those of plug-ins and sets too."""
TRAINED_METHODS: tuple[str, ...] = tuple(method.name for method in METHODS.values() if _is_trained(method))
"""Our own methods, without `majority`."""
SUBMODULES: tuple[str, ...] = tuple(entry.name for entry in our_entries())
"""Our own submodules, in the order in which a set is written."""
