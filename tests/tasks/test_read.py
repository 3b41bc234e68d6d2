from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest
from raw_rows import read_data, table_of

from unipelt_search.errors import DataError
from unipelt_search.records.finding import FindingsError
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks import hub_data, text_lines
from unipelt_search.tasks import read as read_module
from unipelt_search.tasks.read import stream_tables
from unipelt_search.tasks.rows import RawData, Rows

CSV = "text,label\nx,0\ny,1\n"
TABLE = table_of({"text": ["x", "y"], "label": ["0", "1"]})
ROWS = Rows((("x",), ("y",)), ("0", "1"))


def read(data: Path | str) -> RawData:
    return read_data(TaskSpec(data=str(data), text=("text",), label="label"))


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(CSV)
    return folder


def test_every_format_says_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["x", "y"], "label": ["0", "1"]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_json(tmp_path / "a.json", orient="records")
    frame.to_parquet(tmp_path / "a.parquet")
    for path in sorted(tmp_path.iterdir()):
        assert read(path) == RawData("a", {"train": ROWS}), path.name


@pytest.mark.parametrize("name", ["validation", "dev", "valid", "val", "Dev"])
def test_a_folder_has_its_splits(tmp_path: Path, name: str) -> None:
    folder = fill(tmp_path / "mine", "train.csv", f"{name}.csv", "test.CSV", "README.md")
    (folder / "train.csv").unlink()
    (folder / "train.jsonl").write_text("\n".join(json.dumps({"text": t, "label": n}) for n, t in enumerate("xy")))
    raw = read(folder)
    assert raw == RawData("mine", {"train": ROWS, "validation": ROWS, "test": ROWS})


def test_other_data_files_of_a_folder_are_named(tmp_path: Path) -> None:
    raw = read(fill(tmp_path / "mine", "train.csv", "extra.csv"))
    assert set(raw.splits) == {"train"}
    (notice,) = raw.notices
    assert notice.code == "files_without_split"
    assert notice.values == {"data": "mine", "files": ("extra.csv",), "files_count": 1}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("test.csv",), r"must have a train file .* has: test.csv\. To use a single file"),
        ((), r"must have a train file .* is empty"),
        (("train.xlsx",), r"must have a train file .* has: train.xlsx"),
        (("train.csv", "train.tsv"), "must have one train file, or one for each part; got train.csv and train.tsv"),
        (
            ("train.csv", "dev.csv", "val.csv"),
            "must have one validation file, or one for each part; got dev.csv and val.csv",
        ),
        (("train.csv", "valdiation.csv"), "got valdiation.csv in .* Did you mean 'validation'"),
    ],
)
def test_a_wrong_folder_is_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(fill(tmp_path / "mine", *names))


def test_a_split_whose_labels_are_withheld_counts_as_absent(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "train.csv", "dev.csv")
    (folder / "test.csv").write_text("text,label\nx,-1\ny,-1\n")
    raw = read(folder)
    assert set(raw.splits) == {"train", "validation"}
    assert raw.notices == (Notice(code="labels_withheld", values={"data": "mine", "source": "test.csv"}),)
    (folder / "test.csv").write_text("text,label\nx,-1\ny,0\n")
    assert read(folder).splits["test"].labels == ("-1", "0")
    (folder / "train.csv").write_text("text,label\nx,-1\ny,-1\n")  # for the check of the labels to refuse
    assert read(folder).splits["train"].labels == ("-1", "-1")


def test_of_two_development_sets_the_matched_one_is_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("validation_matched", "validation_mismatched")
    raw = read(fill(tmp_path / "mnli", "train.csv", *(f"{name}.csv" for name in names)))
    assert set(raw.splits) == {"train", "validation"}
    assert [notice.values["files"] for notice in raw.notices] == [("validation_mismatched.csv",)]
    answer = dict.fromkeys(("train", *names), TABLE)
    monkeypatch.setattr(hub_data, "read_hub", lambda name, configuration, spec: answer)
    raw = read("nyu-mll/glue:mnli")
    assert set(raw.splits) == {"train", "validation"}
    unknown = {"data": "nyu-mll/glue:mnli", "split": "validation_mismatched"}
    assert raw.notices == (Notice(code="split_name_unknown", values=unknown),)


