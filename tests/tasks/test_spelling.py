from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipelt_search.tasks.spelling import look_alikes


@pytest.mark.parametrize(
    "slip",
    ["Positive", "positive ", "POSITIVE", "Postive", "positve", "positivee", "pozitive", "ｐositive", "positi ve"],
)
def test_slips_are_found(slip: str) -> None:
    assert look_alikes({"positive": 812, slip: 3, "negative": 700}) == [(slip, "positive")]


@pytest.mark.parametrize(
    ("first", "second"),
    [("1", "1.0"), ("card payment", "card_payment"), ("né", unicodedata.normalize("NFD", "né")), ("yes", "Yes")],
)
def test_forms_of_one_word_are_found_however_frequent(first: str, second: str) -> None:
    assert look_alikes({first: 400, second: 399}) == [(second, first)]


@pytest.mark.parametrize(
    ("first", "second"),
    [("sale", "male"), ("1", "2"), ("class 1", "class 2"), ("grade 1", "grade 10"), ("abc", "abd"), ("a", "b")],
)
def test_words_of_their_own_are_not(first: str, second: str) -> None:
    counts = {first: 400, second: 400 if first == "sale" else 1}
    assert look_alikes(counts) == []


@pytest.mark.parametrize(
    ("first", "second"), [("12345678901234567890", "12345678901234567891"), ("B", "B-"), ("B+", "B-")]
)
def test_long_identifiers_and_grades_are_not_one_label(first: str, second: str) -> None:
    assert look_alikes({first: 400, second: 399}) == []


@given(st.lists(st.text("abé", min_size=1, max_size=6), min_size=2, max_size=7, unique=True), st.integers(0, 2))
def test_one_letter_apart_is_levenshteins_distance(labels: list[str], frequent: int) -> None:
    counts = {label: 100 if position % 3 == frequent else 1 for position, label in enumerate(labels)}
    expected = {
        rare
        for rare in labels
        for usual in labels
        if counts[rare] < counts[usual] and min(len(rare), len(usual)) >= 4 and distance(rare, usual) == 1
    }
    assert set(dict(look_alikes(counts))) == expected


def distance(a: str, b: str) -> int:
    """Transcribe Levenshtein's recursion."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        before, row = row, [i]
        for j, other in enumerate(b, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other)))
    return row[-1]


def test_a_slip_is_taken_for_the_most_frequent_of_several_words_and_the_shorter_of_two_forms() -> None:
    assert dict(look_alikes({"angler": 60, "anger": 900, "angel": 60, "ange": 1}))["ange"] == "anger"
    assert look_alikes({"0": 7, "0.0": 7}) == [("0.0", "0")]
