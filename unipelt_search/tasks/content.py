"""What a file really is, whatever its name says: looked at before it is read, and never waited for."""

from __future__ import annotations

import os
import stat
from io import FileIO
from pathlib import Path

from unipelt_search.errors import DataError

LOOKED_AT = 1024
"""Bytes at the beginning of a file that tell what it is."""
PARQUET = b"PAR1\x15"
NAMED = {
    ".gz": b"\x1f\x8b",
    ".bz2": b"BZh",
    ".xz": b"\xfd7zXZ\x00",
    ".zst": b"\x28\xb5\x2f\xfd",
    ".zip": b"PK",
}
"""How a file begins whose name says that it is compressed."""
SIGNATURES = (
    (b"\x1f\x8b", "compressed with gzip", "Let its name end in .gz, as in train.csv.gz."),
    (b"BZh91AY&SY", "compressed with bzip2", "Let its name end in .bz2, as in train.csv.bz2."),
    (b"\xfd7zXZ\x00", "compressed with xz", "Let its name end in .xz, as in train.csv.xz."),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Let its name end in .zst, as in train.csv.zst."),
    (b"%PDF-", "a PDF document", "Export its table as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Save its sheet as CSV UTF-8."),
    (b"SQLite format 3\x00", "a SQLite database", "Export its table as CSV."),
    (b"\x80\x04\x95", "a pickle, which may run code when it is read", "Save the data as CSV."),
    (b"ARROW1\x00", "an Arrow file", "Save it as Parquet."),
)
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
OFFICE_PARTS = (b"[Content_Types].xml", b"xl/", b"_rels/.rels", b"docProps/", b"mimetype")


def check_content(path: Path) -> None:
    """Check that a file is what its name says.

    Args:
        path: A file whose name ends in that of a data file.

    Raises:
        DataError: It is no regular file, cannot be opened, or holds something else.
    """
    try:
        with open_regular(path) as file:
            start = file.read(LOOKED_AT) or b""
    except OSError as error:
        raise DataError(f"A data file must be readable; got {path}: {error.strerror}.") from error
    refuse_other(start, path.name, path.suffix.lower())


def refuse_other(start: bytes, name: str, form: str) -> None:
    """Check that a file is what its name says.

    Args:
        start: Its first bytes.
        name: What to call it.
        form: How its name ends, in lower case.

    Raises:
        DataError: It is something else.
    """
    meant = NAMED.get(form)
    if meant is None:
        what = _other_content(start[:LOOKED_AT], form)
    elif start.startswith(meant):
        return
    else:
        what = _other_content(start[:LOOKED_AT], "") or ("not compressed so", "Let its name end in what it is.")
    if what is not None:
        found, hint = what
        raise DataError(f"{name} must be what its name says, {form[1:]}; it is {found}. {hint}")


def refuse_special(path: Path) -> None:
    """Check that a path leads to a regular file.

    Args:
        path: Not a folder.

    Raises:
        DataError: It is a pipe, a device or a socket, or a symbolic link that leads nowhere.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            raise DataError(
                f"A data file must be there; {path} is a symbolic link that leads nowhere: {error.strerror}."
            ) from error
        raise DataError(f"A data file must be readable; got {path}: {error.strerror}.") from error
    if not stat.S_ISREG(mode):
        name = KINDS.get(stat.S_IFMT(mode), "something else")
        raise DataError(f"A data file must be a regular file; {path} is {name}. Write its content to a file first.")


def open_regular(path: Path) -> FileIO:
    """Open a regular file, and never wait for one that is none.

    Args:
        path: Not a folder.

    Returns:
        The open file, unbuffered.

    Raises:
        DataError: It is a pipe, a device or a socket, it is not there, or it may not be read.
    """
    refuse_special(path)
    try:
        # Without O_NONBLOCK, a pipe that has replaced the file since would be waited for.
        return FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise DataError(f"A data file must be readable; got {path}: {error.strerror}.") from error


def _other_content(start: bytes, form: str) -> tuple[str, str] | None:
    """Say what a file is by its first bytes, and what to do about it; None if it may be what it should."""
    for signature, found, hint in SIGNATURES:
        if start.startswith(signature):
            return found, hint
    if start.startswith(b"PK\x03\x04"):
        if any(part in start for part in OFFICE_PARTS):
            return "an Office document such as an Excel workbook", "Save its sheet as CSV UTF-8."
        return "a ZIP archive", "Let its name end in .zip."
    beginning = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page or XML, perhaps the page of a login or an error", "Download the data itself."
    if beginning.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS", "Fetch the file itself: git lfs pull."
    if start.startswith(PARQUET) and form != ".parquet":
        return "a Parquet file", "Let its name end in .parquet."
    return None
