from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exported_study import TEXTS, save_toy, train_toy

from unipelt_search import api
from unipelt_search.cli.app import main
from unipelt_search.exporting.export import OutputFolders, export_run
from unipelt_search.records.history import StudyRecord
from unipelt_search.reporting.opened_study import Study


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an exported model `out` beside its backbone, and the study that it is from."""
    made = tmp_path_factory.mktemp("cli")
    save_toy(made)
    trained = train_toy(made, "unipelt_al", made / "kept", steps=2, evaluations=1)
    export_run(trained.record, trained.run, OutputFolders(made / "out"))
    (made / "record.json").write_text(trained.record.model_dump_json())
    return made


@pytest.fixture
def study(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands open the study that the model is from."""
    opened = Study(StudyRecord.model_validate_json((toy / "record.json").read_text()))
    monkeypatch.setattr(api, "open_study", lambda name, *, storage: opened)


@pytest.mark.usefixtures("study")
def test_export_writes_and_says_where(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "model"
    assert main(["export", "toy", "--to", str(to)]) == 0
    assert capsys.readouterr() == ("", f"Wrote {to}\n")
    assert (to / "model.safetensors").read_bytes() == (toy / "out" / "model.safetensors").read_bytes()
    card = (to / "README.md").read_text()
    assert "## Scores" in card
    assert "| 1 | 0." in card.partition("## Gates")[2]
    assert main(["export", "toy", "--to", str(to)]) == 2
    assert main(["export", "toy", "--to", str(to), "--force"]) == 0


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--merged", "m"], "--merged cannot hold unipelt_al: gates depend on the text"),
        (["--peft", "p"], "PEFT has no gates"),
        (["--trial", "7"], "trial 7 has none, there are: 0 (unipelt_al)"),
        (["--trial", "0", "--cheapest"], "--trial and --cheapest name two trials"),
    ],
)
def test_a_wrong_request_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "toy", "--to", "model", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("study")
def test_a_missing_peft_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "unipelt_search.exporting.peft_folder", raising=False)
    assert main(["export", "toy", "--to", str(tmp_path / "m"), "--peft", str(tmp_path / "p")]) == 2
    assert "pip install 'unipelt-search[peft]'" in capsys.readouterr().err


def write_csv(path: Path) -> None:
    path.write_text("sentence\n" + "\n".join(TEXTS) + "\n", encoding="utf-8-sig")


def write_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps({"sentence": text, "more": [1]}) for text in TEXTS))


def write_parquet(path: Path) -> None:
    pq.write_table(pa.table({"n": range(len(TEXTS)), "sentence": TEXTS}), path)


@pytest.mark.parametrize(
    ("name", "write"), [("a.csv", write_csv), ("a.jsonl", write_jsonl), ("a.parquet", write_parquet)]
)
def test_predict_answers_every_row_in_order(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    expected = api.load_model(toy / "out").predict(TEXTS)
    assert main(["predict", str(toy / "out"), "--data", str(tmp_path / name)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["label"] for row in rows] == [prediction.label for prediction in expected]
    for row, prediction in zip(rows, expected, strict=True):
        for label, share in prediction.probabilities.items():
            assert float(row[f"probability of {label}"]) == pytest.approx(share, abs=1e-6)


def test_predict_as_json_to_a_file_with_another_column(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("body\nw1 w2\nw50\n")
    words = ["predict", str(toy / "out"), "--data", str(tmp_path / "a.csv"), "--format", "json"]
    assert main(words) == 2
    assert "--text must name a column of a.csv; got 'sentence', found: body" in capsys.readouterr().err
    backbone = ["--backbone", str(toy / "model")]
    assert main([*words, "--text", "body", "--out", str(tmp_path / "a.json"), *backbone]) == 0
    assert [row["label"] for row in json.loads((tmp_path / "a.json").read_text())] == [
        prediction.label for prediction in api.load_model(toy / "out").predict(["w1 w2", "w50"])
    ]
    assert main([*words, "--text", "body", "--text", "body"]) == 2
    assert "--text must name 1 columns for this model; got 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentence\n", "must have rows; it is empty"),
        ('sentence\n"  "\n', "column 'sentence' is empty at line 2"),
        (None, "--data must be a file"),
    ],
)
def test_texts_that_cannot_be_read(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "a.csv").write_text(content)
    assert main(["predict", str(toy / "out"), "--data", str(tmp_path / "a.csv")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_predict_needs_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path), "--data", "x.csv"]) == 2
    assert "it has no config.json" in capsys.readouterr().err
