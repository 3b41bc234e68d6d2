"""Labels of cells that hold one text each: a number, a name, or names with a separator between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import LabelKind, label_kinds, name_kind
from unipelt_search.kinds.label_separators import find_pair, find_separator, kept_separator, split_cell
from unipelt_search.kinds.label_texts import number_of
from unipelt_search.kinds.number_notation import (
    NumberColumn,
    NumberNotation,
    is_currency,
    is_missing_word,
    read_numbers,
    unit_of,
)
from unipelt_search.records.notice import Notice, NoticeValue, first_values
from unipelt_search.tasks.label_cells import Names
from unipelt_search.tasks.label_column import (
    SAMPLES,
    ColumnReading,
    LabelColumn,
    OddLabel,
    abbreviated,
    as_sets,
    found_notices,
)

FEWEST_ROWS = 10
"""With fewer rows it says nothing that most labels occur once."""
MOSTLY = 0.9
"""The share of cells from which on the others are exceptions, which are named."""
LONGEST_NUMBER = 64
"""Characters of a cell at most that is looked at for a number with a unit."""


def read_single_labels(column: ColumnReading, texts: Sequence[str | None]) -> LabelColumn:
    """Read cells that hold a number, a name, or names with something between them.

    Args:
        column: What is read.
        texts: ``(n,)``, None where a cell is missing or odd.

    Returns:
        The labels.

    Raises:
        DataError: Most labels are met once, numbers have a unit or may be read in two ways, or there are none where the
            user asks for them.
    """
    filled = [text for text in texts if text is not None and text.strip()]
    if column.asked.wants_numbers:
        return _read_numbers(column, texts, filled, read_numbers(filled))
    numbers = None
    if column.asked.asked_kind is None:
        numbers = read_numbers(filled)
        if numbers.is_measured and numbers.share == 1:
            _refuse_pairs(column, texts, filled)
            return _read_numbers(column, texts, filled, numbers)
        _refuse_units(column, texts, filled)
    found = _read_separated(column, texts, filled, numbers)
    if found is not None:
        return found
    if numbers is not None and numbers.is_measured and _are_exceptions(numbers, filled):
        return _read_numbers(column, texts, filled, numbers)
    return _read_names(column, texts, filled)


def _read_numbers(
    column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str], numbers: NumberColumn
) -> LabelColumn:
    _refuse_ambiguous(column, texts, filled, numbers)
    number_in = dict(zip(filled, numbers.numbers, strict=True))
    read = [number for number in numbers.numbers if number is not None]
    if not read:
        has = f"{abbreviated(filled[0])!r} at {_location(column, texts, filled[0])}" if filled else "nothing"
        raise DataError(
            f"Every label must be a finite number for --kind {column.asked.kind}; column {column.name!r} has {has}. "
            "Choose another column or kind."
        )
    expected = f"a number, as {len(read)} of {len(filled)} labels are"
    labels: list[str | None] = []
    for row, text in enumerate(texts):
        labels.append(_written(text or "", number_in.get(text or ""), numbers))
        if text in number_in and labels[row] is None:
            column.odd[row] = OddLabel(column.name, abbreviated(text), expected)
    kind = column.asked.asked_kind or _first_kind_of_numbers()
    values = {**column.values(), **_number_values(number_in, numbers.notation)}
    declared = Notice(code="label_numbers", severity="fact", values=values)
    return LabelColumn(kind, labels, declared, column.odd, found_notices(column, kind))


def _first_kind_of_numbers() -> LabelKind:
    return next(kind for kind in label_kinds().values() if not kind.has_labels)


def _number_values(number_in: Mapping[str, float | None], notation: NumberNotation) -> dict[str, NoticeValue]:
    """Return what a notice says of numbers and how they are written."""
    read = {text: number for text, number in number_in.items() if number is not None}
    samples = tuple(read)[:SAMPLES]
    return {
        "samples": tuple(map(abbreviated, samples)),
        "numbers": tuple(read[text] for text in samples),
        "low": min(read.values()),
        "high": max(read.values()),
        "decimal": notation.decimal,
        "thousands": notation.thousands,
        "percent": notation.percent,
    }


def _read_separated(
    column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str], numbers: NumberColumn | None
) -> LabelColumn | None:
    """Read names with a separator between them; None where a row has exactly one label."""
    if not column.asked.may_be_sets:
        return None
    separator = find_separator(filled, asked=column.asked.wants_sets)
    if numbers is not None and numbers.is_measured and separator == numbers.notation.decimal:
        # `3,5` beside `n/a` is a number; `1,2` beside `1,2,3` is a set.
        others = [text for text, number in zip(filled, numbers.numbers, strict=True) if number is None]
        if not any(separator in text for text in others):
            separator = None
    if separator is None and not column.asked.wants_sets:
        return None
    column.form = "separator"
    column.separator = separator
    rows = [_split(text, separator) for text in texts]
    return as_sets(column, rows)


def _read_names(column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str]) -> LabelColumn:
    counts = Counter(filled)
    kind = column.asked.asked_kind
    if kind is None:
        _refuse_mostly_once(column, texts, counts)
        kind = name_kind(filled)
    values: dict[str, NoticeValue] = {
        **column.values(),
        **first_values("labels", list(counts)),
        "kept": kept_separator(counts) if column.asked.asked_kind is None else None,
    }
    labels = [text if text is not None and text.strip() else None for text in texts]
    declared = Notice(code="label_names", severity="fact", values=values)
    return LabelColumn(kind, labels, declared, column.odd, found_notices(column, kind))


def _refuse_mostly_once(column: ColumnReading, texts: Sequence[str | None], counts: Counter[str]) -> None:
    """Refuse what cannot be learnt: labels of which most are met in one row only."""
    rows = sum(counts.values())
    single = [text for text, count in counts.items() if count == 1]
    if rows < FEWEST_ROWS or 2 * len(single) <= rows:
        return
    start = (
        f"Labels must recur to be learnt; in column {column.name!r} {len(single)} of {rows} rows have a label of their "
        f"own, such as {abbreviated(single[0])!r} at {_location(column, texts, single[0])}"
    )
    different = column.asked.different_texts
    if different is not None and different * 2 < len(counts):
        raise DataError(
            f"{start}, and column {column.asked.text!r} has {different} different texts. Are --text and --label "
            "swapped?"
        )
    if read_numbers(list(counts)).share >= MOSTLY:
        raise DataError(
            f"{start}: a number or an identifier? --kind regression predicts numbers; --kind classification keeps "
            "them as names; else name another --label column."
        )
    raise DataError(
        f"{start}: an identifier or a text? Name another --label column; --kind classification keeps them as names."
    )


def _refuse_pairs(column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str]) -> None:
    """Refuse what may be numbers with a decimal comma or pairs of numbered labels."""
    pair = find_pair(filled)
    if pair is not None:
        raise DataError(
            f"What a comma means must be clear; {pair!r} in column {column.name!r} at "
            f"{_location(column, texts, pair)} may be a number or two labels. --kind regression reads numbers, "
            "--separator , reads sets of labels."
        )


def _refuse_ambiguous(
    column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str], numbers: NumberColumn
) -> None:
    """Refuse numbers that two notations read otherwise."""
    if numbers.other is None:
        return
    text = next(text for text in filled if numbers.notation.read(text) != numbers.other.read(text))
    raise DataError(
        f"Numbers must be written so that they can be told apart; {text!r} in column {column.name!r} at "
        f"{_location(column, texts, text)} may be {numbers.notation.read(text)!r} or {numbers.other.read(text)!r}, and "
        "no other cell decides. Write them with a decimal point, as many decimals in each, and no other mark."
    )


def _refuse_units(column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str]) -> None:
    """Refuse numbers with a unit: what they mean must be said by whoever knows."""
    units = {text: unit_of(text) for text in dict.fromkeys(filled) if len(text) <= LONGEST_NUMBER}
    with_unit = {text: unit for text, unit in units.items() if unit is not None}
    if not with_unit or sum(text in with_unit for text in filled) < MOSTLY * len(filled):
        return
    text, unit = next(iter(with_unit.items()))
    if any(map(is_currency, with_unit.values())) or _are_measured(with_unit, unit):
        raise DataError(
            f"Numbers must stand without a unit; column {column.name!r} has {text!r} at "
            f"{_location(column, texts, text)}. Remove {unit!r}; --kind classification keeps such labels as names."
        )


def _are_measured(with_unit: Mapping[str, str], unit: str) -> bool:
    """Tell whether nearly all cells are measurements in one unit, which stands after the number."""
    bare = [text.strip().removesuffix(unit) for text in with_unit if text.strip().endswith(unit)]
    numbers = read_numbers(bare)
    return len(bare) >= MOSTLY * len(with_unit) and numbers.share >= MOSTLY and numbers.is_measured


def _location(column: ColumnReading, texts: Sequence[str | None], text: str) -> str:
    """Return where the first cell with a text stands."""
    found = (row for row, own in enumerate(texts) if own is not None and own.strip() == text.strip())
    return column.asked.location_of(next(found, 0))


def _are_exceptions(numbers: NumberColumn, filled: Sequence[str]) -> bool:
    """Tell whether the cells that are no numbers are exceptions among numbers."""
    others = [text for text, number in zip(filled, numbers.numbers, strict=True) if number is None]
    return numbers.share >= MOSTLY or (numbers.share >= 0.5 and all(map(is_missing_word, others)))


def _split(text: str | None, separator: str | None) -> Names:
    if text is None or not text.strip():
        return ()
    return (text.strip(),) if separator is None else split_cell(text, separator)


def _written(text: str, number: float | None, numbers: NumberColumn) -> str | None:
    """Return a number as kinds read it: as it stands where that is plain, else as Python writes it."""
    if number is None:
        return None
    return text if numbers.notation.is_plain and number_of(text) is not None else repr(number)
