"""Rows as a source has them: every cell as text, none of them missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.kinds.label_kind import AUTO, LabelKind, find_kind, label_kinds, recognise
from unipelt_search.records.notice import MAX_NAMED, Notice
from unipelt_search.specs.study import TaskSpec


@dataclass(frozen=True)
class Rows:
    """The rows of one split, before labels have numbers."""

    texts: tuple[tuple[str, ...], ...]
    """A row has one text, or the two of a pair."""
    labels: tuple[str, ...]
    """As they are written; empty only where rows have sets of labels."""
    source_lines: tuple[str, ...] = field(default=(), compare=False)
    """Where each row stands, such as ``line 7 of train.csv``; empty where nobody knows."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def take(self, numbers: Iterable[int]) -> Rows:
        """Return the rows with these numbers, counted from 0, in this order."""
        kept = [int(number) for number in numbers]
        source_lines = tuple(self.source_lines[n] for n in kept) if self.source_lines else ()
        texts = tuple(self.texts[n] for n in kept)
        labels = tuple(self.labels[n] for n in kept)
        return Rows(texts, labels, source_lines)

    def followed_by(self, others: Rows) -> Rows:
        """Return these rows and then others."""
        source_lines: tuple[str, ...] = ()
        if self.source_lines and others.source_lines:
            source_lines = self.source_lines + others.source_lines
        return Rows(self.texts + others.texts, self.labels + others.labels, source_lines)

    def plain_texts(self) -> list[tuple[str, ...]]:
        """Return what two rows must share to have the same text: white space counts as one blank."""
        return [tuple(map(_plain, texts)) for texts in self.texts]


@dataclass(frozen=True)
class RawData:
    """What was read from one source."""

    name: str
    splits: Mapping[str, Rows]
    """`train`, and `validation` and `test` where the source has them."""
    notices: tuple[Notice, ...] = ()


def are_withheld(labels: Iterable[object]) -> bool:
    """Tell whether labels are what benchmarks publish instead: -1, or nothing, in every row."""
    return all(label in (-1, None, "-1", "-1.0") for label in labels)


def format_list(things: Iterable[object]) -> str:
    """Join the first things with commas and say how many more there are."""
    items = [str(thing) for thing in things]
    more = f" and {len(items) - MAX_NAMED} more" if len(items) > MAX_NAMED else ""
    return ", ".join(items[:MAX_NAMED]) + more


def check_columns(spec: TaskSpec, found: Sequence[str], source: str) -> None:
    """Check that a source has the columns that the user named.

    Args:
        spec: Which columns.
        found: The source's columns.
        source: What to call the source.

    Raises:
        DataError: One is missing, or stands there twice.
    """
    asked = [("--text", text) for text in spec.text]
    asked.append(("--label", spec.label))
    for option, column in asked:
        if column not in found:
            raise DataError(
                f"{option} must name a column of {source}; got {column!r}, found: {', '.join(found[:50])}."
                f"{did_you_mean(column, found)}"
            )
        if found.count(column) > 1:
            raise DataError(
                f"A column must stand once in {source}; {column!r} stands there {found.count(column)} times."
            )


def make_rows(
    spec: TaskSpec, columns: Mapping[str, Sequence[object]], source_lines: Sequence[str], source: str
) -> Rows:
    """Turn columns of cells into rows of text.

    Args:
        spec: Which columns are read.
        columns: The cells of at least these columns, each ``(n,)``: text, numbers, or None where missing;
            labels may be lists of them.
        source_lines: ``(n,)``, where each row stands, such as ``line 7``.
        source: What to call the source.

    Returns:
        The rows.

    Raises:
        DataError: There are no rows, a text is missing or empty, so is a label where rows have one each, or a cell is
            neither text nor a number.
    """
    if not source_lines:
        raise DataError(f"{source} must have rows; it is empty.")
    labels = columns[spec.label]
    for kind in _kinds_of_sets(spec):
        labels = [_joined(value, kind) for value in labels]
    cells = {spec.label: _read_column(spec.label, labels, source_lines, source)}
    for name in spec.text:
        # The texts to predict are read with a text column as the label column too, which is read once.
        if name != spec.label:
            cells[name] = _read_column(name, columns[name], source_lines, source)
    _check_filled(spec, cells, source_lines, source)
    texts = zip(*[cells[name] for name in spec.text], strict=True)
    named_lines = tuple(f"{source_line} of {source}" for source_line in source_lines)
    return Rows(tuple(texts), tuple(cells[spec.label]), named_lines)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _kinds_of_sets(spec: TaskSpec) -> list[LabelKind]:
    """Return the kinds that a task may have and that allow any number of labels in a row."""
    kinds = label_kinds().values() if spec.kind == AUTO else (find_kind(spec.kind),)
    return [kind for kind in kinds if kind.separator is not None]


def _check_filled(spec: TaskSpec, cells: Mapping[str, list[str]], source_lines: Sequence[str], source: str) -> None:
    for name, column in cells.items():
        is_label = name == spec.label
        if is_label and _may_be_empty(spec, column):
            continue
        missing = [source_line for source_line, text in zip(source_lines, column, strict=True) if not text.strip()]
        if missing:
            hint = _hint_at_sets() if is_label else ""
            raise DataError(
                f"Every row must have a text and a label; in {source}, column {name!r} is empty at "
                f"{format_list(missing)}. Fill in or remove these rows.{hint}"
            )


def _may_be_empty(spec: TaskSpec, labels: list[str]) -> bool:
    """Tell whether a row may have no label at all."""
    kind = recognise(labels) if spec.kind == AUTO else find_kind(spec.kind)
    return kind.separator is not None


def _hint_at_sets() -> str:
    """Say which kinds allow a row without a label."""
    names = [kind.name for kind in label_kinds().values() if kind.separator is not None]
    return f" Where rows may have no label or several, write task.kind: {' or '.join(names)}."


def _read_column(name: str, values: Sequence[object], source_lines: Sequence[str], source: str) -> list[str]:
    texts = [_text_of(value) for value in values]
    if None in texts:
        number = texts.index(None)
        raise DataError(
            f"Column {name!r} must hold text or numbers; {source} has {type(values[number]).__name__} "
            f"at {source_lines[number]}."
        )
    read = [text for text in texts if text is not None]
    broken = [source_line for source_line, text in zip(source_lines, read, strict=True) if not _is_unicode(text)]
    if broken:
        raise DataError(
            f"Every cell must be valid Unicode without NUL; in {source}, column {name!r} is not at "
            f"{format_list(broken)}. Correct or remove these rows."
        )
    return read


def _text_of(value: object) -> str | None:
    """Return a cell as text, empty where it is missing; None if it is nothing that has a text form."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else None


def _joined(value: object, kind: LabelKind) -> object:
    """Write a list of labels as a cell that holds several; leave anything else as it is."""
    if not isinstance(value, list) or kind.separator is None:
        return value
    names = []
    for part in value:
        text = _text_of(part)
        # A name that holds the separator would be read as two: such a list is refused as what it is.
        if text is None or not text.strip() or kind.separator in text:
            return value
        names.append(text)
    return kind.separator.join(names)


def _is_unicode(text: str) -> bool:
    # Tokenizers refuse half of a surrogate pair, databases refuse NUL.
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
