"""Rules on what a reader must hold in mind; docs/decisions/0015-rules-that-check-what-is-meant.md has the reasons."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import pytest

from source_tree import COMPREHENSIONS, FUNCTIONS, MODULES, complexity, functions, named, parsed, tokens_by_line

MOST_COMPLEX = 12
MOST_PARAMETERS = 7
MOST_TOKENS, DENSE_SHARE = 25, 0.025
# The documented Python interface takes keywords, as options of a command are given.
MANY_PARAMETERS = {"api.py:export_model"}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_functions_have_few_paths(path: Path) -> None:
    found = {function.name: complexity(function) for function in functions(parsed(path))}
    assert {name: count for name, count in found.items() if count > MOST_COMPLEX} == {}


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_functions_take_few_parameters(path: Path) -> None:
    found = {f"{named(path)}:{function.name}": parameters(function) for function in functions(parsed(path))}
    many = {name for name, count in found.items() if count > MOST_PARAMETERS}
    assert many - MANY_PARAMETERS == set()


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_no_comprehension_stands_inside_another_or_spans_a_nested_loop(path: Path) -> None:
    nested = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, COMPREHENSIONS):
            inner = [child for child in ast.walk(node) if child is not node and isinstance(child, COMPREHENSIONS)]
            nested += [f"line {child.lineno}" for child in inner]
    assert nested == []


def test_few_lines_are_dense() -> None:
    counts = [count for path in MODULES for count in tokens_by_line(path.read_text(encoding="utf-8")).values()]
    dense = sum(count > MOST_TOKENS for count in counts)
    assert dense / len(counts) <= DENSE_SHARE, f"{dense} of {len(counts)} lines have more than {MOST_TOKENS} tokens"


def test_no_modules_import_each_other_in_a_cycle() -> None:
    graph = grimp.build_graph("unipelt_search", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while True:
        # What imports nothing that is left can be in no cycle.
        free = {module for module, imported in imports.items() if not imported & imports.keys()}
        if not free:
            break
        imports = {module: imported for module, imported in imports.items() if module not in free}
    assert imports == {}


def test_the_measure_counts_what_a_reader_counts() -> None:
    """The rules above are only as good as this."""
    source = (
        "def f(a, b):\n"
        "    if a and b or a:\n"
        "        return [x for x in a if x]\n"
        "    for x in b:\n"
        "        try:\n"
        "            y = x if a else b\n"
        "        except ValueError:\n"
        "            match x:\n"
        "                case 1: pass\n"
        "                case 2: pass\n"
        "    def inner():\n"
        "        if a: pass\n"
    )
    (outer, inner) = [node for node in ast.walk(ast.parse(source)) if isinstance(node, FUNCTIONS)]
    assert (complexity(outer), complexity(inner)) == (11, 2)
    assert tokens_by_line(source)[1] == 8
    assert parameters(outer) == 2
