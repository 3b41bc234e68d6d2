"""What a fresh process loads: a report must open quickly, so it must not load torch, transformers or Ray."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from unipelt_search.storage.store import StudyStore

PACKAGE = Path(__file__).parents[2] / "unipelt_search"
HEAVY = ("torch", "transformers", "ray", "datasets")
LIGHT_PACKAGES = ("kinds", "specs", "records", "storage", "verdict", "reporting")


def loaded_by(code: str, watched: tuple[str, ...]) -> list[str]:
    """Run code in a fresh interpreter and return which of the watched top-level modules it loaded."""
    script = f"import sys\n{code}\nsys.stderr.write('LOADED ' + ' '.join(sorted(set({watched!r}) & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.rpartition("LOADED ")[2].split()


def call(*words: str) -> str:
    return f"from unipelt_search.cli.app import main\nmain({list(words)!r})"


def test_help_loads_neither_heavy_libraries_nor_the_database() -> None:
    assert loaded_by(call("--help"), (*HEAVY, "sqlalchemy", "optuna", "pandas", "numpy")) == []
    assert loaded_by(call("run", "--help"), (*HEAVY, "sqlalchemy", "optuna", "pandas", "numpy")) == []


def test_reading_commands_load_no_heavy_library(tmp_path: Path) -> None:
    storage = ("--storage", f"sqlite:///{tmp_path}/s.db")
    commands = [(*words, *storage) for words in (("studies",), ("report", "a"), ("gates", "a"), ("delete", "a"))]
    assert loaded_by("\n".join(call(*words) for words in (*commands, ("methods",))), HEAVY) == []


def test_the_tables_of_a_suite_are_written_without_a_heavy_library(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- results -->\n<!-- end of results -->\n", encoding="utf-8")
    url = f"sqlite:///{tmp_path}/s.db"
    StudyStore.open(url).close()
    suite = PACKAGE.parent / "studies" / "glue_low_resource" / "suite.yaml"
    assert loaded_by(call("suite", str(suite), "--report", str(page), "--storage", url), HEAVY) == []
    assert "0 of 840 runs are confirmed" in page.read_text(encoding="utf-8")


def test_light_packages_load_no_heavy_library() -> None:
    modules = [
        f"unipelt_search.{package}.{path.stem}"
        for package in LIGHT_PACKAGES
        for path in sorted((PACKAGE / package).glob("[!_]*.py"))
    ]
    assert len(modules) > 40
    assert loaded_by("".join(f"import {module}\n" for module in modules), HEAVY) == []


def test_the_package_itself_loads_nothing() -> None:
    assert loaded_by("import unipelt_search", (*HEAVY, "pydantic", "pandas", "sqlalchemy")) == []
