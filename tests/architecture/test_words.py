"""One standard term per idea: no identifier of the package stands for an idea under an old, private word.

docs/glossary.md has the terms. The words that are refused here have no other use in this code; ordinary nouns that
once stood for something else as well (numbers, words, values) are left alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from source_tree import MODULES, named, parsed

OLD_WORDS = frozenset(
    "answer answers answered place places insist tell told heed sitting sittings bridge luck freedom noise remedy "
    "judge judged judgement merit contestant contestants competitor carve carved draw draws drawn redraw redrawn dealt "
    "deal beside sibling slips spent spoken shown listed fault faults whole standing standings heard".split()
)
OLD_NAMES = frozenset(
    "let_wait waits_again give_back give_up look_around lose remember must_be_alone as_stored load_stored gate_null "
    "question leave_if_needed".split()
)
# Words inside of a standard term.
TERMS = re.compile(r"degrees_of_freedom|DegreesOfFreedom")
EXCEPTIONS = {
    # keys of study files, of configurations and of what is stored
    "carve", "redraw", "draw", "gate_null", "majority_answer", "question_hash", "standings",
    # the old name of `predictions`, deprecated
    "answers",
}  # fmt: skip
# Fault injection is the standard term for what failpoints do.
FAULT_INJECTION = "failpoints.py"


def defined_names(tree: ast.Module) -> Iterator[str]:
    """Yield every name that a module gives to something."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words_of(name: str) -> set[str]:
    """Split an identifier into its words."""
    plain = TERMS.sub("", name)
    return set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", plain).lower().split("_"))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_identifiers_use_the_standard_words(path: Path) -> None:
    refused = OLD_WORDS - {"fault", "faults"} if named(path) == FAULT_INJECTION else OLD_WORDS
    names = {name for name in defined_names(parsed(path)) if name not in EXCEPTIONS}
    old = {name for name in names if words_of(name) & refused or name.lstrip("_") in OLD_NAMES}
    assert old == set()


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_modules_are_named_in_the_standard_words(path: Path) -> None:
    assert words_of(path.stem) & OLD_WORDS == set()


def test_every_exception_is_still_needed() -> None:
    names = {name for path in MODULES for name in defined_names(parsed(path))}
    assert EXCEPTIONS - names == set()
