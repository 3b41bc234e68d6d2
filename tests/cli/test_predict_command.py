from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exported_study import PAIRS, TEXTS, save_toy, train_toy

from unipelt_search import api
from unipelt_search.cli import predict_command
from unipelt_search.cli.app import main
from unipelt_search.exporting.export import OutputFolders, export_run
from unipelt_search.exporting.loaded_model import LoadedModel
from unipelt_search.kinds.label_kind import Prediction

LABELS = ("kind 0", "kind 1", "kind 2")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make exported models beside their backbone: `kind` of classes, `number`, `tags` of sets, `pair` of two texts."""
    made = tmp_path_factory.mktemp("predict")
    save_toy(made)
    for name in ("kind", "number", "tags", "pair"):
        label = "kind" if name == "pair" else name
        kept = made / f"kept-{name}"
        trained = train_toy(made, "lora", kept, label=label, pair=name == "pair", steps=2, evaluations=1)
        export_run(trained.record, trained.run, OutputFolders(made / name))
    return made


def predict(model: Path, *words: object) -> int:
    return main(["predict", str(model), *map(str, words)])


def assert_shares(row: dict[str, str], prediction: Prediction) -> None:
    """Check a row's probabilities, which other rows of a batch may change in the last bits."""
    assert prediction.probabilities is not None
    for label, share in prediction.probabilities.items():
        assert float(row[f"probability of {label}"]) == pytest.approx(share, abs=1e-6)


def write_csv(path: Path) -> None:
    path.write_text("sentence\n" + "\n".join(TEXTS) + "\n", encoding="utf-8-sig")


def write_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps({"sentence": text, "more": [1]}) for text in TEXTS))


def write_parquet(path: Path) -> None:
    pq.write_table(pa.table({"n": range(len(TEXTS)), "sentence": TEXTS}), path)


@pytest.mark.parametrize(
    ("name", "write"), [("a.csv", write_csv), ("a.jsonl", write_jsonl), ("a.parquet", write_parquet)]
)
def test_every_row_is_predicted_in_order(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    expected = api.load_model(toy / "kind").predict(TEXTS)
    assert predict(toy / "kind", "--data", tmp_path / name) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["label"] for row in rows] == [prediction.label for prediction in expected]
    assert [row["sentence"] for row in rows] == TEXTS
    for row, prediction in zip(rows, expected, strict=True):
        assert_shares(row, prediction)


