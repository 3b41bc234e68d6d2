from __future__ import annotations

import csv
import io
import random

import pytest

from unipelt_search.errors import DataError
from unipelt_search.tasks.csv_dialect import NO_DELIMITER, Dialect, find_dialect, is_blank, parsed_rows


def dialect_of(text: str, name: str = "a.csv", wanted: tuple[str, ...] | None = ("text", "label")) -> Dialect:
    return find_dialect(lambda: io.StringIO(text, newline=""), name, wanted)


def rows_of(text: str, name: str = "a.csv") -> list[object]:
    dialect = dialect_of(text, name)
    return [cells for _, _, cells in parsed_rows(io.StringIO(text, newline=""), dialect)]


@pytest.mark.parametrize(
    ("text", "delimiter", "header", "skipped"),
    [
        ("text,label\nx,0\n", ",", ("text", "label"), 1),
        ("text\tlabel\nx\t0\n", "\t", ("text", "label"), 1),
        ("text ; label\nx;0\n", ";", ("text", "label"), 1),
        ("text|label\nx|0\n", "|", ("text", "label"), 1),
        ("\n\ntext,label\nx,0\n", ",", ("text", "label"), 3),
        ("sep=;\ntext;label\nx;0\n", ";", ("text", "label"), 2),
        ('"sep=^"\r\ntext^label\r\nx^0\r\n', "^", ("text", "label"), 2),
        ("sep=\\t\ntext\tlabel\nx\t0\n", "\t", ("text", "label"), 2),
        ("# made in May\n# of 2024\ntext,label\nx,0\n", ",", ("text", "label"), 3),
        ("#text,label\nx,0\n", ",", ("#text", "label"), 1),
        ('"the\ntext",label\nx,0\n', ",", ("the\ntext", "label"), 2),
        ("text\nx, y; z\n", NO_DELIMITER, ("text",), 1),
    ],
)
def test_the_delimiter_and_the_header_are_found(
    text: str, delimiter: str, header: tuple[str, ...], skipped: int
) -> None:
    found = dialect_of(text)
    assert (found.delimiter, found.header, found.skipped) == (delimiter, header, skipped)
    assert (found.quoting in ("none", "doubled"), found.as_before) == (True, True)


def test_without_wanted_columns_the_most_fields_decide() -> None:
    assert dialect_of("id;a text, with a comma;c\n1;2;3\n", wanted=None).delimiter == ";"


def stray_quotes(delimiter: str, rows: int = 60) -> str:
    """Write a file whose quotes are text: some texts begin with one, others end with one."""
    marks = {7: '"{}', 9: '{}"', 20: '"{}', 26: '{}"', 45: 'he said "{}"', 31: '{}"', 40: '"{}"'}
    lines = [f"{marks.get(n, '{}').format(f'text {n}')}{delimiter}{'pos' if n % 3 else 'neg'}" for n in range(rows)]
    return "\n".join([f"text{delimiter}label", *lines, ""])


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
def test_quotes_that_would_swallow_rows_are_text(delimiter: str) -> None:
    text = stray_quotes(delimiter)
    found = dialect_of(text)
    assert (found.quoting, found.as_before, found.swallowed >= 4) == ("literal", False, True)
    rows = rows_of(text)
    assert len(rows) == 60
    assert rows[7] == ['"text 7', "pos"]
    assert rows[40] == ['"text 40"', "pos"]


