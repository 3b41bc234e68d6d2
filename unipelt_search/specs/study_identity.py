"""In what two studies differ, in words."""

from __future__ import annotations

from unipelt_search.specs.study import VALIDATION_DECIDES_SINCE, BudgetSpec, StudySpec

_DEFAULT = "default"
"""The value of a key that is left out of a study's identity where it is not asked for."""


def spec_differences(old: StudySpec, new: StudySpec) -> list[str]:
    """Say in what two studies ask something else.

    Args:
        old: One study.
        new: The other.

    Returns:
        `key: old → new` for every key of the question that differs.
    """
    if old.question_hash() == new.question_hash():
        return []
    before, after = _flat(old.identity()), _flat(new.identity())
    names = dict.fromkeys((*after, *before))
    differing = [name for name in names if before.get(name, _DEFAULT) != after.get(name, _DEFAULT)]
    return [f"{name}: {before.get(name, _DEFAULT)} → {after.get(name, _DEFAULT)}" for name in differing]


def as_begun(old: StudySpec, new: StudySpec, edition: int) -> StudySpec:
    """Fill in what a study chose for itself when it began, where it is not asked for.

    Args:
        old: The study as it began.
        new: What is asked now.
        edition: That of the old study.

    Returns:
        What is asked, with the old study's steps and its side of truncation unless it names others. What a validation
        split is for was no question in the first two editions.
    """
    space, task = new.space, new.task
    if space.steps is None:
        space = space.model_copy(update={"steps": old.space.steps})
    if task.side is None:
        task = task.model_copy(update={"truncation": old.task.truncation})
    if edition < VALIDATION_DECIDES_SINCE:
        task = task.model_copy(update={"validation": old.task.validation})
    return new.model_copy(update={"space": space, "task": task})


def shrunk_budget(old: BudgetSpec, new: BudgetSpec) -> list[str]:
    """Say in what a budget is smaller than it was.

    Args:
        old: What it was.
        new: What is asked.

    Returns:
        `key: old → new` for every part that is smaller.
    """
    shrunk = [
        f"budget.{name}: {getattr(old, name)} → {getattr(new, name)}"
        for name in ("trials", "seeds")
        if getattr(new, name) < getattr(old, name)
    ]
    if new.time_seconds is not None and (old.time_seconds is None or new.time_seconds < old.time_seconds):
        before = "no limit" if old.time_seconds is None else f"{old.time_seconds:g}"
        shrunk.append(f"budget.time_seconds: {before} → {new.time_seconds:g}")
    return shrunk


def _flat(identity: dict[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for part, value in identity.items():
        if isinstance(value, dict):
            flat |= {f"{part}.{name}": inner for name, inner in value.items()}
        else:
            flat[part] = value
    return flat
