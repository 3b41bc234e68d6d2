"""What a plan says about the forms that `export` can write, in English."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from unipelt_search.records.study_plan import PlannedExport


def export_sentences(exports: Sequence[PlannedExport]) -> list[str]:
    """Say which methods `--merged` and `--peft` can hold, and why not the others.

    Args:
        exports: A plan's.

    Returns:
        One sentence per option; none for a plan without entries.
    """
    if not exports:
        return []
    libraries = {_name(entry): entry.merged for entry in exports}
    merged = {_name(entry): entry.merged_obstacle for entry in exports}
    peft = {_name(entry): entry.peft_obstacle for entry in exports}
    return [
        f"--merged can hold {_by_library(libraries)}{_exceptions(merged)}.",
        f"--peft can hold {_names(name for name, reason in peft.items() if reason is None)}{_exceptions(peft)}.",
    ]


def export_summary(exports: Sequence[PlannedExport]) -> str:
    """Say in one line which methods `--merged` and `--peft` can hold.

    Args:
        exports: A study's.

    Returns:
        The line, which names the command that gives the reasons.
    """
    merged = _names(_name(entry) for entry in exports if entry.merged is not None)
    peft = _names(_name(entry) for entry in exports if entry.peft)
    return f"`export --merged` will be able to hold {merged}; `--peft` {peft}. `run --dry-run` says why not the others."


def _name(entry: PlannedExport) -> str:
    return entry.variant or entry.method


def _by_library(libraries: Mapping[str, str | None]) -> str:
    groups: dict[str, list[str]] = {}
    for name, library in libraries.items():
        if library is not None:
            groups.setdefault(library, []).append(name)
    parts = [f"{_names(names)}, which {library} alone loads" for library, names in groups.items()]
    return " and ".join(parts) or _names(())


def _exceptions(obstacles: Mapping[str, str | None]) -> str:
    """Name what is not held, methods with the same reason together."""
    groups: dict[str, list[str]] = {}
    for name, reason in obstacles.items():
        if reason is not None:
            groups.setdefault(reason, []).append(name)
    return "".join(f"; not {_names(names)}: {reason}" for reason, names in groups.items())


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
