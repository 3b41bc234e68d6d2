"""What the label columns of a dataset hold: one form, found over all splits together and then declared.

The forms are names, numbers and sets of names. A form is found once and read everywhere, so that a test file without a
row of two labels is read as its training file is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import AUTO, LabelKind, find_kind, label_kinds, name_kind
from unipelt_search.kinds.label_lists import is_bracketed, read_bare_list, read_list
from unipelt_search.kinds.label_separators import find_pair, find_separator, kept_separator, split_cell
from unipelt_search.kinds.label_texts import number_of
from unipelt_search.kinds.number_notation import NumberColumn, is_currency, is_missing_word, read_numbers, unit_of
from unipelt_search.records.notice import Notice, NoticeValue, first_values
from unipelt_search.tasks.label_cells import Names, NoCell, PlainCell, bit_of, is_vector, plain_cell

FEWEST_ROWS = 10
"""With fewer rows it says nothing that most labels occur once."""
MOSTLY = 0.9
"""The share of cells from which on the others are exceptions, which are named."""
SAMPLES = 3
LONGEST_SAMPLE = 40
LONGEST_NUMBER = 64
"""Characters of a cell at most that is looked at for a number with a unit."""


@dataclass(frozen=True)
class LabelRequest:
    """What the user says of the labels."""

    columns: tuple[str, ...]
    kind: str = AUTO
    label_names: tuple[str, ...] = ()
    separator: str | None = None
    text: str = ""
    """The column of the texts, to name it."""
    different_texts: int | None = None
    """How many different texts there are; None where nobody counted."""

    @property
    def asked_kind(self) -> LabelKind | None:
        """The kind that the user names."""
        return None if self.kind == AUTO else find_kind(self.kind)

    @property
    def may_be_sets(self) -> bool:
        """Whether the user does not say that a row has exactly one label."""
        return self.asked_kind is None or self.asked_kind.separator is not None

    @property
    def wants_sets(self) -> bool:
        """Whether the user says that a row has a set of labels."""
        return self.separator is not None or (self.asked_kind is not None and self.asked_kind.separator is not None)

    @property
    def wants_numbers(self) -> bool:
        """Whether the user says that labels are numbers."""
        return self.asked_kind is not None and not self.asked_kind.has_labels


@dataclass(frozen=True)
class OddLabel:
    """A cell that is not read, and why."""

    column: str
    text: str
    """What it holds, shortened; empty where it holds nothing."""
    expected: str
    """What it should hold, as in "must be …"."""


@dataclass
class LabelColumn:
    """The labels of all rows, whatever their split, as their kind writes them."""

    kind: LabelKind
    labels: list[str | None]
    """``(n,)``; None where a row has no label or an odd cell."""
    declared: Notice
    """How they were read."""
    odd: dict[int, OddLabel] = field(default_factory=dict)
    """By the number of the row."""
    notices: tuple[Notice, ...] = ()
    """What else is to be said."""


def read_label_column(cells: Mapping[str, Sequence[object]], asked: LabelRequest) -> LabelColumn:
    """Find the form of the labels and read them.

    Args:
        cells: ``(n,)`` for each label column, the rows of all splits one after another.
        asked: What the user says.

    Returns:
        The labels. Cells that do not fit the form that nearly all others have are odd.

    Raises:
        DataError: No form fits, several do, or the form is not the one that the user asks for.
    """
    if len(asked.columns) > 1:
        return _read_bit_columns(cells, asked)
    (name,) = asked.columns
    column = _Column(name, asked)
    plain = column.plain(cells[name])
    lists = column.lists_of(plain)
    if lists is not None:
        return column.read_lists(lists)
    return column.read_texts([cell if isinstance(cell, str) else None for cell in plain])


def _read_bit_columns(cells: Mapping[str, Sequence[object]], asked: LabelRequest) -> LabelColumn:
    """Read one 0/1 column per label."""
    if asked.separator is not None or asked.label_names:
        raise DataError(
            f"--separator and task.label_names need one --label column; got {len(asked.columns)}, whose names are "
            "the labels. Leave them out."
        )
    odd: dict[int, OddLabel] = {}
    bits: list[list[bool | None]] = []
    for name in asked.columns:
        column = _Column(name, asked)
        read = [bit_of(cell if isinstance(cell, str) else None) for cell in column.plain(cells[name])]
        for row, (bit, cell) in enumerate(zip(read, cells[name], strict=True)):
            if bit is None:
                odd.setdefault(row, OddLabel(name, _shown(cell), "0 or 1, yes or no, or true or false"))
        bits.append(read)
    if len(odd) == len(bits[0]):
        first = next(iter(odd.values()))
        raise DataError(
            "With several --label columns each must hold 0 and 1, one column for each label; column "
            f"{first.column!r} holds {first.text!r}. Name one --label column."
        )
    rows = [None if number in odd else row for number, row in enumerate(zip(*bits, strict=True))]
    column = _Column(" + ".join(asked.columns), asked)
    column.odd.update(odd)
    return column.from_bits(rows, asked.columns, "columns")


@dataclass
class _Column:
    """One column of labels while it is read."""

    name: str
    asked: LabelRequest
    odd: dict[int, OddLabel] = field(default_factory=dict)
    form: str = "cells"
    """How a cell is written, for the notice."""
    separator: str | None = None
    """What was found between the names of a cell."""
    samples: tuple[str, ...] = ()

    def plain(self, cells: Sequence[object]) -> list[PlainCell]:
        """Return all cells in their plain form; what has none is odd."""
        found: list[PlainCell] = []
        for row, value in enumerate(cells):
            cell = plain_cell(value)
            if isinstance(cell, NoCell):
                self.odd[row] = OddLabel(self.name, cell.type_name, "text, a number, or a list of them")
                cell = None
            found.append(cell)
        self.samples = tuple(dict.fromkeys(map(_shown, filter(_is_filled, found))))[:SAMPLES]
        return found

    # Which cells are lists.

    def lists_of(self, cells: Sequence[PlainCell]) -> list[Names | None] | None:
        """Return every cell as a list of names, as far as the column holds lists; None if it holds none."""
        texts = [cell.strip() for cell in cells if isinstance(cell, str) and cell.strip()]
        if any(isinstance(cell, tuple) for cell in cells):
            self.form = "lists"
            # A single label often stands without a list around it, and nothing stands for an empty one.
            return [_as_list(cell) for cell in cells]
        if texts and all(map(is_bracketed, texts)):
            found = self._written_lists(cells, texts)
            if found is not None:
                return found
        separator = self.asked.separator or self._separator_of_bits(texts)
        if separator is not None:
            self.form, self.separator = "separator", separator
            return [split_cell(cell, separator) if isinstance(cell, str) else () for cell in cells]
        return None

    def _written_lists(self, cells: Sequence[PlainCell], texts: Sequence[str]) -> list[Names | None] | None:
        """Return the lists that a program wrote as text."""
        if any(read_list(text) is not None for text in texts):
            self.form = "list_text"
            return [self._written_list(row, cell) for row, cell in enumerate(cells)]
        bare = {text: read_bare_list(text) for text in texts}
        insides = [text[1:-1] for text in texts]
        are_sets = self.asked.wants_sets or find_separator(insides, asked=False) == ","
        if not are_sets or None in bare.values():
            return None
        self.form = "list_text"
        return [bare[cell.strip()] if isinstance(cell, str) and cell.strip() else () for cell in cells]

    def _written_list(self, row: int, cell: PlainCell) -> Names | None:
        if not isinstance(cell, str) or not cell.strip():
            return ()
        parts = read_list(cell)
        plain = plain_cell(parts) if parts is not None else NoCell("")
        if not isinstance(plain, tuple):
            self.odd[row] = OddLabel(self.name, _shown(cell), "a list such as ['a', 'b']")
            return None
        return plain

    def _separator_of_bits(self, texts: Sequence[str]) -> str | None:
        """Return what stands between the zeros and ones of vectors that are written as text."""
        for separator in (" ", ",", ";", "|"):
            split = [text.split(separator) for text in texts]
            lengths = set(map(len, split))
            # Two of them with a comma are a number with a decimal comma.
            fewest = 2 if self.asked.label_names else 3
            if len(lengths) == 1 and lengths.pop() >= fewest and all(map(is_vector, split)):
                return separator
        return None

    # Lists.

    def read_lists(self, lists: list[Names | None]) -> LabelColumn:
        """Read lists: of zeros and ones, of positions, of one number, or of names."""
        filled = [parts for parts in lists if parts]
        single = all(len(parts) == 1 for parts in filled) and () not in lists
        if self._are_vectors(filled):
            return self._read_vectors(lists)
        if self.asked.label_names:
            return self._read_positions(lists)
        if single and self.separator is None and not self.asked.wants_sets:
            self.form = "lists_of_one"
            return self.read_texts([parts[0] if parts else None for parts in lists])
        self._refuse_numbers(filled)
        for row, parts in enumerate(lists):
            if parts is not None and any(part is None or not part.strip() for part in parts):
                self.odd.setdefault(row, OddLabel(self.name, _shown(parts), "a list of names, none of them empty"))
        return self._sets([None if row in self.odd else parts for row, parts in enumerate(lists)])

    def _are_vectors(self, filled: Sequence[Names]) -> bool:
        """Tell whether lists are vectors of zeros and ones, but for a few exceptions.

        A list of names has no name twice. So zeros and ones are a vector where one of them is there twice, and where
        all rows have both, which would make all rows alike.
        """
        vectors = [parts for parts in filled if is_vector(parts)]
        if not vectors or len(vectors) < MOSTLY * len(filled):
            return False
        lengths = {len(parts) for parts in vectors}
        if len(lengths) == 1 and lengths.pop() in (2, len(self.asked.label_names)):
            return True
        return any(len(set(parts)) < len(parts) for parts in vectors)

    def _read_vectors(self, lists: Sequence[Names | None]) -> LabelColumn:
        lengths = Counter(len(parts) for parts in lists if parts)
        length, _ = lengths.most_common(1)[0]
        names = self.asked.label_names or tuple(f"label_{number}" for number in range(length))
        if len(names) != length:
            raise DataError(
                f"task.label_names must name each place of the 0/1 vectors in column {self.name!r}; got {len(names)} "
                f"names for {length} places."
            )
        rows: list[tuple[bool | None, ...] | None] = []
        for row, parts in enumerate(lists):
            fits = parts is not None and len(parts) == length and is_vector(parts)
            if not fits:
                self.odd.setdefault(row, OddLabel(self.name, _shown(parts), f"a vector of {length} zeros and ones"))
            rows.append(tuple(map(bit_of, parts)) if fits and parts else None)
        return self.from_bits(rows, names, "vectors")

    def _read_positions(self, lists: Sequence[Names | None]) -> LabelColumn:
        """Read lists of positions in the names that the user gives."""
        names = self.asked.label_names
        rows: list[Names | None] = []
        for row, parts in enumerate(lists):
            found = [_position(part, len(names)) for part in parts or ()]
            if None in found:
                self.odd[row] = OddLabel(self.name, _shown(parts), f"positions from 0 to {len(names) - 1}")
            rows.append(None if row in self.odd else tuple(names[number] for number in found if number is not None))
        if len(self.odd) == len(rows):
            raise DataError(
                f"task.label_names needs 0/1 vectors or lists of positions in column {self.name!r}; got "
                f"{self.odd[0].text!r}. Leave it out."
            )
        self.form = "positions"
        return self._sets(rows)

    def _refuse_numbers(self, filled: Sequence[Names]) -> None:
        """Refuse lists of measurements: neither names nor one number."""
        numbers = [number_of(part or "") for parts in filled for part in parts]
        if not numbers or None in numbers:
            return
        same_length = len({len(parts) for parts in filled}) == 1
        repeated = any(len(set(parts)) < len(parts) for parts in filled)
        if (same_length and repeated) or any(number and number % 1 for number in numbers):
            raise DataError(
                f"A label must be one number or a list of names; column {self.name!r} holds lists of numbers such as "
                f"{self.samples[0]}. Make it one number or one name per row."
            )

    def from_bits(self, rows: Sequence[tuple[bool | None, ...] | None], names: Sequence[str], form: str) -> LabelColumn:
        """Read rows that say yes or no to each of the names."""
        self.form = form
        sets: list[Names | None] = []
        for bits in rows:
            sets.append(None if bits is None else _chosen(bits, names))
        return self._sets(sets, of=tuple(names))

    def _sets(self, rows: Sequence[Names | None], of: tuple[str, ...] = ()) -> LabelColumn:
        """Return sets of names, or names where the user asks for a kind of exactly one."""
        if not self.asked.may_be_sets:
            return self._one_of_each(rows)
        kind = self.asked.asked_kind or _first_kind_of_sets()
        mark = kind.separator or ""
        found = [None if row is None else tuple(sorted({part.strip() for part in row if part})) for row in rows]
        names = of or tuple(dict.fromkeys(name for row in found if row for name in row))
        bad = next((name for name in names if mark in name), None)
        if bad is not None:
            raise DataError(
                f"The name of a label must not hold {mark!r} where rows have sets of labels; column {self.name!r} has "
                f"{bad!r}. Rename it."
            )
        values: dict[str, NoticeValue] = {
            **self._values(),
            **first_values("labels", names),
            "rows": len(rows),
            "empty": sum(row == () for row in found),
            "one_each": all(row is None or len(row) == 1 for row in found),
        }
        declared = Notice(code="label_sets", severity="fact", values=values)
        labels = [None if row is None else mark.join(row) for row in found]
        notices = () if self.asked.asked_kind is not None else (_found(kind, self._values()),)
        return LabelColumn(kind, labels, declared, self.odd, notices)

    def _one_of_each(self, rows: Sequence[Names | None]) -> LabelColumn:
        """Read sets that must have exactly one name."""
        for row, names in enumerate(rows):
            if names is not None and len(names) != 1:
                self.odd[row] = OddLabel(self.name, ", ".join(map(str, names)), f"one label for --kind {self.asked.kind}")
        if 2 * len(self.odd) > len(rows):
            raise DataError(
                f"A row must have exactly one label for --kind {self.asked.kind}; column {self.name!r} has others in "
                f"{len(self.odd)} of {len(rows)} rows. Leave --kind out to read sets of labels."
            )
        return self.read_texts([None if row in self.odd or not names else names[0] for row, names in enumerate(rows)])

    # Single texts.

    def read_texts(self, texts: Sequence[str | None]) -> LabelColumn:
        """Read cells that hold a number, a name, or names with something between them."""
        filled = [text for text in texts if text is not None and text.strip()]
        if self.asked.wants_numbers:
            return self._numbers(texts, filled, read_numbers(filled))
        if self.asked.asked_kind is None:
            numbers = read_numbers(filled)
            if numbers.is_measured and numbers.share == 1:
                self._refuse_pairs(filled)
                return self._numbers(texts, filled, numbers)
            self._refuse_units(filled)
        else:
            numbers = None
        if self.asked.may_be_sets:
            found = self._separated(texts, filled, numbers)
            if found is not None:
                return found
        if numbers is not None and numbers.is_measured and _are_exceptions(numbers, filled):
            return self._numbers(texts, filled, numbers)
        return self._names(texts, filled)

    def _numbers(self, texts: Sequence[str | None], filled: Sequence[str], numbers: NumberColumn) -> LabelColumn:
        if numbers.other is not None:
            text = next(text for text in filled if numbers.notation.read(text) != numbers.other.read(text))
            first, second = numbers.notation.read(text), numbers.other.read(text)
            raise DataError(
                f"Numbers must be written so that they can be told apart; {text!r} in column {self.name!r} may be "
                f"{first!r} or {second!r}, and no other cell decides. Write them with a decimal point and no other mark."
            )
        number_in = dict(zip(filled, numbers.numbers, strict=True))
        labels: list[str | None] = []
        for row, text in enumerate(texts):
            number = number_in.get(text) if text is not None else None
            if number is None and text is not None and text.strip():
                self.odd[row] = OddLabel(self.name, _shown(text), self._expected_number(numbers))
            # A plain number is kept as it is written.
            labels.append(None if number is None or text is None else _written(text, number, numbers))
        read = [number for number in numbers.numbers if number is not None]
        if not read:
            raise DataError(
                f"Every label must be a finite number for --kind {self.asked.kind}; column {self.name!r} has "
                f"{_shown(filled[0]) if filled else 'nothing'!r}. Choose another column or kind."
            )
        samples = [text for text in dict.fromkeys(filled) if number_in[text] is not None][:SAMPLES]
        values: dict[str, NoticeValue] = {
            **self._values(),
            "samples": tuple(map(_shown, samples)),
            "numbers": tuple(number_in[text] for text in samples),
            "low": min(read),
            "high": max(read),
            "decimal": numbers.notation.decimal,
            "thousands": numbers.notation.thousands,
            "percent": numbers.notation.percent,
        }
        kind = self.asked.asked_kind or next(kind for kind in label_kinds().values() if not kind.has_labels)
        notices = () if self.asked.asked_kind is not None else (_found(kind, {}),)
        return LabelColumn(kind, labels, Notice(code="label_numbers", severity="fact", values=values), self.odd, notices)

    def _expected_number(self, numbers: NumberColumn) -> str:
        count = sum(number is not None for number in numbers.numbers)
        return f"a number, as {count} of {len(numbers.numbers)} labels are"

    def _separated(
        self, texts: Sequence[str | None], filled: Sequence[str], numbers: NumberColumn | None
    ) -> LabelColumn | None:
        """Read names with a separator between them, where the cells say that they are sets."""
        separator = find_separator(filled, asked=self.asked.wants_sets)
        if numbers is not None and numbers.is_measured and separator == numbers.notation.decimal:
            # `3,5` beside `n/a` is a number; `1,2` beside `1,2,3` is a set.
            others = [text for text, number in zip(filled, numbers.numbers, strict=True) if number is None]
            if not any(separator in text for text in others):
                separator = None
        if separator is None and not self.asked.wants_sets:
            return None
        self.form = "separator"
        self.separator = separator
        rows = [_split(text, separator) for text in texts]
        return self._sets(rows)

    def _names(self, texts: Sequence[str | None], filled: Sequence[str]) -> LabelColumn:
        counts = Counter(filled)
        kind = self.asked.asked_kind
        if kind is None:
            self._refuse_mostly_once(counts)
            kind = name_kind(filled)
        values: dict[str, NoticeValue] = {
            **self._values(),
            **first_values("labels", list(counts)),
            "kept": kept_separator(counts) if self.asked.asked_kind is None else None,
        }
        labels = [text if text is not None and text.strip() else None for text in texts]
        notices = (_found(kind, {}),) if self.asked.asked_kind is None and kind.notice is not None else ()
        return LabelColumn(kind, labels, Notice(code="label_names", severity="fact", values=values), self.odd, notices)

    def _refuse_mostly_once(self, counts: Counter[str]) -> None:
        """Refuse what cannot be learnt: labels of which most are met in one row only."""
        rows = sum(counts.values())
        once = sum(count == 1 for count in counts.values())
        if rows < FEWEST_ROWS or 2 * once <= rows:
            return
        start = f"Labels must recur to be learnt; in column {self.name!r} {once} of {rows} rows have a label of their own"
        texts = self.asked.different_texts
        if texts is not None and texts * 2 < len(counts):
            raise DataError(
                f"{start}, and column {self.asked.text!r} has {texts} different texts. Are --text and --label swapped?"
            )
        if read_numbers(list(counts)).share >= MOSTLY:
            raise DataError(
                f"{start}: a number or an identifier? --kind regression predicts numbers; --kind classification keeps "
                "them as names; else name another --label column."
            )
        raise DataError(
            f"{start}, such as {_shown(next(iter(counts)))!r}: an identifier or a text? Name another --label column; "
            "--kind classification keeps them as names."
        )

    def _refuse_pairs(self, filled: Sequence[str]) -> None:
        """Refuse what may be numbers with a decimal comma or pairs of numbered labels."""
        pair = find_pair(filled)
        if pair is not None:
            raise DataError(
                f"What a comma means must be clear; {pair!r} in column {self.name!r} may be a number or two labels. "
                "--kind regression reads numbers, --separator , reads sets of labels."
            )

    def _refuse_units(self, filled: Sequence[str]) -> None:
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
                f"Numbers must stand without a unit; column {self.name!r} has {text!r}. Remove {unit!r}; "
                "--kind classification keeps such labels as names."
            )

    def _values(self) -> dict[str, NoticeValue]:
        return {
            "column": self.name,
            "form": self.form,
            "separator": self.separator,
            "samples": self.samples,
        }


def _are_exceptions(numbers: NumberColumn, filled: Sequence[str]) -> bool:
    """Tell whether the cells that are no numbers are exceptions among numbers."""
    others = [text for text, number in zip(filled, numbers.numbers, strict=True) if number is None]
    return numbers.share >= MOSTLY or (numbers.share >= 0.5 and all(map(is_missing_word, others)))


def _as_list(cell: PlainCell) -> Names:
    if cell is None:
        return ()
    return (cell,) if isinstance(cell, str) else cell


def _chosen(bits: Sequence[bool | None], names: Sequence[str]) -> tuple[str, ...]:
    """Return the names to which a row says yes."""
    return tuple(name for bit, name in zip(bits, names, strict=True) if bit)


def _split(text: str | None, separator: str | None) -> Names:
    if text is None or not text.strip():
        return ()
    return (text.strip(),) if separator is None else split_cell(text, separator)


def _written(text: str, number: float, numbers: NumberColumn) -> str:
    """Return a number as kinds read it: as it stands where that is plain, else as Python writes it."""
    return text if numbers.notation.is_plain and number_of(text) is not None else repr(number)


def _position(part: str | None, count: int) -> int | None:
    number = number_of(part or "")
    if number is None or number % 1 or not 0 <= number < count:
        return None
    return int(number)


def _first_kind_of_sets() -> LabelKind:
    return next(kind for kind in label_kinds().values() if kind.separator is not None)


def _found(kind: LabelKind, values: Mapping[str, NoticeValue]) -> Notice:
    """Return the notice that the labels themselves decided for a kind."""
    own: dict[str, NoticeValue] = {}
    if kind.separator is not None:
        own = {"separator": values["separator"], "form": values["form"], "column": values["column"]}
    return Notice(code=kind.notice or "", values=own)


def _is_filled(cell: PlainCell) -> bool:
    return bool(cell.strip()) if isinstance(cell, str) else cell is not None


def _shown(cell: object) -> str:
    """Return a cell for a message: a list as Python writes it, a long text shortened."""
    if cell is None:
        return ""
    text = str(list(cell)) if isinstance(cell, tuple) else str(cell)
    return text if len(text) <= LONGEST_SAMPLE else f"{text[:LONGEST_SAMPLE]}…"
