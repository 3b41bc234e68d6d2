from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from unipelt_search.errors import DataError
from unipelt_search.tasks import byte_source
from unipelt_search.tasks.byte_source import DataFile, members, open_bytes, open_seekable

CONTENT = b"text,label\nx,0\n"


def zstd(content: bytes) -> bytes:
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as compressed:
        compressed.write(content)
    return stream.getvalue().to_pybytes()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("ending", COMPRESS)
def test_every_compression_is_undone(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"train.v2.csv{ending}"
    path.write_bytes(COMPRESS[ending](CONTENT))
    file = DataFile(path)
    assert (file.form, file.compression, file.stem) == (".csv", ending, "train.v2")
    with open_bytes(file) as stream:
        assert stream.read() == CONTENT
    with open_seekable(file) as stream:
        stream.seek(5)
        assert stream.read() == CONTENT[5:]


def test_a_file_of_an_archive_is_read(tmp_path: Path) -> None:
    contents = {"in/train.csv": CONTENT, "__MACOSX/in/._train.csv": b"x", ".hidden": b"", "in/": b""}
    path = zipped(tmp_path / "all.zip", contents)
    assert members(path) == ["in/train.csv"]
    file = DataFile(path, "in/train.csv")
    assert (file.name, file.form, file.stem) == ("all.zip/in/train.csv", ".csv", "train")
    with open_bytes(file) as stream:
        assert stream.read() == CONTENT


def read(path: Path, member: str = "", most: int | None = None) -> bytes:
    with open_bytes(DataFile(path, member), most) as stream:
        return stream.read()


@pytest.mark.parametrize("ending", [ending for ending in COMPRESS if ending])
def test_what_is_cut_off_or_damaged_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.csv{ending}"
    whole = COMPRESS[ending](CONTENT * 10_000)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=f"a.csv{ending} is damaged or cut off"):
        read(path)
    path.write_bytes(CONTENT)
    with pytest.raises(DataError, match="must be what its name says"):
        read(path)


def test_damaged_and_locked_archives_are_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.csv": CONTENT * 100})
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="a.zip cannot be opened: File is not a zip file"):
        members(path)
    path = zipped(tmp_path / "b.zip", {"b.csv": CONTENT})
    # The flag of a password, in the header of the file and in the directory.
    locked = path.read_bytes().replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
    path.write_bytes(locked.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"))
    with pytest.raises(DataError, match="without a password; b.zip/b.csv needs one"):
        read(path, "b.csv")


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_what_grows_too_much_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr(byte_source, "GROWTH_FROM", 2**20)
    path = tmp_path / f"bomb.csv{ending}"
    path.write_bytes(COMPRESS[ending](bytes(8 * 2**20)))
    with pytest.raises(DataError, match=f"bomb.csv{ending} becomes larger than that"):
        read(path)
    member = zipped(tmp_path / "bomb.zip", {"bomb.csv": bytes(8 * 2**20)})
    with pytest.raises(DataError, match="bomb.zip/bomb.csv becomes larger"):
        read(member, "bomb.csv")


def test_bytes_and_seconds_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CONTENT * 10)
    with pytest.raises(DataError, match="may have 100 bytes once it is decompressed; a.csv has more"):
        read(path, most=100)
    assert len(read(path, most=len(CONTENT) * 10)) == 150
    monkeypatch.setattr(byte_source, "READ_SECONDS", -1.0)
    with pytest.raises(DataError, match="a.csv took longer"):
        read(path)


def test_other_content_inside_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"<!doctype html><title>Log in</title>"))
    with pytest.raises(DataError, match="a.csv.gz must be what its name says, csv; it is a web page"):
        read(path)