def test_the_columns_of_the_input_are_kept_as_they_are(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "a.csv"
    data.write_text('label,id,sentence\n+,007,"w1 w2\nw3"\n=x,,w50\n')
    assert predict(toy / "kind", "--data", data, "--out", tmp_path / "out" / "a.csv") == 0
    out, err = capsys.readouterr()
    assert out == ""
    with (tmp_path / "out" / "a.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["label", "id", "sentence", "predicted label", *(f"probability of {x}" for x in LABELS), "reason"]
    assert [row[:3] for row in rows] == [["+", "007", "w1 w2\nw3"], ["=x", "", "w50"]]
    (wrote, renamed, formula) = err.splitlines()
    assert wrote == f"Wrote {tmp_path / 'out' / 'a.csv'}"
    assert "'label'" in renamed
    assert "'predicted label'" in renamed
    assert "a formula: 2," in formula
    assert "column 'label' at line 2 of a.csv" in formula
    assert predict(toy / "kind", "--data", data, "--id", "id", "--csv-safe", "--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [row["id"] for row in csv.DictReader(io.StringIO(out))] == ["007", ""]


def test_blank_texts_have_no_prediction_and_a_reason(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["", "w1 w2", None, "  ", "w50", "\ud800", "a\x00"]
    data = tmp_path / "a.jsonl"
    data.write_text("".join(json.dumps({"id": number, "sentence": text}) + "\n" for number, text in enumerate(texts)))
    assert predict(toy / "kind", "--data", data, "--id", "id", "--format", "jsonl") == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [str(row["id"]) for row in rows] == list("0123456")
    assert [row["reason"] for row in rows] == [
        "empty", None, "empty", "empty", None, "invalid_unicode", "invalid_unicode",
    ]  # fmt: skip
    found = api.load_model(toy / "kind").predict(["w1 w2", "w50"])
    assert [row["label"] for row in rows] == [None, found[0].label, None, None, found[1].label, None, None]
    assert {row["probabilities"] is None for row in rows if row["reason"]} == {True}
    assert "5 of 7 rows have no prediction; column 'reason' says why (empty: 3, invalid_unicode: 2)" in err
    assert predict(toy / "kind", "--data", data, "--on-empty", "refuse") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "none at line 1 of a.jsonl, line 3 of a.jsonl, line 4 of a.jsonl" in err


def test_a_text_that_only_the_model_cannot_read(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("sentence\nw1\nw50 w50\n")
    monkeypatch.setattr("unipelt_search.exporting.loaded_model._unusable_tokens", no_long_texts)
    assert predict(toy / "kind", "--data", tmp_path / "a.csv") == 0
    out, _ = capsys.readouterr()
    assert [row["reason"] for row in csv.DictReader(io.StringIO(out))] == ["", "no_token"]
    out_file = tmp_path / "out.csv"
    assert predict(toy / "kind", "--data", tmp_path / "a.csv", "--on-empty", "refuse", "--out", out_file) == 2
    assert "line 3 of a.csv has the fault no_token" in capsys.readouterr().err
    assert not out_file.exists()


def no_long_texts(ids: np.ndarray, limit: int) -> str | None:
    return "no_token" if len(ids) > 3 else None


def test_as_json_to_a_file_with_another_column(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("body\nw1 w2\nw50\n")
    words = ["--data", tmp_path / "a.csv", "--format", "json"]
    assert predict(toy / "kind", *words) == 2
    assert "--text must name a column of a.csv; got 'sentence', found: body" in capsys.readouterr().err
    backbone = ["--backbone", toy / "model"]
    assert predict(toy / "kind", *words, "--text", "body", "--out", tmp_path / "a.json", *backbone) == 0
    rows = json.loads((tmp_path / "a.json").read_text())
    expected = api.load_model(toy / "kind").predict(["w1 w2", "w50"])
    assert [row["label"] for row in rows] == [prediction.label for prediction in expected]
    assert [set(row["probabilities"]) for row in rows] == [set(LABELS)] * 2
    assert predict(toy / "kind", *words, "--text", "body", "--text", "body") == 2
    assert "--text must name 1 columns for this model; got 2" in capsys.readouterr().err


def test_numbers_of_json_stay_numbers(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": 7, "meta": {"price": 1.5, "body": "w1"}}, {"id": 8, "sizes": [1, 2], "meta": {"body": "w2"}}]
    data = tmp_path / "a.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    assert predict(toy / "kind", "--data", data, "--text", "meta.body", "--format", "json") == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["id"], first["meta"], first["sizes"]) == (7, rows[0]["meta"], None)
    assert (second["id"], second["sizes"]) == (8, [1, 2])
    assert list(first) == ["id", "meta", "sizes", "label", "probabilities", "reason"]
    words = ["--data", data, "--text", "meta.body", "--id", "id", "--id", "sizes"]
    assert predict(toy / "kind", *words, "--out", tmp_path / "out.parquet") == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("id").to_pylist() == [7, 8]
    assert table.column("sizes").to_pylist() == [None, [1, 2]]


def test_several_files_in_the_order_of_their_names(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in (2, 1):
        (tmp_path / f"part-{part}.csv").write_text(f"id,sentence\n{part},w{part}\n")
    assert predict(toy / "kind", "--data", tmp_path / "part-*.csv", "--id", "id") == 0
    assert [row["id"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == ["1", "2"]
    assert predict(toy / "kind", "--data", tmp_path / "part-*.csv", "--out", tmp_path / "part-2.csv", "--force") == 2
    assert "must not be a file that is read" in capsys.readouterr().err


def test_blank_lines_are_told(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("sentence\nw1\n\nw2\n")
    assert predict(toy / "kind", "--data", tmp_path / "a.csv") == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err == "Blank lines of a.csv are no rows and have no prediction: 1.\n"


def test_quotes_that_are_text_shift_no_row(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["w1", '"w2', "w3", 'w4"', "w5", '"w6 w7', "w8"]
    (tmp_path / "a.tsv").write_text("id\tsentence\n" + "".join(f"{n}\t{text}\n" for n, text in enumerate(texts)))
    assert predict(toy / "kind", "--data", tmp_path / "a.tsv") == 0
    out, err = capsys.readouterr()
    assert [row["sentence"] for row in csv.DictReader(io.StringIO(out))] == texts
    assert "a.tsv" in err


def test_numbers_are_written_with_every_digit(toy: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    for name in ("a.tsv", "a.jsonl.gz", "a.parquet"):
        assert predict(toy / "number", "--data", tmp_path / "a.csv", "--out", tmp_path / "out" / name) == 0
    with (tmp_path / "out" / "a.tsv").open() as file:
        delimited = [float(row["label"]) for row in csv.DictReader(file, delimiter="\t")]
    lines = gzip.decompress((tmp_path / "out" / "a.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line)["label"] for line in lines] == delimited
    assert pq.read_table(tmp_path / "out" / "a.parquet").column("label").to_pylist() == delimited
    expected = [prediction.label for prediction in api.load_model(toy / "number").predict(TEXTS)]
    assert delimited == pytest.approx(expected, rel=1e-6)


def test_sets_of_labels_as_parquet_with_the_types_of_the_input(toy: Path, tmp_path: Path) -> None:
    texts = [*TEXTS, None]
    pq.write_table(pa.table({"n": pa.array(range(5), pa.int32()), "sentence": texts}), tmp_path / "a.parquet")
    assert predict(toy / "tags", "--data", tmp_path / "a.parquet", "--out", tmp_path / "out.parquet") == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("n").to_pylist() == [0, 1, 2, 3, 4]
    expected = [list(prediction.label) for prediction in api.load_model(toy / "tags").predict(TEXTS)]
    assert table.column("label").to_pylist() == [*expected, None]
    assert table.column("reason").to_pylist() == [None] * 4 + ["empty"]


def test_one_text_or_one_pair_on_the_command_line(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (expected,) = api.load_model(toy / "kind").predict([TEXTS[0]])
    assert predict(toy / "kind", TEXTS[0]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    label, *shares = out.splitlines()
    assert label == expected.label
    assert expected.probabilities is not None
    for line in shares:
        name, share = line.removeprefix("probability of ").split(": ")
        assert float(share) == pytest.approx(expected.probabilities[name], abs=1e-6)
    assert predict(toy / "pair", *PAIRS[0], "--format", "jsonl") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["sentence"], row["second"]) == PAIRS[0]
    assert row["label"] == api.load_model(toy / "pair").predict([PAIRS[0]])[0].label
    assert predict(toy / "kind", " ") == 0
    assert capsys.readouterr().out == "no prediction: empty\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "There must be something to predict"),
        (["w1", "--data", "a.csv"], "Texts stand alone or in a file"),
        (["w1", "--text", "sentence"], "Texts stand alone or in a file"),
        (["a.csv"], "got the file 'a.csv' where a text stands"),
        (["w1", "w2"], "a text for each of sentence, 1 in all; got 2"),
        (["w1", "--on-empty", "refuse", "--csv-safe", "--format", "json"], "--csv-safe changes cells of csv and tsv"),
        (["", "--on-empty", "refuse"], "none at text 1 of the command line"),
        (["--data", "a.csv", "--id", "name"], "--id must name a column of a.csv; got 'name'"),
        (["--data", "a.csv", "--out", "a.csv", "--force"], "must not be a file that is read"),
        (["--data", "a.csv", "--out", "{model}/config.json", "--force"], "must not be a file that is read"),
        (["--data", "a.csv", "--out", "b.csv"], "replace it with --force"),
        (["--data", "empty.csv"], "must have rows; it is empty"),
        (["--data", "absent.csv"], "--data must be a file"),
    ],
)
def test_a_wrong_request_changes_nothing(
    toy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in {"a.csv": "id,sentence\n1,w1\n", "b.csv": "mine", "empty.csv": "sentence\n"}.items():
        Path(name).write_text(content)
    files = {path: path.read_bytes() for path in [*tmp_path.iterdir(), *(toy / "kind").iterdir()]}
    assert predict(toy / "kind", *[word.format(model=toy / "kind") for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert {path: path.read_bytes() for path in [*tmp_path.iterdir(), *(toy / "kind").iterdir()]} == files


def test_a_file_is_replaced_on_request(toy: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    (tmp_path / "out.csv").write_text("old")
    assert predict(toy / "kind", "--data", tmp_path / "a.csv", "--out", tmp_path / "out.csv", "--force") == 0
    assert (tmp_path / "out.csv").read_text().startswith("sentence,label,")


def test_an_error_in_the_last_row_is_known_before_the_first_is_predicted(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("id,sentence\n" + "1,w1\n" * 600 + "1,w1,more\n")
    monkeypatch.setattr(api, "load_model", lambda *given, **named: pytest.fail("no model is needed"))
    assert predict(toy / "kind", "--data", tmp_path / "a.csv", "--out", tmp_path / "new" / "out.csv") == 2
    assert "line 602" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_file_that_changes_while_it_is_read(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "a.csv"
    write_csv(data)
    load = api.load_model

    def load_and_append(folder: Path, **named: str) -> LoadedModel:
        with data.open("a") as file:
            file.write("w1\n")
        return load(folder, **named)

    monkeypatch.setattr(api, "load_model", load_and_append)
    assert predict(toy / "kind", "--data", data, "--out", tmp_path / "out.csv") == 2
    assert "a.csv had 4 rows and then 5" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_several_pieces_with_blanks_keep_ids_and_order(toy: Path, tmp_path: Path) -> None:
    texts = [
        "" if row % 7 == 3 else " ".join(f"w{(row + word) % 60}" for word in range(1 + row % 9)) for row in range(1300)
    ]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "sentence"], *([f"id {row}", text] for row, text in enumerate(texts))])
    assert predict(toy / "kind", "--data", tmp_path / "a.csv", "--out", tmp_path / "out.csv", "--id", "id") == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [f"id {row}" for row in range(1300)]
    assert [row["reason"] == "empty" for row in rows] == [not text for text in texts]
    filled = [row for row in rows if not row["reason"]]
    expected = api.load_model(toy / "kind").predict([text for text in texts if text])
    for row, prediction in zip(filled, expected, strict=True):
        assert_shares(row, prediction)


def stub_rows(model: LoadedModel, rows: list[tuple[str, ...]]) -> tuple[list[Prediction | None], list[str | None]]:
    """Predict from the number of characters alone."""
    predictions: list[Prediction | None] = []
    for (text,) in rows:
        shares = dict.fromkeys(LABELS, 1 / (3 + len(text)))
        predictions.append(Prediction(LABELS[len(text) % 3], shares) if text else None)
    return predictions, [None if prediction else "empty" for prediction in predictions]


def text_of_row(row: int) -> str:
    return "" if row % 10 == 3 else "w" * (1 + row % 7)


def test_a_hundred_thousand_rows_take_little_memory_and_keep_ids_and_order(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoadedModel, "predict_rows", stub_rows)
    data, out = tmp_path / "a.csv", tmp_path / "out.csv"
    with data.open("w") as file:
        file.write("id,sentence\n")
        file.writelines(f"id {row},{text_of_row(row)}\n" for row in range(100_000))
    tracemalloc.start()
    try:
        assert predict(toy / "kind", "--data", data, "--out", out, "--id", "id") == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A block of a megabyte with its lines takes 8; all rows with their predictions would take 60 and more.
    assert peak < 16 * 2**20
    row = -1
    with out.open(newline="") as file:
        for row, cells in enumerate(csv.reader(islice(file, 1, None))):
            text = text_of_row(row)
            share = repr(1 / (3 + len(text)))
            filled = [LABELS[len(text) % 3], share, share, share, ""]
            assert cells == [f"id {row}", *(filled if text else ["", "", "", "", "empty"])]
    assert row == 99_999


def test_a_bar_on_a_terminal_alone(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "a.csv")
    seen = io.StringIO()
    console = predict_command.Console
    monkeypatch.setattr(predict_command, "Console", lambda *, stderr: console(file=seen, force_terminal=True, width=80))
    words = ["--data", tmp_path / "a.csv", "--force", "--out", tmp_path / "out.csv"]
    assert predict(toy / "kind", *words, "--quiet") == 0
    assert seen.getvalue() == ""
    assert predict(toy / "kind", *words) == 0
    assert "predicting" in seen.getvalue()
    assert "4/4" in seen.getvalue()
    # Where the predictions themselves are on the terminal, they show how far it is.
    seen.truncate(0)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert predict(toy / "kind", "--data", tmp_path / "a.csv") == 0
    assert seen.getvalue().strip("\x00") == ""


def test_it_needs_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(tmp_path, "--data", "x.csv") == 2
    assert "it has no config.json" in capsys.readouterr().err
