"""What a kind of task is stands in `kinds/` and in its loss: no other module asks which kind it has before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from source_tree import MODULES, PACKAGE, named, parsed
from unipelt_search.kinds.label_kind import PAIR, label_kinds, metric_names

WORDS = frozenset(label_kinds()) | {f"{PAIR}{name}" for name in label_kinds()}
OUTSIDE = [path for path in MODULES if path.parent.name != "kinds"]
# The benchmark's own metrics are a fact about GLUE's data sets, not about a kind.
METRICS_ALLOWED = {"tasks/metrics.py"}


def spelled_out(path: Path, words: frozenset[str]) -> Iterator[str]:
    """Yield every string of a module that is one of the words, in a comparison, a subscript, a case or a table."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and node.value in words:
            yield f"line {node.lineno}: {node.value!r}"


@pytest.mark.parametrize("path", OUTSIDE, ids=named)
def test_no_other_module_names_a_kind(path: Path) -> None:
    assert list(spelled_out(path, WORDS)) == []


@pytest.mark.parametrize("path", [path for path in OUTSIDE if named(path) not in METRICS_ALLOWED], ids=named)
def test_no_other_module_names_a_metric_of_a_kind(path: Path) -> None:
    assert list(spelled_out(path, frozenset(metric_names()))) == []


def test_a_kind_is_its_module_and_its_torch_half() -> None:
    for name, kind in label_kinds().items():
        assert (PACKAGE / "kinds" / f"{name}_kind.py").is_file()
        assert kind.loss == f"unipelt_search.training.{name}_loss"
        assert (PACKAGE / "training" / f"{name}_loss.py").is_file()


def test_no_module_imports_a_kind_by_name() -> None:
    importing = [
        f"{named(path)}: {node.module}"
        for path in OUTSIDE
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").removesuffix("_kind").rpartition(".")[2] in WORDS
    ]
    assert importing == []


MATCH = 'match kind:\n    case "classification": pass'


@pytest.mark.parametrize("code", ['kind == "regression"', 'table["multi_label"]', MATCH, '{"pair_regression": 1}'])
def test_the_search_finds_what_it_should(code: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(code, encoding="utf-8")
    assert list(spelled_out(path, WORDS)) != []
