"""Lists of labels in one cell: as tables in memory have them, and as text that a program wrote for a list."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

LONGEST = 20_000
"""Characters of a list that is written as text at most."""
BRACKETS = {"[": "]", "(": ")", "{": "}"}
ARRAY = re.compile(r"(np\.)?array\((?P<list>\[.*\])(, dtype=[^()]*)?\)", re.DOTALL)
SCALAR = re.compile(r"np\.(int|uint|float|str|bool)\w*\((?P<value>[^()]*)\)")
BARE = re.compile(r"""\[(?P<parts>[^\[\]"'{}()]*)\]""", re.DOTALL)
ADJACENT = re.compile(r"""['"]\s*['"]""")
EMPTY_SETS = ("set()", "frozenset()")
SHORTENED = "..."
"""What numpy writes in the middle of a long array."""


def is_bracketed(text: str) -> bool:
    """Tell whether a cell begins and ends as a list that is written as text does."""
    body = _without_array(text.strip())
    return len(body) >= 2 and BRACKETS.get(body[0]) == body[-1]


@lru_cache(maxsize=4096)
def read_list(text: str) -> tuple[object, ...] | None:
    """Read a list that is written as text: as JSON, as Python writes it, or as numpy prints an array.

    Args:
        text: A cell.

    Returns:
        The parts: text, numbers, booleans or None; of a set sorted. None if the cell is no such list.
    """
    body = SCALAR.sub(r"\g<value>", _without_array(text.strip()))
    if len(body) > LONGEST or not is_bracketed(body):
        return None
    with suppress(ValueError, RecursionError):
        return _plain_parts(json.loads(body))
    # What numpy prints has no commas between its parts, so quotes of strings stand side by side.
    if "," not in body or ADJACENT.search(body):
        printed = _printed_array(body)
        if printed is not None or _joins_strings(body):
            return printed
    try:
        return _plain_parts(ast.literal_eval(body))
    # Deep brackets end in any of these, by the version of Python.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def read_bare_list(text: str) -> tuple[str, ...] | None:
    """Read a list whose names stand without quotes, as in ``[joy, anger]``.

    Args:
        text: A cell.

    Returns:
        The names. None if the cell is no such list.
    """
    match = BARE.fullmatch(text.strip())
    if match is None:
        return None
    names = [part.strip() for part in match["parts"].split(",")]
    return tuple(name for name in names if name)


def _without_array(text: str) -> str:
    if text in EMPTY_SETS:
        return "[]"
    match = ARRAY.fullmatch(text)
    return text if match is None else match["list"]


def _plain_parts(found: object) -> tuple[object, ...] | None:
    if isinstance(found, set | frozenset):
        return tuple(sorted(found, key=repr))
    return tuple(found) if isinstance(found, list | tuple) else None


def _printed_array(body: str) -> tuple[object, ...] | None:
    """Read what numpy prints: parts with blanks or line breaks between them, and no comma.

    Python would join two quoted parts without a comma between them to one.
    """
    if body[0] != "[" or SHORTENED in body:
        return None
    tokens = _tokens(body)
    if tokens is None or len(tokens) < 4:
        return None
    texts: list[str] = []
    sign = ""
    for token in tokens[1:-1]:
        if token.string in ("+", "-") and not sign:
            sign = token.string
            continue
        if token.type not in (tokenize.STRING, tokenize.NUMBER) and token.string not in ("True", "False", "None"):
            return None
        texts.append(sign + token.string)
        sign = ""
    try:
        return tuple(map(ast.literal_eval, texts))
    except (ValueError, SyntaxError):
        return None


def _joins_strings(body: str) -> bool:
    """Tell whether Python would join two quoted parts, because the comma between them is missing."""
    tokens = _tokens(body) or ()
    return any(a.type == b.type == tokenize.STRING for a, b in zip(tokens, tokens[1:], strict=False))


def _tokens(body: str) -> Sequence[tokenize.TokenInfo] | None:
    """Return the tokens of a text without its line breaks; None if it has none of Python."""
    layout = (tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.INDENT, tokenize.DEDENT)
    try:
        found = list(tokenize.generate_tokens(io.StringIO(body).readline))
    except (tokenize.TokenError, SyntaxError):
        return None
    return [token for token in found if token.type not in layout]
