from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from unipelt_search.cli.app import main
from unipelt_search.cli.column_view import MAX_COLUMNS, complete_command, data_name, missing_options, show_columns
from unipelt_search.records.data_columns import DataColumn, DataColumns

FOUND = DataColumns(
    data="a.csv",
    rows=9,
    columns=tuple(DataColumn(name=name, filled=9, distinct=2, sample="[x]") for name in ("my text", "label")),
    text=("my text",),
    label=("label",),
)


def test_what_is_missing_is_known_from_file_and_options() -> None:
    data = {("task", "data"): "a.csv"}
    assert missing_options({}, data) == ("--text", "--label", "--model")
    model = {("backbone", "model"): "m"}
    assert missing_options({}, {**data, **model, ("task", "text"): ["t"]}) == ("--label",)
    assert missing_options({"task": {"data": "b.csv", "label": "l"}, "backbone": {}}, {}) == ("--text",)
    assert missing_options({"task": {"text": ["t"], "label": "l"}}, data) == ()
    assert missing_options({}, {}) == ()
    assert missing_options({"task": "wrong"}, data) == ()
    assert data_name({"task": {"data": "b.csv"}}, data) == "a.csv"


def test_the_command_is_completed_with_what_it_lacks() -> None:
    words = ["unipelt-search", "run", "--data", "a.csv"]
    command = complete_command(FOUND, ("--text", "--label", "--model"), words)
    assert command == "unipelt-search run --data a.csv --text 'my text' --label label --model minilm"
    assert complete_command(FOUND, ("--label",), words).endswith("a.csv --label label")
    several = FOUND.model_copy(update={"text": (), "label": ("a", "b")})
    assert complete_command(several, ("--text", "--label"), words).endswith("--text COLUMN --label a --label b")


def test_the_list_of_columns_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    many = FOUND.model_copy(update={"columns": FOUND.columns * MAX_COLUMNS})
    show_columns("program", many, ("--text",), "COMMAND", as_json=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("program: A study needs --text;")
    assert err.count("[x]") == MAX_COLUMNS
    assert f"And {MAX_COLUMNS} more columns." in err
    assert err.splitlines()[-1] == "Run: COMMAND"


@pytest.mark.parametrize("as_json", [False, True])
def test_run_without_columns_lists_them_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    (tmp_path / "a.csv").write_text("review,kind\n" + "it was very good,a\nit was so bad,b\n" * 9, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ["run", "--data", "a.csv", *["--json"] * as_json]
    monkeypatch.setattr(sys, "argv", ["unipelt-search", *words])
    assert main(words) == 2
    out, err = capsys.readouterr()
    command = "--text review --label kind --model minilm"
    assert out == ""
    if as_json:
        found = json.loads(err)
        assert found["command"].endswith(command)
        assert (found["text"], found["label"]) == (["review"], ["kind"])
    else:
        assert err.rstrip().endswith(command)
        assert "it was very good" in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