def test_a_backslash_before_a_quote_of_a_text_swallows_no_rows() -> None:
    marks = {7: '"{}', 20: '{} \\"cat\\"', 30: '"{} \\"cat\\""'}
    lines = [f"{marks.get(n, '{}').format(f'text {n}')}\t{'pos' if n % 3 else 'neg'}" for n in range(40)]
    rows = rows_of("\n".join(["text\tlabel", *lines, ""]), "a.tsv")
    assert (len(rows), rows[7], rows[20]) == (40, ['"text 7', "pos"], ['text 20 \\"cat\\"', "pos"])


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_line_breaks_delimiters_and_quotes_inside_of_quoted_cells_stay_there(delimiter: str, quoting: int) -> None:
    draw = random.Random(3)
    parts = ["word", delimiter, "\n", '"', ", ", "0", "pos", f"{delimiter}pos\n", f"x{delimiter}neg"]
    table = [["".join(draw.choices(parts, k=6)), draw.choice(["pos", "neg"])] for _ in range(80)]
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, quoting=quoting).writerows([["text", "label"], *table])
    assert rows_of(written.getvalue()) == table


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('text,label\n"Hello, team\nBob",spam\ngood,ham\nbad,spam\n', [["Hello, team\nBob", "spam"], ["good", "ham"]]),
        ('text\tlabel\n"one\ntwo"\tpos\nthree\tneg\n', [["one\ntwo", "pos"], ["three", "neg"]]),
        ('text,label\n"x",0\n"y",1\n', [["x", "0"], ["y", "1"]]),
        ('text,label\n"say ""x""",0\nthe 5" pipe,1\n', [['say "x"', "0"], ['the 5" pipe', "1"]]),
        ('text,label\n"x" y,0\nz,1\n', [['"x" y', "0"], ["z", "1"]]),
        ('text,label\n"never ends,0\nz,1\n', [['"never ends', "0"], ["z", "1"]]),
        ('"text","label"\n"a \\"b\\", c",0\n"d",1\n', [['a "b", c', "0"], ["d", "1"]]),
    ],
)
def test_small_files_are_read_as_they_were_written(text: str, rows: list[list[str]]) -> None:
    assert rows_of(text)[: len(rows)] == rows


@pytest.mark.parametrize(
    ("text", "as_before"),
    [
        ('label, text\n0, "a, b"\n1, "c ""d"""\n', True),
        ('"label", "text"\n"0", "a, b"\n"1", "c ""d"""\n', True),
        ('label, text\n0, "ab"\n1, "c ""d"""\n', False),
    ],
)
def test_blanks_may_stand_before_quoted_cells(text: str, as_before: bool) -> None:
    assert dialect_of(text).header == ("label", "text")
    assert [cells[1].replace(", ", "") for cells in rows_of(text) if isinstance(cells, list)] == ["ab", 'c "d"']
    assert dialect_of(text).as_before is as_before


def test_without_wanted_columns_the_lines_tell_the_delimiter() -> None:
    text = "text;what, where\na;b\nc;d, e\n"
    assert dialect_of(text, wanted=None).header == ("text", "what, where") == dialect_of(text).header


def test_bare_quotes_say_that_nobody_encloses_cells() -> None:
    text = 'text\tlabel\nhe said "no"\t0\n"Good."\t1\nshe said "yes"\t1\n'
    assert rows_of(text)[1] == ['"Good."', "1"]
    assert dialect_of(text).as_before is False


def test_where_the_header_is_quoted_quotes_enclose() -> None:
    text = '"text"\t"label"\nhe said "no"\t0\n"Good."\t1\n'
    assert dialect_of(text).quoting == "doubled"


def test_a_ragged_line_in_a_file_with_stray_quotes_is_seen_at_its_line() -> None:
    lines = stray_quotes("\t").splitlines()
    lines.insert(10, "too\tmany\tcells")
    text = "\n".join(lines)
    assert dialect_of(text).quoting == "literal"
    assert [len(row) for row in rows_of(text) if isinstance(row, list)].index(3) == 9


def test_empty_and_broken_headers_are_refused() -> None:
    with pytest.raises(DataError, match="a.csv must have a first line"):
        dialect_of("\n \n")
    with pytest.raises(DataError, match="in the row that begins at line 1, which names"):
        dialect_of('"text,label\nx,0\n')


def test_blank_lines_are_no_rows() -> None:
    assert [is_blank(cells, 2) for cells in ([], [" "], ["", ""], ["x"])] == [True, True, False, False]
    assert is_blank([" "], 1) is False
