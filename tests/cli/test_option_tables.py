from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import yaml

from unipelt_search.cli.option_tables import option_table, replace_tables
from unipelt_search.specs.study import StudySpec

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
TABLES = """before
<!-- options of methods -->
old
<!-- end of options -->
between
<!-- options of demo -->
<!-- end of options -->
after
"""


def rows(command: str) -> dict[str, str]:
    """Return the meanings of a table by the first cells."""
    lines = option_table(command).splitlines()
    assert lines[:2] == ["| option | meaning |", "|---|---|"]
    cells = [re.split(r"(?<!\\)\|", line) for line in lines[2:]]
    return {first.strip(): meaning.strip() for _, first, meaning, _ in cells}


def test_the_page_has_the_options_as_they_are_declared() -> None:
    """`python -m unipelt_search.cli.option_tables docs/cli.md` brings the page up to date."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- options of ") >= 9
    assert replace_tables(page) == page


def test_only_tables_between_marking_lines_are_replaced() -> None:
    page = replace_tables(TABLES)
    assert page.startswith("before\n<!-- options of methods -->\n\n| option | meaning |\n")
    assert page.endswith("\n<!-- end of options -->\nafter\n")
    assert "old" not in page
    assert "\n<!-- end of options -->\nbetween\n<!-- options of demo -->\n\n| option" in page
    assert replace_tables(page) == page


def test_the_program_rewrites_the_pages_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(TABLES, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["option_tables", str(page)])
    monkeypatch.delitem(sys.modules, "unipelt_search.cli.option_tables")
    runpy.run_module("unipelt_search.cli.option_tables", run_name="__main__")
    assert page.read_text(encoding="utf-8") == replace_tables(TABLES)


def test_a_row_has_the_value_the_help_and_the_details() -> None:
    described = rows("run")
    assert described["`--data PATH\\|HUB_NAME`"].startswith("Folder with train, validation and test files")
    assert described["`--allocation RULE`"].count("One of `plausible`, `equal`.") == 1
    assert "`--train-size`" in described["`--redraw`"]
    assert "`null_mean`" in described["`--gate-null`"]


def test_other_commands_refer_to_run() -> None:
    described = rows("resume")
    assert set(described.values()) == {"as for `run`"}
    assert "`--trials N`, `--seeds N`, `--time DURATION`" in described
    assert rows("report")["`--storage URL`"] == "as for `run`"
    assert rows("report")["`--out FILE`"] != "as for `run`"


def test_the_documented_study_file_has_every_key_with_its_default() -> None:
    section = PAGE.read_text(encoding="utf-8").split("\n## `run`\n")[1].split("\n## ")[0]
    whole, *_ = re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    values = yaml.safe_load(whole)
    spec = StudySpec.model_validate(values)
    defaults = StudySpec.model_validate(
        {"name": spec.name, "task": {"data": spec.task.data, "text": spec.task.text, "label": spec.task.label},
         "backbone": {"model": spec.backbone.model}}
    )  # fmt: skip
    assert spec == defaults
    stored = spec.model_dump(mode="json")
    # Some defaults are left out of what is stored.
    for section in ("task", "space"):
        left_out = json.loads(json.dumps({**vars(getattr(spec, section)), **stored[section]}))
        stored[section] = left_out
    assert values == stored
