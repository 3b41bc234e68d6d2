"""What a fresh process loads: a report must open quickly, so it must not load torch, transformers or Ray."""

from __future__ import annotations

import json
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


_RECORDED = """
class Recorder:
    def __init__(self, stream):
        self.stream = stream
        self.loaded = {{}}
    def write(self, text):
        for line in filter(None, text.splitlines()):
            self.loaded[line] = sorted(set({watched!r}) & set(sys.modules))
        if "loading" in text:
            raise KeyboardInterrupt  # what comes next takes longest
        return len(text)
    def __getattr__(self, name):
        return getattr(self.stream, name)
recorder = Recorder(sys.stderr)
sys.stderr = recorder
{code}
sys.stderr = recorder.stream
import json
sys.stdout.write(json.dumps(list(recorder.loaded.items())))
"""


def lines_of(code: str) -> list[tuple[str, list[str]]]:
    """Return every line that a fresh process wrote on stderr, and which heavy modules were loaded by then."""
    script = "import sys" + _RECORDED.format(
        watched=(*HEAVY, "sqlalchemy", "optuna", "scipy", "pandas", "numpy"), code=code
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return [tuple(line) for line in json.loads(done.stdout)]


def test_a_study_says_something_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    rows = "".join(f"some words {number},{'yes' if number % 2 else 'no'}\n" for number in range(60))
    data.write_text(f"text,label\n{rows}", encoding="utf-8")
    storage = ("--storage", f"sqlite:///{tmp_path}/s.db")
    asked = ("--data", str(data), "--text", "text", "--label", "label", "--model", str(tmp_path / "absent"))
    lines = lines_of(call("run", *asked, *storage, "--dry-run"))
    said = [line.partition("] ")[2] for line, _ in lines]
    assert said[:2] == ["checking the request", f"reading {data}"]
    assert lines[0][1] == []
    # The data is read and checked before what trains is loaded, which takes longest.
    loading = said.index(f"loading {tmp_path / 'absent'}")
    assert loading >= 3
    assert not {"torch", "transformers", "ray"} & set(lines[loading][1])


def test_a_study_that_goes_on_says_something_at_once_too(tmp_path: Path) -> None:
    lines = lines_of(call("resume", "absent", "--storage", f"sqlite:///{tmp_path}/s.db"))
    assert lines[0][1] == []
    assert len(lines) == 2
