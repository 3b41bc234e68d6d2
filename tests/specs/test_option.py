from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from unipelt_search.frozen import Frozen
from unipelt_search.specs.option import FieldOption, Option, field_options
from unipelt_search.specs.study import StudySpec

ROWS = Option("--max-rows", help="Rows at most.", metavar="N")
LOUD = Option("--loud", help="Say more.")


class Section(Frozen):
    rows: Annotated[int | None, ROWS] = Field(default=None, ge=1)
    silent: bool = False


class Whole(Frozen):
    first: Section = Section()
    loud: Annotated[bool, LOUD] = False


def test_options_come_with_the_keys_and_the_type_of_their_fields() -> None:
    assert list(field_options(Whole)) == [
        FieldOption(("first", "rows"), ROWS, int | None),
        FieldOption(("loud",), LOUD, bool),
    ]


def test_an_option_is_a_python_parameter_too() -> None:
    assert ROWS.parameter == "max_rows"


def test_a_declaration_changes_neither_values_nor_checks() -> None:
    assert Whole().model_dump() == {"first": {"rows": None, "silent": False}, "loud": False}
    with pytest.raises(ValidationError):
        Section(rows=0)


def test_no_two_fields_of_a_study_share_an_option() -> None:
    flags = [declared.option.flag for declared in field_options(StudySpec)]
    assert len(flags) > 20
    assert len(set(flags)) == len(flags)


def test_every_option_of_a_study_has_a_sentence() -> None:
    wrong = [
        declared.option.flag
        for declared in field_options(StudySpec)
        # Brackets would be markup in the help, which is no Markdown either.
        if not declared.option.help.endswith(".") or "[" in declared.option.help or "`--" in declared.option.help
    ]
    assert wrong == []
