"""The positive one of two classes, where the user names it."""

from __future__ import annotations

from dataclasses import replace

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.kinds.label_kind import Target


def with_positive(target: Target, label: str | None) -> Target:
    """Make a label the one that F1 and similar metrics are about.

    Args:
        target: What is predicted.
        label: The user's word; None leaves the choice to the kind's rule.

    Returns:
        The target.

    Raises:
        DataError: There are not exactly two classes, or none of them has that name.
    """
    if label is None:
        return target
    if target.positive is None:
        described = target.label_kind.describe(target.labels)
        raise DataError(f"--positive needs exactly 2 labels, of which it names one; the task has {described}.")
    if label not in target.labels:
        names = " and ".join(map(repr, target.labels))
        raise DataError(
            f"--positive must name one of the labels, {names}; got {label!r}.{did_you_mean(label, target.labels)}"
        )
    return replace(target, positive=target.labels.index(label))
