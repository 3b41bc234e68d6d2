from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from raw_rows import read_data

from unipelt_search.errors import DataError
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.byte_source import DataFile
from unipelt_search.tasks.data_folder import Folder, find_given, find_layout, folder_in_zip, folder_on_disk
from unipelt_search.tasks.rows import RawData

CSV = "text,label\n{0} one,0\n{0} two,1\n"


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CSV.format(path.stem))
    return folder


def layout_of(folder: Path) -> dict[str, list[str]]:
    layout = find_layout(folder_on_disk(folder))
    return {} if layout is None else {split: [file.name for file in files] for split, files in layout.files.items()}


def read(data: Path | str) -> RawData:
    return read_data(TaskSpec(data=str(data), text=("text",), label="label"))


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (("train.csv", "dev.jsonl"), {"train": ["train.csv"], "validation": ["dev.jsonl"]}),
        (("train.csv.gz", "notes/train.csv"), {"train": ["train.csv.gz"]}),
        (("data/train.csv", "data/test.csv", "README.md"), {"train": ["train.csv"], "test": ["test.csv"]}),
        (("default/train/0000.csv", "default/test/0000.csv"), {"train": ["0000.csv"], "test": ["0000.csv"]}),
        (("train/b.csv", "train/a.csv", "valid/c.csv"), {"train": ["a.csv", "b.csv"], "validation": ["c.csv"]}),
        (("train.csv", "train/other.csv"), {"train": ["train.csv"]}),
        (
            ("train-00001-of-00002.csv", "train-00000-of-00002.csv"),
            {"train": ["train-00000-of-00002.csv", "train-00001-of-00002.csv"]},
        ),
        (("train-1-of-2.csv", "train-2-of-2.csv"), {"train": ["train-1-of-2.csv", "train-2-of-2.csv"]}),
        (("data/train-00000-of-00001-0123456789abcdef.csv",), {"train": ["train-00000-of-00001-0123456789abcdef.csv"]}),
        (("other.csv", "deep/er/train.csv"), {}),
    ],
)
def test_the_files_of_each_split_are_found(
    tmp_path: Path, names: tuple[str, ...], layout: dict[str, list[str]]
) -> None:
    assert layout_of(fill(tmp_path, *names)) == layout


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train-00000-of-00003.csv", "train-00002-of-00003.csv"), "has 2 of 3 train files, number 1 is missing"),
        (("train-00000-of-00002.csv",), "has 1 of 2 train files, number 1 is missing"),
        (("train.csv", "train-00000-of-00001.csv"), "must have one train file, or one for each part"),
        (("train.csv", "train.csv.gz"), "must have one train file"),
        (("small/train.csv", "large/train.csv"), "has splits in: large, small. Give the path of one"),
        (("train.csv", "testt.csv"), "got testt.csv in .* mean 'test'"),
    ],
)
def test_a_wrong_folder_is_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        layout_of(fill(tmp_path, *names))


def test_parts_are_one_split_with_rows_at_their_own_files(tmp_path: Path) -> None:
    names = ("train-00000-of-00002.csv", "train-00001-of-00002.csv", "test.csv")
    rows = read(fill(tmp_path / "mine", *names)).splits["train"]
    assert [str(location) for location in rows.locations] == [
        f"line {line} of train-0000{part}-of-00002.csv" for part in (0, 1) for line in (2, 3)
    ]
    (tmp_path / "mine" / names[1]).write_text("text,target\nx,0\n")
    with pytest.raises(DataError, match="train-00001-of-00002.csv lacks 'label', which train-00000-of-00002.csv has"):
        read(tmp_path / "mine")


def test_a_form_for_submissions_is_no_data(tmp_path: Path) -> None:
    raw = read(fill(tmp_path / "mine", "train.csv", "sampleSubmission.csv", "extra.csv"))
    submission = Notice(code="submission_ignored", values={"data": "mine", "file": "sampleSubmission.csv"})
    assert submission in raw.notices
    assert [notice.values.get("files") for notice in raw.notices] == [None, ("extra.csv",)]


