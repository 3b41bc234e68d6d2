from __future__ import annotations

import pytest

from unipelt_search.kinds.number_notation import NumberNotation, is_currency, is_missing_word, read_numbers, unit_of

COMMA = NumberNotation(",")


@pytest.mark.parametrize(
    ("texts", "numbers", "notation"),
    [
        (["3.5", "-2", "1e3", ".5", "+4."], [3.5, -2.0, 1000.0, 0.5, 4.0], NumberNotation()),
        (["3,5", "2,04", "7"], [3.5, 2.04, 7.0], COMMA),
        (["12.5%", "3 %"], [12.5, 3.0], NumberNotation(percent=True)),
        (["12,5%", "3%"], [12.5, 3.0], NumberNotation(",", percent=True)),
        (["1,234.5", "12"], [1234.5, 12.0], NumberNotation(".", ",")),
        (["1.234,5", "3,25"], [1234.5, 3.25], NumberNotation(",", ".")),
        (["1,234,567", "3,500"], [1234567.0, 3500.0], NumberNotation(".", ",")),
        (["1.234.567", "0,5"], [1234567.0, 0.5], NumberNotation(",", ".")),
        (["1 234,5", "3"], [1234.5, 3.0], NumberNotation(",", " ")),
        (["1\N{NARROW NO-BREAK SPACE}234.5", "3"], [1234.5, 3.0], NumberNotation(".", " ")),
        (["1'234.5", "2\N{RIGHT SINGLE QUOTATION MARK}000"], [1234.5, 2000.0], NumberNotation(".", "'")),
        (["1,23,456.7", "5"], [123456.7, 5.0], NumberNotation(".", ",")),
        (["\N{MINUS SIGN}3.5", "1.5"], [-3.5, 1.5], NumberNotation()),
        (["1,234", "999", "12,500"], [1234.0, 999.0, 12500.0], NumberNotation(".", ",")),
        (["0,125", "1,234"], [0.125, 1.234], COMMA),
        (["1.234", "850"], [1.234, 850.0], NumberNotation()),
        (["3,5", "n/a", "inf"], [3.5, None, None], COMMA),
        (["5%", "7"], [None, 7.0], NumberNotation()),
        (["1.5", "-1.7976931348623157e308"], [1.5, None], NumberNotation()),
    ],
)
def test_one_notation_is_found_for_all_cells(
    texts: list[str], numbers: list[float | None], notation: NumberNotation
) -> None:
    column = read_numbers(texts)
    assert (list(column.numbers), column.notation, column.other) == (numbers, notation, None)


@pytest.mark.parametrize("texts", [["1,234", "2,345"], ["1,234", "1500"]])
def test_what_may_be_a_thousand_or_a_fraction_is_not_guessed(texts: list[str]) -> None:
    column = read_numbers(texts)
    assert column.other is not None
    assert {column.notation, column.other} == {COMMA, NumberNotation(".", ",")}


def test_points_between_thousands_are_not_taken_for_fractions_unasked() -> None:
    column = read_numbers(["1.200", "850", "12.500", "3.000"])
    assert (column.notation, column.other) == (NumberNotation(), NumberNotation(",", "."))
    assert read_numbers(["1.200", "850.5", "12.500", "3.000"]).other is None
    assert read_numbers(["1.200", "12.500", "3.000"]).other is None
    assert read_numbers(["0.125", "850", "12.500", "3.000"]).other is None


@pytest.mark.parametrize(
    ("texts", "measured"),
    [(["1", "2"], False), (["1.0", "2.0"], False), (["1.5"], True), (["3%"], True), (["2,0"], True), (["a"], False)],
)
def test_a_fraction_or_a_notation_tells_measurements_from_names(texts: list[str], measured: bool) -> None:
    assert read_numbers(texts).is_measured == measured


def test_no_cells_are_no_numbers() -> None:
    column = read_numbers([])
    assert (column.numbers, column.share, column.is_measured) == ((), 0.0, False)


@pytest.mark.parametrize(
    ("text", "unit", "money"),
    [
        ("$3.50", "$", True),
        ("3,50 €", "€", True),
        ("EUR 3", "EUR", True),
        ("3.5 kg", "kg", False),
        ("5 stars", "stars", False),
    ],
)
def test_units_and_currencies_are_told(text: str, unit: str, money: bool) -> None:
    assert unit_of(text) == unit
    assert is_currency(unit) == money


@pytest.mark.parametrize("text", ["12", "12%", "n/a", "a 3 b", "2024-01-01", ""])
def test_what_is_no_number_with_a_unit_has_none(text: str) -> None:
    assert unit_of(text) is None


def test_words_for_a_missing_number_are_known_in_any_case() -> None:
    assert [is_missing_word(word) for word in ("N/A", " nan ", "-", "none", "other")] == [True] * 4 + [False]
