from __future__ import annotations

from typing import get_args

from unipelt_search.cli.syntax import PARSERS, split_names
from unipelt_search.specs.option import Syntax


def test_names_are_split_at_commas() -> None:
    assert split_names(" cola, mrpc ,,") == ["cola", "mrpc"]
    assert split_names(" , ") == []


def test_every_syntax_can_be_read() -> None:
    assert set(PARSERS) == set(get_args(Syntax))
    assert PARSERS["plain"](3) == 3
    assert PARSERS["duration"]("2m") == 120
    assert list(PARSERS["methods"]("head, unipelt[lora,adapter]")) == ["head", "unipelt[lora,adapter]"]
