from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from unipelt_search.cli.app import main
from unipelt_search.cli.findings_view import findings_json, show_error, show_findings
from unipelt_search.records.finding import MAX_DISPLAYED, Finding, FindingsError

ONE = Finding(
    code="empty_text", severity="error", source="[a].csv", unit="line", numbers=(3,), count=1, column="[text]",
    rule="Every row must have a text", what="is empty", fix="Fill it in.",
)  # fmt: skip


def test_the_table_names_place_column_fault_and_fix_and_is_bounded() -> None:
    stream = io.StringIO()
    findings = [ONE.model_copy(update={"numbers": (number,)}) for number in range(1, 31)]
    show_findings(findings, 999, Console(file=stream, width=200))
    text = stream.getvalue()
    assert "[a].csv" in text
    assert "line 20" in text
    assert "[text]" in text
    assert "line 21" not in text
    assert f"And {999 - MAX_DISPLAYED} more" in text


def test_a_single_finding_is_a_sentence_and_several_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(FindingsError([ONE]), "program", as_json=False)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", [f"program: {ONE.sentence}"])
    show_error(FindingsError([ONE, ONE], other="Too few rows."), "program", as_json=False)
    _, err = capsys.readouterr()
    assert err.splitlines()[0].startswith("program: ")
    assert err.count("is empty") == 2
    assert err.splitlines()[-1].endswith("Too few rows.")


def test_json_has_every_finding_that_was_kept() -> None:
    found = json.loads(findings_json(FindingsError([ONE] * 30, 31, other="Too few rows.")))
    assert (found["count"], len(found["findings"])) == (31, 30)
    assert found["error"].endswith("Too few rows.")
    assert found["findings"][0]["numbers"] == [3]


def test_a_request_with_faulty_rows_ends_with_all_of_them_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text,label\nx,a\n,b\ny,\n" + "z,a\nw,b\n" * 30, encoding="utf-8")
    words = ["run", "--data", "a.csv", "--text", "text", "--label", "label", "--model", "minilm"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(part in err for part in ("a.csv", "line 3", "line 4"))
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    codes = [one["code"] for one in json.loads(err)["findings"] if one["severity"] == "error"]
    assert (out, codes) == ("", ["empty_text", "missing_label"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
