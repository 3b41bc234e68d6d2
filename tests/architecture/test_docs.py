"""The documentation names what there is, and every command that it shows can be parsed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from unipelt_search.cli.app import app
from unipelt_search.methods.catalogue import METHODS, trained_methods
from unipelt_search.methods.search_space import hyperparameters, learning_rates
from unipelt_search.records.report import StudyReport
from unipelt_search.reporting.suite_tables import replace_results
from unipelt_search.search.plan import check_budget
from unipelt_search.specs.load_study import load_study
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.suite import PublishedScores, SourceSpec, SuiteSpec, SuiteTask, load_suite

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("*/**/*.md")] if not path.is_relative_to(ROOT / ".venv")
               and "egg-info" not in str(path))  # fmt: skip
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    parts = re.split(r"^## ", text_of(page), flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].strip("` "): part for part in parts}


def shown_commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("unipelt-search "):
                    found.append((page.relative_to(ROOT).as_posix(), line))
    return found


def model_fields(model: type[BaseModel]) -> set[str]:
    names = set()
    for name, field in model.model_fields.items():
        names.add(field.alias or name)
        for inner in re.findall(r"unipelt_search\.[\w.]+", str(field.annotation)):
            module, _, kind = inner.rpartition(".")
            inner_model = getattr(__import__(module, fromlist=[kind]), kind)
            if issubclass(inner_model, BaseModel):
                names |= model_fields(inner_model)
    return names


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented(command: str) -> None:
    section = sections("docs/cli.md")[command]
    options = [name for parameter in COMMANDS[command].params for name in parameter.opts if name.startswith("--")]
    assert [name for name in options if not re.search(rf"`{name}\b", section)] == []


def test_the_documentation_knows_no_other_command() -> None:
    documented = set(sections("docs/cli.md"))
    assert documented - set(COMMANDS) == {"Exit codes", "Shell completion", "Where things are written"}


def test_shown_commands_can_be_parsed() -> None:
    shown = shown_commands()
    assert len(shown) > 10
    for page, line in shown:
        words = shlex.split(line, comments=True)[1:]
        if words[0].startswith("--"):
            continue
        assert words[0] in COMMANDS, f"{page}: {line}"
        COMMANDS[words[0]].make_context(words[0], words[1:])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_documented(method: str) -> None:
    assert f"`{method}`" in text_of("docs/methods.md")


def test_the_documented_space_is_the_searched_one() -> None:
    """`hyperparameters` names every field of a configuration, and the search draws from it."""
    rows = [line for line in sections("docs/methods.md")["Hyperparameters"].splitlines() if re.match(r"\| `", line)]
    space = [f"| `{h.name}` | {h.published_text} | {h.searched_text} | {h.condition_text} |" for h in hyperparameters()]
    published = {method: learning_rates(method) for method in trained_methods()}
    rates = [f"| `{method}` | {', '.join(f'{rate:g}' for rate in given)} |" for method, given in published.items()]
    assert rows == [*space, *rates]


def test_every_key_of_the_report_is_documented() -> None:
    page = text_of("docs/report.md")
    assert [name for name in sorted(model_fields(StudyReport)) if f"`{name}`" not in page] == []


def test_every_key_of_a_study_file_is_documented() -> None:
    page = text_of("docs/cli.md")
    assert [name for name in sorted(model_fields(StudySpec)) if f"{name}:" not in page] == []


def test_every_key_of_a_suite_file_is_documented() -> None:
    section = sections("docs/cli.md")["suite"]
    here = [name for kind in (SuiteSpec, SuiteTask, SourceSpec, PublishedScores) for name in kind.model_fields]
    assert [name for name in here if f"{name}:" not in section] == []


def test_the_documented_suite_is_one(tmp_path: Path) -> None:
    (yaml,) = re.findall(r"^```yaml\n(.*?)^```", sections("docs/cli.md")["suite"], re.MULTILINE | re.DOTALL)
    (tmp_path / "suite.yaml").write_text(yaml, encoding="utf-8")
    suite = load_suite(tmp_path / "suite.yaml")
    assert [study.name for study in suite.studies()] == ["glue-cola-100", "glue-cola-500"]


def test_every_environment_variable_is_documented() -> None:
    names = re.findall(r'environ\.get\("(\w+)"', (ROOT / "unipelt_search" / "settings.py").read_text(encoding="utf-8"))
    assert names
    assert [name for name in names if f"`{name}`" not in text_of("docs/cli.md")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("study", sorted(ROOT.glob("studies/*/study.yaml")), ids=lambda path: path.parent.name)
def test_every_shipped_study_parses_and_has_its_page(study: Path) -> None:
    spec = load_study(study)
    assert spec.name == study.parent.name
    assert f"studies/{spec.name}/study.yaml" in (study.parent / "README.md").read_text(encoding="utf-8")
    assert f"({spec.name}/README.md)" in text_of("studies/README.md")


@pytest.mark.parametrize("suite", sorted(ROOT.glob("studies/*/suite.yaml")), ids=lambda path: path.parent.name)
def test_every_shipped_suite_parses_and_has_its_page(suite: Path) -> None:
    name = suite.parent.name
    spec = load_suite(suite)
    for study in spec.studies():
        check_budget(study)
    page = (suite.parent / "README.md").read_text(encoding="utf-8")
    assert f"studies/{name}/suite.yaml" in page
    assert replace_results(page, "the results", "README.md").count("the results") == 1
    assert f"({name}/README.md)" in text_of("studies/README.md")
