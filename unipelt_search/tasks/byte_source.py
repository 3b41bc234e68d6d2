"""The bytes of a data file: decompressed where its name says so, counted, and never waited for.

Whoever made the file may have meant harm: an archive that grows a thousandfold, a device, a file that never ends.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from unipelt_search.errors import DataError
from unipelt_search.tasks.content import LOOKED_AT, check_content, open_regular, refuse_other

FORMS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
"""How the name of a data file ends, before the ending of a compressed one."""
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
ZIP = ".zip"
MAX_BYTES = 2 * 2**30
"""Bytes of a file, once it is decompressed, that are read into memory at most."""
MAX_GROWTH = 300
"""How many times larger a compressed file may become; text becomes 3 to 30 times larger."""
GROWTH_FROM = 16 * 2**20
"""Bytes after decompression up to which growth is not looked at."""
READ_SECONDS = 900.0
"""Seconds that may pass in reading the bytes of one file."""
_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError)
"""What decompression raises for a damaged file; pyarrow's faults are errors of the system or of values."""


@dataclass(frozen=True)
class DataFile:
    """A file with rows, or one of several in a ZIP archive."""

    path: Path
    member: str = ""
    """The name in the archive; empty where the file is none."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.path.name}/{self.member}" if self.member else self.path.name

    @property
    def own_name(self) -> str:
        """Its name without folders and without the ending of a compressed file."""
        name = self.member.rpartition("/")[2] if self.member else self.path.name
        stem, dot, ending = name.rpartition(".")
        return stem if f"{dot}{ending}".lower() in COMPRESSED else name

    @property
    def form(self) -> str:
        """How its name ends, in lower case: `.csv`; empty where it has no ending."""
        return Path(self.own_name).suffix.lower()

    @property
    def stem(self) -> str:
        """Its name without all these endings."""
        return self.own_name.removesuffix(Path(self.own_name).suffix)

    @property
    def compression(self) -> str:
        """The ending that says how it is compressed, as in `.gz`; empty for a plain file."""
        ending = Path(self.member or self.path.name).suffix.lower()
        return ending if ending in COMPRESSED else ""


class _Bounded(io.RawIOBase):
    """Bytes after decompression, bounded in number, growth and seconds."""

    def __init__(self, name: str, inner: IO[bytes], disk: io.FileIO, most: int | None) -> None:
        super().__init__()
        self._name = name
        self._inner = inner
        self._disk = disk
        self._most = most
        self._count = 0
        self._seconds = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as above
        began = time.monotonic()
        try:
            data = self._inner.read(len(buffer))
        except _DAMAGE as error:
            raise DataError(
                f"A data file must be whole; {self._name} is damaged or cut off: {error or type(error).__name__}. "
                "Fetch it again."
            ) from error
        # Only what reading takes: whoever streams may do other work between two blocks.
        self._seconds += time.monotonic() - began
        if data is None:
            raise DataError(f"A data file must be readable to its end; {self._name} has nothing to give now.")
        buffer[: len(data)] = data
        self._count += len(data)
        self._check()
        return len(data)

    def _check(self) -> None:
        if self._most is not None and self._count > self._most:
            raise DataError(
                f"A data file may have {self._most:,} bytes once it is decompressed; {self._name} has more. Take a "
                "part of its rows."
            )
        if self._count > GROWTH_FROM and self._count > MAX_GROWTH * self._disk.tell():
            raise DataError(
                f"A compressed file may become {MAX_GROWTH} times larger; {self._name} becomes larger than that. "
                "Decompress it first if it is meant so."
            )
        if self._seconds > READ_SECONDS:
            raise DataError(
                f"A data file must be read in {READ_SECONDS:g} s; {self._name} took longer. Copy it to a disk of this "
                "machine."
            )


@contextmanager
def open_bytes(file: DataFile, most: int | None = MAX_BYTES) -> Iterator[BinaryIO]:
    """Open a data file.

    Args:
        file: Which one.
        most: Bytes after decompression that are read at most; None is any number.

    Yields:
        Its bytes, decompressed; a plain file can be gone through once, too.

    Raises:
        DataError: It is no regular file or not what its name says, it cannot be opened, or while it is read: it is
            damaged, too large or too slow.
    """
    check_content(file.path)
    disk = open_regular(file.path)
    try:
        with _translated(file.name):
            inner = _archived(file, disk) if file.member else io.BufferedReader(disk)
            stream = _OPENERS[file.compression](inner)
        opened = io.BufferedReader(_Bounded(file.name, stream, disk, most), buffer_size=2**16)
        refuse_other(opened.peek(LOOKED_AT), file.name, file.form)
        yield opened
    finally:
        disk.close()


@contextmanager
def open_seekable(file: DataFile, most: int | None = MAX_BYTES) -> Iterator[BinaryIO]:
    """Open a data file that is read at several places.

    Args:
        file: Which one.
        most: Bytes after decompression that a compressed file may have.

    Yields:
        Its bytes; those of a compressed file are in memory.

    Raises:
        DataError: As `open_bytes`.
    """
    if file.compression or file.member:
        with open_bytes(file, most or MAX_BYTES) as stream:
            content = io.BytesIO(stream.read())
        yield content
        return
    check_content(file.path)
    with open_regular(file.path) as disk:
        yield io.BufferedReader(disk)


def members(path: Path) -> list[str]:
    """List the files in a ZIP archive that may hold rows.

    Args:
        path: The archive.

    Returns:
        Their names, sorted; without folders, hidden files and what macOS adds.

    Raises:
        DataError: It is no ZIP archive or damaged.
    """
    with open_regular(path) as file, _translated(path.name), zipfile.ZipFile(file) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    return sorted(name for name in names if not _is_hidden(name))


def _is_hidden(name: str) -> bool:
    parts = name.split("/")
    return any(part.startswith((".", "__MACOSX")) for part in parts)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Name the file when it cannot be opened as what it says it is."""
    try:
        yield
    except (*_DAMAGE, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"A compressed file must be whole; {name} cannot be opened: {error or type(error).__name__}."
        ) from error


def _archived(file: DataFile, disk: io.FileIO) -> IO[bytes]:
    archive = zipfile.ZipFile(io.BufferedReader(disk))
    if archive.getinfo(file.member).flag_bits & 1:
        raise DataError(f"A ZIP archive must be readable without a password; {file.name} needs one. Unpack it.")
    return archive.open(file.member)


def _open_gzip(stream: IO[bytes]) -> IO[bytes]:
    return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]  # it has all that is used of it


def _open_zstd(stream: IO[bytes]) -> IO[bytes]:
    # It takes long to import, and only this kind of file needs it.
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")  # type: ignore[no-any-return]


def _as_it_is(stream: IO[bytes]) -> IO[bytes]:
    return stream


_OPENERS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "": _as_it_is,
    ".gz": _open_gzip,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": _open_zstd,
}
