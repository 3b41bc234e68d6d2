from __future__ import annotations

import json
from pathlib import Path

import pytest

from unipelt_search.cli.report_output import report_text, show_report, write_text
from unipelt_search.records.report import StudyReport


def test_each_form_is_what_it_says(stored_report: StudyReport) -> None:
    assert json.loads(report_text(stored_report, "json"))["verdict"]["method"] == "unipelt_apl"
    assert report_text(stored_report, "html").lstrip().lower().startswith("<!doctype html>")
    assert "|" in report_text(stored_report, "markdown")
    assert "unipelt_apl is best." in report_text(stored_report, "terminal")


def test_text_for_a_file_has_no_colours(stored_report: StudyReport) -> None:
    assert "\x1b" not in report_text(stored_report, "terminal")


@pytest.mark.parametrize("form", ["terminal", "json", "markdown"])
def test_a_report_is_shown_on_stdout(stored_report: StudyReport, capsys: pytest.CaptureFixture[str], form: str) -> None:
    show_report(stored_report, form)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert "unipelt_apl" in out
    assert out.endswith("\n")
    assert err == ""


def test_text_is_written_with_one_line_break_at_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text("a\n\n", None)
    assert capsys.readouterr() == ("a\n", "")
    path = tmp_path / "new" / "a.txt"
    write_text("ä", path)
    assert path.read_text(encoding="utf-8") == "ä\n"
    assert capsys.readouterr() == ("", f"Wrote {path}\n")
