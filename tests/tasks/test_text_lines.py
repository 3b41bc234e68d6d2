from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipelt_search.errors import DataError
from unipelt_search.tasks import text_lines as text_lines_module
from unipelt_search.tasks.text_lines import text_lines


def lines(content: bytes) -> list[str]:
    return list(text_lines(io.BytesIO(content), "a.csv"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("block", [1, 7, 2**20])
def test_lines_of_every_encoding_and_end_are_whole(monkeypatch: pytest.MonkeyPatch, encoding: str, block: int) -> None:
    monkeypatch.setattr(text_lines_module, "BLOCK", block if encoding == "utf-8" else 64)
    text = "schön\r\nгут\rthree\u2028still\n\nlast"
    assert lines(text.encode(encoding)) == ["schön\r\n", "гут\r", "three\u2028still\n", "\n", "last"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))), st.sampled_from("\r\n"))
def test_what_was_written_is_read_line_by_line(texts: list[str], end: str) -> None:
    content = "".join(f"{text}{end}" for text in texts).encode()
    # A file that begins with a zero after each letter is taken for UTF-16.
    if b"\x00" not in content and not content.startswith((b"\xef\xbb\xbf", b"\xff\xfe")):
        assert lines(content) == [f"{text}{end}" for text in texts]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("gut\nschön".encode("cp1252"), "got byte 0xf6 at line 2 \\(byte 8 of the file\\)"),
        (b"x\n" * 600_000 + b"\xff\n", "got byte 0xff at line 600001 \\(byte 1200001 of"),
        ("text".encode("utf-16")[:-1], "begins as UTF-16 text but is not: truncated data"),
        ("text".encode("utf-16-le"), "UTF-16 with a byte order mark; its first bytes are neither"),
        ("text".encode("utf-16-be"), "its first bytes are neither"),
        ("text".encode("utf-32"), "its first bytes are neither"),
    ],
)
def test_other_encodings_are_named_with_the_line(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        lines(content)


def test_a_line_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines_module, "MAX_LINE", 2**20)
    with pytest.raises(DataError, match="line 2 of a.csv has more"):
        lines(b"text\n" + b"x" * 3 * 2**20)
