"""Text as physical lines: decoded line by line, so that a fault has its line and a large file needs no memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from unipelt_search.errors import DataError

BLOCK = 2**20
MAX_LINE = 64 * 2**20
"""Bytes of a line at most."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def text_lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """Decode a stream line by line.

    Args:
        stream: UTF-8 with or without a byte order mark, or UTF-16 with one.
        name: What to call it.

    Yields:
        Each line with its end, which is a line feed, a carriage return, or both; the last may have none.

    Raises:
        DataError: It is not such text, or a line is too long.
    """
    start = 0
    for number, line in enumerate(_byte_lines(_utf8_blocks(stream, name), name), start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name} must be UTF-8 text; got byte 0x{line[error.start]:02x} at line {number} (byte "
                f"{start + error.start + 1} of the file). Save it as UTF-8."
            ) from error
        start += len(line)


def _utf8_blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    block = stream.read(BLOCK)
    # UTF-32 first: its mark begins as that of UTF-16 does.
    if block.startswith(_UTF32) or _has_zeros(block):
        raise DataError(
            f"{name} must be UTF-8 text, or UTF-16 with a byte order mark; its first bytes are neither. Save it as "
            "UTF-8."
        )
    if block.startswith(_UTF16):
        yield from _from_utf16(stream, block, name)
        return
    yield block.removeprefix(codecs.BOM_UTF8)
    while block := stream.read(BLOCK):
        yield block


def _has_zeros(block: bytes) -> bool:
    """Tell whether text has a zero beside each letter, as UTF-16 has without its mark."""
    start = block[:64]
    return len(start) >= 4 and (not any(start[1::2]) or not any(start[::2]))


def _from_utf16(stream: BinaryIO, block: bytes, name: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")()
    done = 0
    while True:
        try:
            text = decoder.decode(block, final=not block)
            yield text.encode("utf-8")
        except UnicodeError as error:
            reason = getattr(error, "reason", "it is not")
            offset = done + getattr(error, "start", 0) + 1
            raise DataError(
                f"{name} begins as UTF-16 text but is not: {reason} near byte {offset}. Save it as UTF-8."
            ) from error
        if not block:
            return
        done += len(block)
        block = stream.read(BLOCK)


def _byte_lines(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    rest = b""
    number = 0
    for block in blocks:
        lines = (rest + block).splitlines(keepends=True)
        rest = b""
        # What ends in a carriage return may go on with a line feed.
        if lines and not lines[-1].endswith(b"\n"):
            rest = lines.pop()
        number += len(lines)
        if len(rest) > MAX_LINE:
            raise DataError(
                f"A line may have {MAX_LINE:,} bytes; line {number + 1} of {name} has more. Is it a table of text?"
            )
        yield from lines
    yield from rest.splitlines(keepends=True)
