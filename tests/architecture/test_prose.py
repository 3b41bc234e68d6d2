"""Prose uses the standard words: in the pages, and in the docstrings, comments and strings of the package."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "unipelt_search"

AVOIDED = {
    "behind": re.compile(r"\bbehind\b", re.IGNORECASE),  # say "after", or "below" for scores
    "want of memory": re.compile(r"\bwant of memory\b", re.IGNORECASE),  # say "out of memory"
    "for ever": re.compile(r"\bfor ever\b", re.IGNORECASE),  # say "forever"
    "answer": re.compile(r"\banswer(s|ed|ing)?\b", re.IGNORECASE),  # say "prediction" or "predict", "result", "respond"
}

# Exact phrases in which an avoided word has its ordinary meaning, each with the reason.
ALLOWED = {
    "behind a gate": "the wording of the UniPELT paper",
    "behind a learned gate": "the wording of the UniPELT paper",
    "behind one protocol": "the usual term for implementations that share an interface",
    "behind a url": "the usual term for what a URL leads to",
}


def found_in(prose: str) -> list[str]:
    """Return the avoided words of a text, each with a few words around it."""
    text = " ".join(prose.split())
    for phrase in ALLOWED:
        text = re.sub(re.escape(phrase), "…", text, flags=re.IGNORECASE)
    return [
        text[max(0, match.start() - 30) : match.end() + 30]
        for pattern in AVOIDED.values()
        for match in pattern.finditer(text)
    ]


def pages() -> list[Path]:
    """Return the Markdown pages of the repository, without those of tools."""
    found = [path.relative_to(ROOT) for path in ROOT.rglob("*.md")]
    own = [path for path in found if not any(part.startswith(".") or "egg-info" in part for part in path.parts)]
    return sorted(path for path in own if path.parts[0] not in {"build", "dist"})


def is_superseded(text: str) -> bool:
    """Tell whether a page is a decision that keeps its text because it no longer holds."""
    return re.search(r"^- Status: superseded by ", text, re.MULTILINE) is not None


def prose_of_page(text: str) -> str:
    """Return a page's own sentences: no code, no link targets, no generated tables, no released changes."""
    text = re.split(r"^## \[\d", text, maxsplit=1, flags=re.MULTILINE)[0]
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!-- (results|matrix).*?<!-- end of \1 -->", "", text, flags=re.DOTALL)
    return without_code(re.sub(r"\]\([^)]*\)", "]", text))


def without_code(text: str) -> str:
    return re.sub(r"``.*?``|`[^`]*`", "", text, flags=re.DOTALL)


def prose_of_module(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments, docstrings and sentences of a module, each with its line."""
    lines = source.splitlines()
    comment, began = "", 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = lines[token.start[0] - 1].lstrip().startswith("#")
            comment, began = f"{comment} {token.string.lstrip('# ')}", began or token.start[0]
            if alone:
                continue  # a sentence may go on in the next line
        elif token.type == tokenize.NL and comment:
            continue
        if comment:
            yield began, comment
            comment, began = "", 0
    yield from sentences_of(ast.parse(source))


def sentences_of(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield strings of more than one word; a single word is a key or a name."""
    text = None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        for part in node.values:
            if not isinstance(part, ast.Constant):
                yield from sentences_of(part)
    else:
        for child in ast.iter_child_nodes(node):
            yield from sentences_of(child)
    if text is not None and len(text.split()) > 1:
        yield getattr(node, "lineno", 0), text


def found_in_module(source: str) -> list[str]:
    return [
        f"line {line}: {found}" for line, prose in prose_of_module(source) for found in found_in(without_code(prose))
    ]


def found_in_template(text: str) -> list[str]:
    return found_in(re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", text, flags=re.DOTALL))


@pytest.mark.parametrize("page", pages(), ids=Path.as_posix)
def test_pages_use_the_standard_words(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert is_superseded(text) or found_in(prose_of_page(text)) == []


# The package still has the older words; this mark goes when they are gone.
def test_the_package_uses_the_standard_words() -> None:
    found = {path: found_in_module(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    found |= {path: found_in_template(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.j2")}
    listed = [f"{path.relative_to(ROOT)}, {word}" for path, words in sorted(found.items()) for word in words]
    assert "\n".join(listed) == ""


@pytest.mark.parametrize("word", ["behind", "want of memory", "for ever", "Answers", "answered"])
def test_every_avoided_word_is_found(word: str) -> None:
    assert found_in(prose_of_page(f"It stops\n{word} the run.")) != []
    assert found_in_module(f'"""It stops {word} the run."""\n') != []
    assert found_in_module(f'x = 1\nif x:\n    y = f"It stops {word} {{x}}."\n') != []
    assert found_in_module(f"x = 1  # it stops {word} the run\n") != []
    assert found_in_template(f"<p>It stops {{{{ x }}}} {word} the run.</p>") != []


def test_a_word_that_a_line_break_divides_is_found() -> None:
    assert found_in(prose_of_page("it runs for\never")) != []
    assert found_in_module("# it runs for\n# ever\nx = 1\n") != []


def test_code_keys_and_ordinary_meanings_are_not_found() -> None:
    assert (
        found_in(prose_of_page("```\nanswers = 1\n```\n`study.answers` and [a page](answers.md), behind a gate")) == []
    )
    assert found_in_module('x = {"answers": 1}\n"""Read `answers` of what is behind a URL."""\n') == []
    assert found_in(prose_of_page("## [Unreleased]\n\nnew\n\n## [1.0.0]\n\nan answer")) == []


@pytest.mark.parametrize("phrase", ALLOWED)
def test_every_exception_has_an_avoided_word_and_a_reason(phrase: str) -> None:
    assert any(pattern.search(phrase) for pattern in AVOIDED.values())
    assert ALLOWED[phrase]
