"""Decisions have a frozen number, a date and a status; the growth table of CONTRIBUTING.md names files that exist."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "unipelt_search"
FOLDER = ROOT / "docs" / "decisions"
DECISIONS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")


def header(path: Path, name: str) -> str:
    """Return a line such as ``- Date: 2026-11-24`` from the top of a decision."""
    head = path.read_text(encoding="utf-8").split("\n\n")[1]
    (value,) = re.findall(rf"^- {name}: (.+)$", head, re.MULTILINE)
    return str(value)


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_number_date_and_status(path: Path) -> None:
    number = path.name[:4]
    assert path.read_text(encoding="utf-8").startswith(f"# {number} ")
    assert header(path, "Number") == number
    assert date(2026, 11, 24) <= date.fromisoformat(header(path, "Date"))
    assert re.match(r"(accepted|superseded by \[\d{4}\]\(\d{4}-[\w-]+\.md\))", header(path, "Status"))


def test_numbers_are_unique_and_none_is_missing() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_superseded_decision_is_superseded_by_one_that_holds(path: Path) -> None:
    successor = re.match(r"superseded by \[\d{4}\]\((.+?)\)", header(path, "Status"))
    if successor:
        assert header(FOLDER / successor[1], "Status").startswith("accepted")


def test_the_list_of_decisions_is_complete_and_true() -> None:
    listed = re.findall(
        r"^\| \[(\d{4})\]\((.+?)\) \| (.+?) \| (.+?) \| (\w+) \|$",
        (FOLDER / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    expected = []
    for path in DECISIONS:
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix(f"# {path.name[:4]} ")
        expected.append(
            (path.name[:4], path.name, title, header(path, "Date"), header(path, "Status").split()[0].rstrip(";"))
        )
    assert listed == expected


def test_the_layers_of_decision_0014_are_those_that_are_checked() -> None:
    page = (FOLDER / "0014-layout-and-layers.md").read_text(encoding="utf-8")
    documented = [
        [name for name in layer.split(" | ") if name == "(service)" or list(PACKAGE.glob(f"{name}*"))]
        for layer in " ".join(page.split("```")[1].split()).split(" → ")
    ]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert [sorted(layer) for layer in documented] == [sorted(layer.split(" | ")) for layer in layers]


def growth_table() -> list[list[str]]:
    """Return the rows of the growth table, each as its cells."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.split("\n## To add something\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return rows[1:]


def named_files(cell: str) -> list[str]:
    return re.findall(r"`([\w./-]+(?:\.py|\.md|/))`", cell)


def test_the_growth_table_names_files_that_exist() -> None:
    inside = [name for row in growth_table() for name in named_files(row[1])]
    outside = [name for row in growth_table() for name in named_files(row[-1]) if len(row) > 2]
    assert len(inside) > 10
    assert len(outside) > 5
    absent = {name for name in inside if not (PACKAGE / name).exists()}
    absent |= {name for name in outside if not (ROOT / name).exists()}
    assert absent == set()


@pytest.mark.parametrize(
    ("addition", "files"),
    [
        ("a method, from another package", 0),
        ("a method of ours", 2),
        ("a kind of task", 2),
        ("a backbone family", 1),
        ("a column of a result", 2),
    ],
)
def test_the_growth_table_promises_no_more_files_than_agreed(addition: str, files: int) -> None:
    (cell,) = [row[1] for row in growth_table() if row[0] == addition]
    assert int(re.match(r"\d+", cell)[0] if cell[0].isdigit() else 0) == files  # type: ignore[index]


@pytest.mark.parametrize("text", ["# 0001 A title\n\n- Number: 0001\n- Status: accepted\n\nText."])
def test_a_decision_without_a_date_is_noticed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "0001-a-title.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="unpack"):
        header(path, "Date")
