from __future__ import annotations

import pytest

from unipelt_search.tasks.cells import is_unicode, text_of


@pytest.mark.parametrize(
    ("cell", "text"),
    [("NA", "NA"), (None, ""), (float("nan"), ""), (True, "true"), (7, "7"), (1.5, "1.5"), ([1], None), (b"a", None)],
)
def test_what_has_a_text(cell: object, text: str | None) -> None:
    assert text_of(cell) == text


@pytest.mark.parametrize(("text", "fine"), [("é\U0001f600", True), ("a\x00", False), ("\udfff", False), ("", True)])
def test_what_tokenizers_and_databases_take(text: str, fine: bool) -> None:
    assert is_unicode(text) == fine
