"""A method is a plug-in, ours included: what attaches, packs, merges and exports knows no method."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from source_tree import PACKAGE, named, parsed
from unipelt_search.methods.catalogue import SUBMODULES, catalogue

GENERIC = (
    "pelt/applicability.py",
    "pelt/attach.py",
    "pelt/attachment.py",
    "pelt/gate.py",
    "pelt/head.py",
    "pelt/merged_weights.py",
    "pelt/pack.py",
    "pelt/registry.py",
    "pelt/slots.py",
    "pelt/submodule.py",
    "exporting/export.py",
    "exporting/loaded_model.py",
    "exporting/merge.py",
    "exporting/peft_folder.py",
    "exporting/saved_model.py",
    "testing/test_submodules.py",
)
WORDS = re.compile("|".join(f"(?<![a-z_]){name}(?![a-z_])" for name in SUBMODULES))
TORCH_HALVES = {entry.torch_module.split(":")[0] for entry in catalogue()}


def code_of(path: Path) -> str:
    """Return a module's code without its comments and docstrings, which may give examples."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


@pytest.mark.parametrize("name", GENERIC)
def test_what_is_generic_names_no_submodule(name: str) -> None:
    assert WORDS.findall(code_of(PACKAGE / name)) == []


@pytest.mark.parametrize("name", GENERIC)
def test_what_is_generic_imports_no_method(name: str) -> None:
    imported = {node.module for node in ast.walk(parsed(PACKAGE / name)) if isinstance(node, ast.ImportFrom)}
    settings = {module for module in imported if module and module.endswith("_settings")}
    assert imported & TORCH_HALVES == set()
    assert settings <= {"unipelt_search.methods.gate_settings", "unipelt_search.methods.training_settings"}


def test_a_method_of_ours_is_two_modules() -> None:
    """Its settings module and its torch half; whatever else helps the torch half belongs to it alone."""
    for entry in catalogue():
        module = entry.torch_module.split(":")[0].replace(".", "/")
        assert (PACKAGE.parent / f"{module}.py").is_file()
        assert (PACKAGE / "methods" / f"{entry.name}_settings.py").is_file()
    users = {named(path) for path in PACKAGE.rglob("*.py") if TORCH_HALVES & _imports(path)}
    assert users == set()


def _imports(path: Path) -> set[str]:
    return {node.module or "" for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom)}


def test_the_test_finds_what_it_looks_for() -> None:
    assert WORDS.findall(code_of(PACKAGE / "pelt" / "lora.py"))
    assert not WORDS.findall("explore lora_query unipelt")