def test_a_wrong_path_is_refused_with_what_is_near(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "train.csv", "notes.txt")
    with pytest.raises(DataError, match=r"is not there\. .*mine has: notes.txt, train.csv\. Did you mean 'train.csv'"):
        read(folder / "tran.csv")
    with pytest.raises(
        DataError, match="must end in one of .csv, .tsv, .jsonl, .ndjson, .json, .parquet; got 'notes.txt'"
    ):
        read(folder / "notes.txt")
    with pytest.raises(DataError, match="'no such thing' is not there"):
        read("no such thing")


def test_a_name_that_is_no_path_is_asked_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = dict.fromkeys(("train", "dev", "validation", "extra"), TABLE)
    monkeypatch.setattr(hub_data, "read_hub", lambda name, configuration, spec: answer)
    raw = read("owner/name")
    assert raw.name == "owner/name"
    assert raw.splits == {"train": ROWS, "validation": ROWS}
    twice = {"data": "owner/name", "split": "validation", "kept": "validation"}
    assert raw.notices == (
        Notice(code="split_twice", values=twice),
        Notice(code="split_name_unknown", values={"data": "owner/name", "split": "extra"}),
    )
    del answer["train"]
    with pytest.raises(
        DataError, match="must have a split `train` with labels; owner/name has: dev, validation, extra"
    ):
        read("owner/name")


def test_texts_need_no_label_column(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("b,a\nx,1\ny,2\n", encoding="utf-8")
    pieces = list(stream_tables(path, ("a", "b"), 1))
    assert [piece.cells for piece in pieces] == [{"b": ["x"], "a": ["1"]}, {"b": ["y"], "a": ["2"]}]
    with pytest.raises(DataError, match="--data must be a file; .* is none. .* has: new.csv"):
        next(stream_tables(tmp_path / "old.csv", ("a",), 1))
    with pytest.raises(DataError, match="--data must be a file"):
        next(stream_tables(tmp_path, ("a",), 1))


def test_rows_that_cannot_be_read_are_listed_at_once_or_dropped(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    good = "".join(f"text {number},{number % 2}\n" for number in range(9))
    path.write_text(f"text,label\na,b,c\n{good}x\n,1\n")
    spec = TaskSpec(data=str(path), text=("text",), label="label")
    with pytest.raises(FindingsError) as caught:
        read_data(spec)
    assert [(found.code, found.numbers) for found in caught.value.findings] == [
        ("broken_row", (2,)),
        ("broken_row", (12,)),
        ("empty_text", (13,)),
    ]
    assert "is in a row of 3 fields" in str(caught.value)
    raw = read_data(spec.model_copy(update={"drop_bad_rows": True}))
    assert len(raw.splits["train"]) == 9
    (notice,) = raw.notices
    assert notice.values["reason_rows"] == (2, 1)
    assert (notice.values["count"], notice.values["of"]) == (3, 12)
    with pytest.raises(DataError, match="got 3 fields at line 2 of mine.csv"):
        next(stream_tables(path, None, 5))


def test_where_most_lines_are_no_rows_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text,label\n" + "a,b,c\n" * 9 + "x,1\n")
    with pytest.raises(DataError, match="as the first line of mine.csv, 2; got 3 fields at line 2 of mine.csv"):
        read(path)


def test_rows_and_lines_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text,label\n" + "x,1\ny,0\n" * 5)
    monkeypatch.setattr(read_module, "MAX_ROWS", 10)
    assert len(read(path).splits["train"]) == 10
    monkeypatch.setattr(read_module, "MAX_LINES", 11)
    assert len(read(path).splits["train"]) == 10
    monkeypatch.setattr(read_module, "MAX_LINES", 10)
    with pytest.raises(DataError, match="A file may have 10 lines; mine.csv has more"):
        read(path)
    monkeypatch.setattr(read_module, "MAX_LINES", 11)
    monkeypatch.setattr(read_module, "MAX_ROWS", 9)
    with pytest.raises(DataError, match="A file may have 9 rows; mine.csv has more"):
        read(path)
    assert sum(map(len, stream_tables(path, None, 4))) == 10


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz"])
def test_a_longer_file_needs_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(text_lines, "BLOCK", 2**14)
    peaks = []
    for rows in (2_000, 6_000):
        texts = [f'row {n}, "{"x" * 60}"' for n in range(rows)]
        frame = pd.DataFrame({"text": texts, "label": ["a", "b"] * (rows // 2)})
        path = tmp_path / name
        if "json" in name:
            frame.to_json(path, orient="records", lines=True)
        else:
            frame.to_csv(path, index=False)
        del frame, texts
        tracemalloc.start()
        assert sum(map(len, stream_tables(path, None, 100))) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