def test_several_files_are_parts_or_splits(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "a.csv", "b.csv", "c/train.csv", "c/test.csv", "d/dev.csv", "d/test.csv")
    raw = read(f"{folder}/*.csv")
    assert (raw.name, {split: len(rows) for split, rows in raw.splits.items()}) == ("mine", {"train": 4})
    assert set(read(f"{folder}/c/*.csv").splits) == {"train", "test"}
    assert len(read(f"{folder}/**/test.csv").splits["train"]) == 4
    with pytest.raises(DataError, match="or be called as splits are, one of them train; got dev.csv, test.csv"):
        read(f"{folder}/d/*.csv")
    with pytest.raises(DataError, match=r"none fits '.*/\*.parquet'. .*mine has: a.csv"):
        read(f"{folder}/*.parquet")


def test_a_list_of_files_is_parts_or_splits(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "b.csv", "a.csv", "train.csv", "test.csv")
    spec = TaskSpec(data=[f"{folder}/b.csv", f"{folder}/a.csv"], text=("text",), label="label")
    rows = read_data(spec).splits["train"]
    assert [location.source for location in rows.locations] == ["b.csv", "b.csv", "a.csv", "a.csv"]
    assert TaskSpec.model_validate_json(spec.model_dump_json()) == spec
    splits = read_data(spec.model_copy(update={"data": f"{folder}/test.csv\n{folder}/train.csv"})).splits
    assert list(splits) == ["train", "test"]
    with pytest.raises(DataError, match="c.csv' is not. .*mine has: a.csv"):
        read_data(spec.model_copy(update={"data": f"{folder}/a.csv\n{folder}/c.csv"}))


def test_names_decide_what_given_files_are() -> None:
    def given(*names: str) -> list[str] | None:
        layout = find_given(Folder("x", tuple(DataFile(Path(name)) for name in names)))
        return None if layout is None else list(layout.files)

    assert given("train-1-of-1.csv", "dev.csv", "x.csv") == ["train", "validation"]
    assert given("test.csv") == ["train"]
    assert given("reviews-train-2023.csv", "reviews-train-2024.csv", "more.csv") == ["train"]
    assert given("train_and_dev.csv", "contest.csv", "latest.csv") == ["train"]
    assert given("reviews_train.csv", "reviews_test.csv") is None
    assert given() is None


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, CSV.format(Path(name).stem))
    return path


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("reviews.csv",), {"train"}),
        (("in/reviews.csv", "in/README.txt"), {"train"}),
        (("train.csv", "test.csv", "sample_submission.csv"), {"train", "test"}),
        (("corpus/train.csv", "corpus/dev.csv", "__MACOSX/corpus/._train.csv"), {"train", "validation"}),
        (("corpus/data/train/0.csv",), {"train"}),
    ],
)
def test_an_archive_is_a_file_or_a_folder(tmp_path: Path, names: tuple[str, ...], splits: set[str]) -> None:
    raw = read(zipped(tmp_path / "mine.zip", *names))
    assert (raw.name, set(raw.splits)) == ("mine", splits)
    assert raw.splits["train"].locations[0].source.startswith("mine.zip/")


def test_an_archive_of_several_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must hold one data file, or a train file among several; mine.zip has: a.csv"):
        read(zipped(tmp_path / "mine.zip", "a.csv", "b.csv"))
    assert folder_in_zip(zipped(tmp_path / "no.zip", "readme.txt")) == Folder("no", ())
    with pytest.raises(DataError, match="no.zip has: no data file"):
        read(tmp_path / "no.zip")


def test_an_archive_of_one_file_in_a_folder_is_that_file(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "test.csv")
    zipped(folder / "train.zip", "all.csv")
    assert layout_of(folder) == {"train": ["train.zip/all.csv"], "test": ["test.csv"]}
