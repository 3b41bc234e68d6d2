"""Labels of cells that hold one text each: a number, a name, or names with a separator between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import label_kinds, name_kind
from unipelt_search.kinds.label_separators import find_pair, find_separator, kept_separator, split_cell
from unipelt_search.kinds.label_texts import number_of
from unipelt_search.kinds.number_notation import NumberColumn, is_currency, is_missing_word, read_numbers, unit_of
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
    if column.asked.asked_kind is None:
        numbers = read_numbers(filled)
        if numbers.is_measured and numbers.share == 1:
            _refuse_pairs(column, texts, filled)
            return _read_numbers(column, texts, filled, numbers)
        _refuse_units(column, texts, filled)
    else:
        numbers = None
    if column.asked.may_be_sets:
        found = _read_separated(column, texts, filled, numbers)
        if found is not None:
            return found
    if numbers is not None and numbers.is_measured and _are_exceptions(numbers, filled):
        return _read_numbers(column, texts, filled, numbers)
    return _read_names(column, texts, filled)


def _read_numbers(
    column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str], numbers: NumberColumn
) -> LabelColumn:
    if numbers.other is not None:
        unclear = next(text for text in filled if numbers.notation.read(text) != numbers.other.read(text))
        first, second = numbers.notation.read(unclear), numbers.other.read(unclear)
        raise DataError(
            f"Numbers must be written so that they can be told apart; {unclear!r} in column {column.name!r} at "
            f"{_location(column, texts, unclear)} may be {first!r} or {second!r}, and no other cell decides. Write them "
            "with a decimal point and no other mark."
        )
    number_in = dict(zip(filled, numbers.numbers, strict=True))
    expected = f"a number, as {len(filled) - numbers.numbers.count(None)} of {len(filled)} labels are"
    labels: list[str | None] = []
    for row, text in enumerate(texts):
        number = number_in.get(text) if text is not None else None
        if number is None and text is not None and text.strip():
            column.odd[row] = OddLabel(column.name, abbreviated(text), expected)
        # A plain number is kept as it is written.
        labels.append(None if number is None or text is None else _written(text, number, numbers))
    read = [number for number in numbers.numbers if number is not None]
    if not read:
        has = f"{abbreviated(filled[0])!r} at {_location(column, texts, filled[0])}" if filled else "nothing"
        raise DataError(
            f"Every label must be a finite number for --kind {column.asked.kind}; column {column.name!r} has {has}. "
            "Choose another column or kind."
        )
    samples = [text for text in dict.fromkeys(filled) if number_in[text] is not None][:SAMPLES]
    values: dict[str, NoticeValue] = {
        **column.values(),
        "samples": tuple(map(abbreviated, samples)),
        "numbers": tuple(number_in[text] for text in samples),
        "low": min(read),
        "high": max(read),
        "decimal": numbers.notation.decimal,
        "thousands": numbers.notation.thousands,
        "percent": numbers.notation.percent,
    }
    kind = column.asked.asked_kind or next(kind for kind in label_kinds().values() if not kind.has_labels)
    declared = Notice(code="label_numbers", severity="fact", values=values)
    return LabelColumn(kind, labels, declared, column.odd, found_notices(column, kind))


def _read_separated(
    column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str], numbers: NumberColumn | None
) -> LabelColumn | None:
    """Read names with a separator between them, where the cells say that they are sets."""
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


def _refuse_units(column: ColumnReading, texts: Sequence[str | None], filled: Sequence[str]) -> None:
    """Refuse numbers with a unit: what they mean must be said by whoever knows."""
    if not filled or len(filled[0]) > LONGEST_NUMBER:
        return
    units = [unit_of(text) if len(text) <= LONGEST_NUMBER else None for text in filled]
    with_unit = Counter(unit for unit in units if unit is not None)
    if sum(with_unit.values()) < MOSTLY * len(filled):
        return
    unit, count = with_unit.most_common(1)[0]
    bare = [text.replace(unit, "").strip() for text, own in zip(filled, units, strict=True) if own == unit]
    numbers = read_numbers(bare)
    after = count >= MOSTLY * len(filled) and filled[0].endswith(unit)
    measured = after and numbers.share >= MOSTLY and numbers.is_measured
    if any(map(is_currency, with_unit)) or measured:
        text = next(text for text, own in zip(filled, units, strict=True) if own == unit)
        raise DataError(
            f"Numbers must stand without a unit; column {column.name!r} has {text!r} at "
            f"{_location(column, texts, text)}. Remove {unit!r}; --kind classification keeps such labels as names."
        )


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


def _written(text: str, number: float, numbers: NumberColumn) -> str:
    """Return a number as kinds read it: as it stands where that is plain, else as Python writes it."""
    return text if numbers.notation.is_plain and number_of(text) is not None else repr(number)
