"""Labels that look alike are read as one, where the user wants that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import LabelKind
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.tasks.findings import Problem
from unipelt_search.tasks.oddities import location_of
from unipelt_search.tasks.rows import RawData
from unipelt_search.tasks.spelling import look_alikes

MAX_NAMED_MERGES = 50
"""Merged labels that the notice lists before it says how many more there are."""


def similar_labels(raw: RawData, kind: LabelKind) -> dict[str, str]:
    """Find labels that look like a more frequent one, over all splits.

    Args:
        raw: The rows, each label written in the one way of its kind.
        kind: What a label is.

    Returns:
        Each such label with the most frequent one of those that it looks like; none where labels are numbers.
    """
    if not kind.has_labels:
        return {}
    pairs = dict(look_alikes(_counts(raw, kind)))
    # A label may look like one that is itself a misspelling; each step leads to a more frequent one.
    usual = {}
    for label in pairs:
        found = label
        while found in pairs:
            found = pairs[found]
        usual[label] = found
    return usual


def merge_labels(raw: RawData, kind: LabelKind, similar: Mapping[str, str], column: str) -> RawData:
    """Read every label that looks like a more frequent one as that one.

    Args:
        raw: The rows, each label written in the one way of its kind.
        kind: What a label is.
        similar: What `similar_labels` found.
        column: The column of the labels.

    Returns:
        The rows with the usual labels, and a notice that lists what was merged.

    Raises:
        DataError: There are no labels, but numbers.
    """
    if not kind.has_labels:
        raise DataError(f"--merge-labels needs labels; {kind.name} has numbers. Leave it out.")
    if not similar:
        return raw
    counts = _counts(raw, kind)
    splits = {}
    for split, rows in raw.splits.items():
        labels = []
        for row, label in enumerate(rows.labels):
            names = kind.names(label)
            for name in names:
                if name in similar:
                    problem = _merged(name, similar[name])
                    raw.findings.add(problem, location_of(split, rows, row), column, severity="info")
            labels.append(_rewritten(label, names, kind, similar))
        splits[split] = replace(rows, labels=tuple(labels))
    return replace(raw, splits=splits, notices=(*raw.notices, _notice(similar, counts)))


def _counts(raw: RawData, kind: LabelKind) -> Counter[str]:
    counts: Counter[str] = Counter()
    for rows in raw.splits.values():
        for label in rows.labels:
            counts.update(kind.names(label))
    return counts


def _rewritten(label: str, names: tuple[str, ...], kind: LabelKind, similar: Mapping[str, str]) -> str:
    if not any(name in similar for name in names):
        return label
    usual = [similar.get(name, name) for name in names]
    return kind.canonical((kind.separator or "").join(usual))


def _merged(label: str, usual: str) -> Problem:
    return Problem(
        "label_merged",
        "Labels that look alike are one with --merge-labels",
        f"has {label!r}, which is read as {usual!r}",
        "Leave --merge-labels out if they are two labels",
    )


def _notice(similar: Mapping[str, str], counts: Mapping[str, int]) -> Notice:
    labels = sorted(similar)
    named = labels[:MAX_NAMED_MERGES]
    values: dict[str, NoticeValue] = {
        "labels": tuple(named),
        "label_rows": tuple(counts[label] for label in named),
        "read_as": tuple(similar[label] for label in named),
        "labels_count": len(labels),
    }
    return Notice(code="labels_merged", severity="warning", values=values)
