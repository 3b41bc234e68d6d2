from __future__ import annotations

import pytest

from unipelt_search.kinds.label_lists import LONGEST, is_bracketed, read_bare_list, read_list


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("['a', 'b']", ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("('a',)", ("a",)),
        ("{'b', 'a'}", ("a", "b")),
        ("set()", ()),
        ("[]", ()),
        ("[1, 0, 1]", (1, 0, 1)),
        ("[true, null]", (True, None)),
        ("['a' 'b']", ("a", "b")),
        ("['a'\n 'b']", ("a", "b")),
        ("[0 1 0]", (0, 1, 0)),
        ("[0. 1.]", (0.0, 1.0)),
        ("[-1  2]", (-1, 2)),
        ("[ True False]", (True, False)),
        ("array([0, 1])", (0, 1)),
        ("array(['a', 'b'], dtype='<U1')", ("a", "b")),
        ("[np.int64(1), np.int64(0)]", (1, 0)),
        ("[\"it's\", 'b']", ("it's", "b")),
    ],
)
def test_lists_are_read_as_programs_write_them(text: str, parts: tuple[object, ...]) -> None:
    assert read_list(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "",
        "[PER]",
        "{'a': 1}",
        "[0 0 ... 1]",
        "['a', 'b' 'c']",
        "['a'",
        "[] + []",
        "[__import__('os')]",
        "[" * 5000 + "]" * 5000,
        "[" + "1," * LONGEST + "1]",
    ],
)
def test_other_text_is_no_list_and_runs_nothing(text: str) -> None:
    assert read_list(text) is None


def test_names_without_quotes_are_a_list_of_their_own_kind() -> None:
    assert read_bare_list("[joy, anger ]") == ("joy", "anger")
    assert read_bare_list("[]") == ()
    assert read_bare_list("['a']") is None


def test_brackets_must_fit() -> None:
    assert [is_bracketed(text) for text in ("[a]", " (a) ", "{a}", "[a)", "a", "")] == [True] * 3 + [False] * 3
