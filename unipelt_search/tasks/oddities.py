"""What is odd in rows that can be used: where each stands, for the table of findings. Notices say how much it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from unipelt_search.kinds.label_kind import LabelKind
from unipelt_search.tasks.findings import Findings, Problem
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.table import Location

TWO_LABELS = Problem(
    "texts_with_two_labels",
    "A text has one label",
    "has texts that occur with other labels too",
    "Correct the labels, or keep one of these rows",
)
REPEATED = Problem(
    "repeated_row",
    "A row stands once in a file",
    "has texts that an earlier row has with the same label",
    "Remove these rows if they are there by mistake",
)
OVERLAP = Problem(
    "overlap",
    "A validation or test text is no training text",
    "has texts that are among the training rows",
    "Remove these rows here, or the same texts from the training rows",
)


def find_oddities(raw: RawData, column: str) -> None:
    """Add to the findings of a dataset what is odd in its texts: repeated ones, and those in two splits.

    Args:
        raw: The rows that can be used, each label written in the one way of its kind.
        column: What to call the column of the texts.
    """
    known = set(raw.splits["train"].plain_texts())
    for split, rows in raw.splits.items():
        plain = rows.plain_texts()
        _find_repeated(split, rows, plain, column, raw.findings)
        if split == "train":
            continue
        for row, texts in enumerate(plain):
            if texts in known:
                raw.findings.add(OVERLAP, location_of(split, rows, row), column, severity="warning")


def find_typos(raw: RawData, kind: LabelKind, similar: Mapping[str, str], column: str) -> None:
    """Add to the findings of a dataset every row with a label that looks like a more frequent one.

    Args:
        raw: The rows that can be used, each label written in the one way of its kind.
        kind: What a label is.
        similar: Labels that look like a more frequent one, each with that one.
        column: What to call the column of the labels.
    """
    if not similar:
        return
    for split, rows in raw.splits.items():
        for row, label in enumerate(rows.labels):
            for name in kind.names(label):
                if name in similar:
                    problem = _possible_typo(name, similar[name])
                    raw.findings.add(problem, location_of(split, rows, row), column, severity="warning")


def location_of(split: str, rows: Rows, row: int) -> Location:
    """Return where a row stands; of rows that nobody knows it of, their number in the split.

    Args:
        split: The split.
        rows: Its rows.
        row: The row's number, counted from 0.

    Returns:
        The location.
    """
    return rows.locations[row] if rows.locations else Location(split, row + 1, "row")


def _find_repeated(split: str, rows: Rows, plain: Sequence[tuple[str, ...]], column: str, findings: Findings) -> None:
    labels = defaultdict(set)
    for texts, label in zip(plain, rows.labels, strict=True):
        labels[texts].add(label)
    seen: set[tuple[tuple[str, ...], str]] = set()
    for row, texts in enumerate(plain):
        own = (texts, rows.labels[row])
        if len(labels[texts]) > 1:
            findings.add(TWO_LABELS, location_of(split, rows, row), column, severity="warning")
        elif own in seen:
            findings.add(REPEATED, location_of(split, rows, row), column, severity="info")
        seen.add(own)


def _possible_typo(label: str, usual: str) -> Problem:
    return Problem(
        "possible_typos",
        "A label is written in one way",
        f"has {label!r}, which looks like {usual!r}",
        "Correct it if it is misspelt, or read both as one with --merge-labels",
    )
