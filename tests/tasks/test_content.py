from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from raw_rows import read_data

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.content import check_content, refuse_special

CSV = b"text,label\nx,0\ny,1\n"


def zipped(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, CSV)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(CSV), "compressed with gzip. Let its name end in .gz"),
        (bz2.compress(CSV), "compressed with bzip2"),
        (lzma.compress(CSV), "compressed with xz"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><title>Log in</title>", "a web page or XML"),
        (b"<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"PAR1\x15" + bytes(20), "a Parquet file. Let its name end in .parquet"),
        (b"SQLite format 3\x00", "a SQLite database"),
        (pickle.dumps({"text": ["x"] * 9}), "a pickle, which may run code"),
    ],
    ids=range(10),
)
def test_other_content_behind_a_csv_name_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"a.csv must be what its name says, csv; it is .*{message}"):
        read_data(TaskSpec(data=str(path), text=("text",), label="label"))


def test_archives_and_workbooks_are_told_apart(tmp_path: Path) -> None:
    zipped(tmp_path / "a.csv", "data.csv")
    zipped(tmp_path / "b.csv", "[Content_Types].xml", "xl/workbook.xml")
    with pytest.raises(DataError, match="a ZIP archive. Let its name end in .zip"):
        check_content(tmp_path / "a.csv")
    with pytest.raises(DataError, match="an Excel workbook. Save its sheet as CSV UTF-8"):
        check_content(tmp_path / "b.csv")


def test_what_a_name_says_passes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "empty.csv").write_bytes(b"")
    pd.DataFrame({"text": ["x"]}).to_parquet(tmp_path / "a.parquet")
    for path in tmp_path.iterdir():
        check_content(path)


def test_special_files_are_refused_and_never_waited_for(tmp_path: Path) -> None:
    spec = TaskSpec(data=str(tmp_path), text=("text",), label="label")
    os.mkfifo(tmp_path / "train.csv")
    for data in (tmp_path, tmp_path / "train.csv"):
        with pytest.raises(DataError, match="must be a regular file; .*train.csv is a pipe"):
            read_data(spec.model_copy(update={"data": str(data)}))
    with pytest.raises(DataError, match="/dev/zero is a device"):
        read_data(spec.model_copy(update={"data": "/dev/zero"}))
    (tmp_path / "train.csv").unlink()
    (tmp_path / "train.csv").mkdir()
    with pytest.raises(DataError, match="train.csv is a folder"):
        read_data(spec)


def test_links_are_followed_and_loops_are_named(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_bytes(CSV)
    (tmp_path / "link.csv").symlink_to("real.csv")
    check_content(tmp_path / "link.csv")
    (tmp_path / "a.csv").symlink_to("b.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere.csv")
    for name in ("a.csv", "gone.csv"):
        with pytest.raises(DataError, match=f"{name} is a symbolic link that leads nowhere: "):
            refuse_special(tmp_path / name)
        with pytest.raises(DataError, match="leads nowhere"):
            read_data(TaskSpec(data=str(tmp_path / name), text=("text",), label="label"))


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV)

    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match="must be readable; got .*a.csv: Permission denied"):
        check_content(path)
