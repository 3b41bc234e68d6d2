"""Labels of cells that hold lists: names, positions of names, or vectors of zeros and ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_lists import is_bracketed, read_bare_list, read_list
from unipelt_search.kinds.label_separators import find_separator, split_cell
from unipelt_search.kinds.label_texts import number_of
from unipelt_search.kinds.number_notation import is_missing_word
from unipelt_search.tasks.label_cells import Names, NoCell, PlainCell, bit_of, is_vector, plain_cell
from unipelt_search.tasks.label_column import ColumnReading, LabelColumn, OddLabel, abbreviated, as_sets
from unipelt_search.tasks.single_labels import MOSTLY, read_single_labels

Bits = tuple[bool | None, ...]
"""For each of some names whether a row has it."""


def lists_of(column: ColumnReading, cells: Sequence[PlainCell]) -> list[Names | None] | None:
    """Find out whether a column holds lists.

    Args:
        column: What is read; it learns how its lists are written.
        cells: ``(n,)``.

    Returns:
        ``(n,)``, each cell as a list, None where it is odd; None if the column holds no lists.
    """
    if any(isinstance(cell, tuple) for cell in cells):
        column.form = "lists"
        # A single label often stands without a list around it, and nothing stands for an empty one.
        return [_as_list(cell) for cell in cells]
    written = [cell if isinstance(cell, str) else "" for cell in cells]
    texts = [text.strip() for text in written if text.strip()]
    found = _written_lists(column, written, texts)
    if found is not None:
        return found
    separator = column.asked.separator or _separator_of_bits(column, texts)
    if separator is None:
        return None
    column.form, column.separator = "separator", separator
    return [split_cell(text, separator) for text in written]


def read_lists(column: ColumnReading, lists: list[Names | None]) -> LabelColumn:
    """Read lists: of zeros and ones, of positions, of one number, or of names.

    Args:
        column: What is read.
        lists: ``(n,)``, None where a cell is odd.

    Returns:
        The labels.

    Raises:
        DataError: They are none of these, the names that the user gives do not fit, or a row has no label or several
            where the user asks for a kind of exactly one.
    """
    filled = [parts for parts in lists if parts]
    if _are_vectors(column, filled):
        return _read_vectors(column, lists)
    if column.asked.label_names:
        return _read_positions(column, lists)
    if _are_single(lists) and column.separator is None and not column.asked.wants_sets:
        column.form = "lists_of_one"
        return read_single_labels(column, list(map(_first_of, lists)))
    if _are_measured(filled):
        row = lists.index(filled[0])
        raise DataError(
            f"A label must be one number or a list of names; column {column.name!r} holds a list of numbers, "
            f"{abbreviated(filled[0])}, at {column.asked.location_of(row)}. Make it one number or one name per row."
        )
    return _sets_or_names(column, _lists_of_names(column, lists))


def read_bits(column: ColumnReading, rows: Sequence[Bits | None], names: Sequence[str]) -> LabelColumn:
    """Read rows that say yes or no to each of the names.

    Args:
        column: What is read.
        rows: ``(n,)``, for each name whether the row has it; None where a cell is odd.
        names: All of them.

    Returns:
        The labels.

    Raises:
        DataError: A row has no label or several, where the user asks for a kind of exactly one.
    """
    sets: list[Names | None] = []
    for bits in rows:
        sets.append(None if bits is None else _chosen(bits, names))
    return _sets_or_names(column, sets, tuple(names))


def _written_lists(column: ColumnReading, cells: Sequence[str], texts: Sequence[str]) -> list[Names | None] | None:
    """Return the lists that a program wrote as text; None if it wrote none, or few among other texts."""
    if not texts:
        return None
    all_bracketed = all(map(is_bracketed, texts))
    lists = sum(bool(read_list(text)) for text in texts)
    others = sum(read_list(text) is None and not is_missing_word(text) for text in texts)
    # An empty list and `[1]` are written alike with quotes around names and without.
    bare = _bare_lists(column, cells, texts) if all_bracketed and lists < others else None
    if bare is not None:
        return bare
    # One `nan`, or a list that is cut off, does not make names of all the others.
    fewest = min(others, 1) if all_bracketed else max(MOSTLY * (lists + others), 1)
    if lists < fewest:
        return None
    column.form = "list_text"
    return [_written_list(column, row, cell) for row, cell in enumerate(cells)]


def _bare_lists(column: ColumnReading, cells: Sequence[str], texts: Sequence[str]) -> list[Names | None] | None:
    """Return lists whose names stand without quotes; None if the cells are none, as names in brackets are none."""
    bare: dict[str, Names | None] = {text: read_bare_list(text) for text in texts}
    insides = [text[1:-1] for text in texts]
    are_sets = column.asked.wants_sets or find_separator(insides, asked=False) == ","
    if not are_sets or None in bare.values():
        return None
    column.form = "list_text"
    return [bare.get(cell.strip(), ()) for cell in cells]


def _written_list(column: ColumnReading, row: int, cell: str) -> Names | None:
    if not cell.strip():
        return ()
    parts = read_list(cell)
    plain = plain_cell(parts) if parts is not None else NoCell("")
    if not isinstance(plain, tuple):
        column.odd[row] = OddLabel(column.name, abbreviated(cell), "a list such as ['a', 'b']")
        return None
    return plain


def _separator_of_bits(column: ColumnReading, texts: Sequence[str]) -> str | None:
    """Return what stands between the zeros and ones of vectors that are written as text."""
    for separator in (" ", ",", ";", "|"):
        split = [text.split(separator) for text in texts]
        vectors = list(filter(is_vector, split))
        # Two of them with a comma are a number with a decimal comma.
        fewest = 2 if column.asked.label_names else 3
        length, rows = Counter(map(len, vectors)).most_common(1)[0] if vectors else (0, 0)
        if length >= fewest and rows >= MOSTLY * len(texts):
            return separator
    return None


def _are_vectors(column: ColumnReading, filled: Sequence[Names]) -> bool:
    """Tell whether lists are vectors of zeros and ones, but for a few exceptions.

    A list of names has no name twice. So zeros and ones are a vector where one of them is there twice, and where
    all rows have both, which would make all rows alike.
    """
    vectors = [parts for parts in filled if is_vector(parts)]
    if not vectors or len(vectors) < MOSTLY * len(filled):
        return False
    lengths = {len(parts) for parts in vectors}
    if len(lengths) == 1 and lengths.pop() in (2, len(column.asked.label_names)):
        return True
    return any(len(set(parts)) < len(parts) for parts in vectors)


def _read_vectors(column: ColumnReading, lists: Sequence[Names | None]) -> LabelColumn:
    filled = [parts for parts in lists if parts]
    length, _ = Counter(map(len, filled)).most_common(1)[0]
    names = column.asked.label_names or tuple(f"label_{number}" for number in range(length))
    if len(names) != length:
        row = lists.index(filled[0])
        raise DataError(
            f"task.label_names must name each number of the 0/1 vectors in column {column.name!r}; got {len(names)} "
            f"names for {len(filled[0])} numbers at {column.asked.location_of(row)}."
        )
    expected = f"a vector of {length} zeros and ones"
    rows: list[Bits | None] = []
    for row, parts in enumerate(lists):
        if parts is not None and len(parts) == length and is_vector(parts):
            rows.append(tuple(map(bit_of, parts)))
        else:
            column.odd.setdefault(row, OddLabel(column.name, abbreviated(parts), expected))
            rows.append(None)
    column.form = "vectors"
    return read_bits(column, rows, names)


def _read_positions(column: ColumnReading, lists: Sequence[Names | None]) -> LabelColumn:
    """Read lists of positions in the names that the user gives."""
    names = column.asked.label_names
    rows: list[Names | None] = []
    for row, parts in enumerate(lists):
        found = [_position(part, len(names)) for part in parts or ()]
        if None in found:
            column.odd[row] = OddLabel(column.name, abbreviated(parts), f"positions from 0 to {len(names) - 1}")
        rows.append(None if row in column.odd else tuple(names[number] for number in found if number is not None))
    if len(column.odd) == len(rows):
        raise DataError(
            f"task.label_names needs 0/1 vectors or lists of positions in column {column.name!r}; got "
            f"{column.odd[0].text!r} at {column.asked.location_of(0)}. Leave it out."
        )
    column.form = "positions"
    return _sets_or_names(column, rows)


def _lists_of_names(column: ColumnReading, lists: Sequence[Names | None]) -> list[Names | None]:
    rows = list(lists)
    for row, parts in enumerate(lists):
        if not all(map(_is_name, parts or ())):
            column.odd[row] = OddLabel(column.name, abbreviated(parts), "a list of names, none of them empty")
    for row in column.odd:
        rows[row] = None
    return rows


def _are_single(lists: Sequence[Names | None]) -> bool:
    """Tell whether every list has exactly one part."""
    return {len(parts) for parts in lists if parts is not None} <= {1}


def _are_measured(filled: Sequence[Names]) -> bool:
    """Tell whether lists hold measurements: fractions, or as many whole numbers in every row, some of them twice."""
    parts = list(chain.from_iterable(filled))
    numbers = [number_of(part) for part in parts if part is not None]
    if not numbers or len(numbers) < len(parts) or None in numbers:
        return False
    if any(number % 1 for number in numbers if number is not None):
        return True
    repeated = any(len(set(own)) < len(own) for own in filled)
    return repeated and len(set(map(len, filled))) == 1


def _first_of(parts: Names | None) -> str | None:
    return parts[0] if parts else None


def _is_name(part: str | None) -> bool:
    return part is not None and bool(part.strip())


def _sets_or_names(column: ColumnReading, rows: Sequence[Names | None], of: tuple[str, ...] = ()) -> LabelColumn:
    """Return sets of names, or the single name of every row where the user asks for a kind of exactly one."""
    return as_sets(column, rows, of) if column.asked.may_be_sets else _one_of_each(column, rows)


def _one_of_each(column: ColumnReading, rows: Sequence[Names | None]) -> LabelColumn:
    """Read sets that must have exactly one name."""
    expected = f"one label for --kind {column.asked.kind}"
    single: list[str | None] = []
    for row, names in enumerate(rows):
        if names is not None and len(names) != 1:
            column.odd[row] = OddLabel(column.name, abbreviated(names), expected)
        single.append(names[0] if names and row not in column.odd else None)
    if 2 * len(column.odd) > len(rows):
        row, first = next(iter(column.odd.items()))
        raise DataError(
            f"A row must have exactly one label for --kind {column.asked.kind}; column {column.name!r} has others in "
            f"{len(column.odd)} of {len(rows)} rows, such as {first.text or '[]'} at {column.asked.location_of(row)}. "
            "Leave --kind out to read sets of labels."
        )
    return read_single_labels(column, single)


def _as_list(cell: PlainCell) -> Names:
    if cell is None:
        return ()
    return (cell,) if isinstance(cell, str) else cell


def _chosen(bits: Sequence[bool | None], names: Sequence[str]) -> tuple[str, ...]:
    """Return the names to which a row says yes."""
    return tuple(name for bit, name in zip(bits, names, strict=True) if bit)


def _position(part: str | None, count: int) -> int | None:
    number = number_of(part or "")
    if number is None or number % 1 or not 0 <= number < count:
        return None
    return int(number)
