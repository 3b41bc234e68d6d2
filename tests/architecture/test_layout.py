from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from source_tree import MODULES, PACKAGE, ROOT, functions, named, parsed

# api.py and cli/ import late, so that a report opens without torch.
# What reads data imports pandas, pyarrow and datasets late: each takes seconds, and text files need none of them.
LATE_IMPORTS_ALLOWED = (
    "api.py",
    "cli/",
    "tasks/byte_source.py",
    "tasks/data_frames.py",
    "tasks/load.py",
    "tasks/read.py",
)
# Switches of Ray and CUDA can be set nowhere else.
ENVIRONMENT_ALLOWED = ("settings.py", "execution/ray_session.py", "execution/ray_worker.py")

# Modules that a test of another name covers, by path below tests/.
COVERED_BY = {
    "records/history.py": "storage/test_tables.py",
    "testing/test_submodules.py": "plugins/test_reft.py",
}


def test_module_names_are_unique() -> None:
    names = Counter(path.stem for path in MODULES if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_folders_are_one_level_deep() -> None:
    assert [named(path) for path in MODULES if len(path.relative_to(PACKAGE).parts) > 2] == []


@pytest.mark.parametrize(
    "path", [path for path in MODULES if not named(path).startswith(LATE_IMPORTS_ALLOWED)], ids=named
)
def test_imports_stand_at_the_top(path: Path) -> None:
    late = [
        f"line {node.lineno}"
        for function in functions(parsed(path))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert late == []


@pytest.mark.parametrize("path", [path for path in MODULES if named(path) not in ENVIRONMENT_ALLOWED], ids=named)
def test_only_settings_reads_the_environment(path: Path) -> None:
    found = [
        f"line {node.lineno}"
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "putenv"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and node.names[0].name in {"environ", "getenv"})
    ]
    assert found == []


@pytest.mark.parametrize(
    "path", [path for path in MODULES if functions(parsed(path)) and path.stem[:2] != "__"], ids=named
)
def test_a_module_with_functions_has_its_test(path: Path) -> None:
    name = named(path)
    mirror = COVERED_BY.get(name) or Path(name).with_name(f"test_{path.name}").as_posix()
    assert (ROOT / "tests" / mirror).is_file(), f"tests/{mirror} is missing"
