from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from unipelt_search.tasks.label_cells import NoCell, are_blank, are_withheld, bit_of, is_vector, plain_cell


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("a ", "a "),
        (np.str_("a"), "a"),
        (3, "3"),
        (np.int64(3), "3"),
        (1.5, "1.5"),
        (np.float32(1.5), "1.5"),
        (True, "true"),
        (np.bool_(False), "false"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+2"), "100"),
        (None, None),
        (float("nan"), None),
        (Decimal("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (["a", None, 1], ("a", None, "1")),
        (("a",), ("a",)),
        ({"b", "a"}, ("a", "b")),
        (np.array([1, 0]), ("1", "0")),
        (np.array(["a", "b"], dtype=object), ("a", "b")),
        ([], ()),
    ],
)
def test_values_of_any_library_have_a_plain_form(value: object, plain: object) -> None:
    assert plain_cell(value) == plain


@pytest.mark.parametrize("value", [{"a": 1}, b"a", date(2024, 1, 1), pd.Timestamp(0), [["a"]], [{"a": 1}]])
def test_other_values_have_none(value: object) -> None:
    assert isinstance(plain_cell(value), NoCell)


def test_words_say_yes_or_no_in_a_column_and_numbers_in_a_vector() -> None:
    assert [bit_of(text) for text in ("1", "Yes", " true ", "0.0", "n", "2", "", None)] == [
        True, True, True, False, False, None, None, None,
    ]  # fmt: skip
    assert is_vector(("1", "0.0", "True"))
    assert not is_vector(("yes", "no"))
    assert not is_vector((None,))


def test_blank_cells_are_told_from_empty_lists() -> None:
    assert are_blank([None, "", " "])
    assert not are_blank([[]])
    assert not are_blank([-1])


@pytest.mark.parametrize(
    ("cells", "withheld"),
    [
        ([-1, "-1"], True),
        (["", None], True),
        ([[-1, -1]], True),
        ([-1, 0], False),
        ([[], []], False),
        (["a"], False),
    ],
)
def test_labels_that_are_not_there_are_told(cells: list[object], withheld: bool) -> None:
    assert are_withheld(cells) == withheld
