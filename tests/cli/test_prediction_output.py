from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from unipelt_search.cli.prediction_output import OutputForm, PredictionOutput, choose_form
from unipelt_search.cli.prediction_parquet import ColumnTypes
from unipelt_search.errors import RequestError
from unipelt_search.exporting.table_predictions import PredictedRows, output_columns
from unipelt_search.kinds.label_kind import Prediction, Target
from unipelt_search.tasks.table import Location

NUMBERS = Target("regression", ())
ROWS = PredictedRows({"text": ["\ud800"]}, (Prediction(0.5, None),), (None,), (Location("a", 1),))


def output_of(form: OutputForm) -> PredictionOutput:
    return PredictionOutput(form, output_columns(["text"], ()), ColumnTypes(), NUMBERS)


@pytest.mark.parametrize(
    ("asked", "out", "name", "compressed"),
    [
        (None, None, "csv", False),
        (None, "a.txt", "csv", False),
        (None, "A.TSV", "tsv", False),
        (None, "a.v2.json", "json", False),
        (None, "a.ndjson", "jsonl", False),
        (None, "a.jsonl.gz", "jsonl", True),
        (None, "a.gz", "csv", True),
        (None, "a.parquet", "parquet", False),
        ("json", "a.csv", "json", False),
        ("jsonl", None, "jsonl", False),
    ],
)
def test_the_name_of_the_file_or_the_user_chooses(
    asked: str | None, out: str | None, name: str, compressed: bool
) -> None:
    form = choose_form(asked, None if out is None else Path(out), safe=False)  # type: ignore[arg-type]
    assert (form.name, form.compressed) == (name, compressed)
    assert form.nested == name.startswith("json")


@pytest.mark.parametrize(
    ("asked", "out", "safe", "message"),
    [
        ("parquet", None, False, "needs a file"),
        (None, "a.parquet.gz", False, "Leave out .gz"),
        (None, "a.csv.zst", False, "gzip only"),
        ("json", None, True, "--csv-safe changes cells of csv and tsv only; got json"),
    ],
)
def test_options_that_contradict_each_other(asked: str | None, out: str | None, safe: bool, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        choose_form(asked, None if out is None else Path(out), safe=safe)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("csv", "text,label,reason\n\\ud800,0.5,\n\\ud800,0.5,\n"),
        ("jsonl", '{"text": "\\ud800", "label": 0.5, "probabilities": null, "reason": null}\n' * 2),
    ],
)
def test_text_is_utf_8_on_stdout_and_in_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    for out in (None, tmp_path / "plain", tmp_path / "packed"):
        form = OutputForm(name, compressed=out is not None and out.name == "packed")  # type: ignore[arg-type]
        with output_of(form).open(out) as write:
            write(ROWS)
            write(ROWS)
    assert capsys.readouterr().out == text
    assert (tmp_path / "plain").read_text("utf-8") == text
    assert gzip.decompress((tmp_path / "packed").read_bytes()).decode() == text


@pytest.mark.parametrize("form", [OutputForm("csv"), OutputForm("csv", compressed=True), OutputForm("parquet")])
def test_an_error_leaves_no_file(tmp_path: Path, form: OutputForm) -> None:
    with pytest.raises(KeyError), output_of(form).open(tmp_path / "out") as write:
        write(ROWS)
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_printed_where_the_first_rows_fail(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), output_of(OutputForm("csv")).open(None):
        raise KeyError
    assert capsys.readouterr().out == ""


def test_formulas_are_counted_where_cells_are_text(tmp_path: Path) -> None:
    risky = PredictedRows({"text": ["=1+1"]}, (Prediction(0.5, None),), (None,), (Location("a", 1),))
    for form, formulas in [
        (OutputForm("tsv"), (1, "column 'text' at line 1 of a")),
        (OutputForm("parquet"), (0, "")),
    ]:
        output = output_of(form)
        with output.open(tmp_path / form.name) as write:
            write(risky)
        assert output.formulas == formulas


def test_parquet_needs_a_file() -> None:
    with pytest.raises(RequestError, match="stdout takes text"), output_of(OutputForm("parquet")).open(None):
        pass
