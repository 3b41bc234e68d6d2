"""The package's modules as syntax trees, for the tests of its structure."""

from __future__ import annotations

import ast
import io
import tokenize
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "unipelt_search"
# A migration is history: it is never edited again.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LAYOUT_TOKENS = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


def named(path: Path) -> str:
    """Return a module's path below the package."""
    return path.relative_to(PACKAGE).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """List the functions and methods of a tree, those inside of others too."""
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def complexity(function: ast.AST) -> int:
    """Count the paths through a function: 1, and 1 for each branch, loop, handler, condition and comprehension.

    A function or class inside of it counts for itself.
    """
    count = 1
    nodes = list(ast.iter_child_nodes(function))
    while nodes:
        node = nodes.pop()
        match node:
            case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler() | ast.IfExp():
                count += 1
            case ast.match_case():
                count += 1
            case ast.BoolOp():
                count += len(node.values) - 1
            case ast.comprehension():
                count += 1 + len(node.ifs)
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            nodes.extend(ast.iter_child_nodes(node))
    return count


def tokens_by_line(source: str) -> dict[int, int]:
    """Count the tokens of every line of code; comments and layout are none, a docstring is one."""
    counts: dict[int, int] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _LAYOUT_TOKENS:
            counts[token.start[0]] = counts.get(token.start[0], 0) + 1
    return counts
