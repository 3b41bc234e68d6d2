from __future__ import annotations

import os
from pathlib import Path

import pytest

from unipelt_search.cli.new_file import check_new_file, new_file, writing
from unipelt_search.errors import MachineError, RequestError


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    to = tmp_path / "a" / "b" / "out.csv"
    check_new_file(to, [], force=False)
    with new_file(to) as file:
        file.write(b"1")
        assert not to.exists()
    assert to.read_bytes() == b"1"
    assert list(to.parent.iterdir()) == [to]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_file(tmp_path / "a" / "b" / "out.csv") as file:
        file.write(b"1")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    to.write_text("old")
    with pytest.raises(ValueError, match="no"), new_file(to):
        raise ValueError("no")
    assert to.read_text() == "old"
    assert list(tmp_path.iterdir()) == [to]


def test_a_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    to.write_text("old")
    with pytest.raises(RequestError, match="--force"):
        check_new_file(to, [], force=False)
    check_new_file(to, [tmp_path / "absent"], force=True)


def test_a_dash_is_no_file() -> None:
    with pytest.raises(RequestError, match="for stdout"):
        check_new_file(Path("-"), [], force=True)


@pytest.mark.parametrize("link", ["same", "symlink", "hard link"])
def test_the_input_is_never_replaced(tmp_path: Path, link: str) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text\nw1\n")
    to = tmp_path / "other.csv"
    if link == "same":
        to = tmp_path / "." / "data.csv"
    elif link == "symlink":
        to.symlink_to(data)
    else:
        os.link(data, to)
    with pytest.raises(RequestError, match="must not be a file that is read"):
        check_new_file(to, [data], force=True)


def test_what_is_no_new_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for to, message in [
        (tmp_path, "is a folder"),
        (pipe, "must be an ordinary file"),
        (Path("/dev/null"), "must be an ordinary file"),
        (file / "x" / "out.csv", "is a file"),
    ]:
        with pytest.raises(RequestError, match=message):
            check_new_file(to, [], force=True)


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(MachineError, match="may write"):
        check_new_file(tmp_path / "out.csv", [], force=False)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="out.csv.*No space left"), new_file(tmp_path / "out.csv") as file:
        file.write(b"1")
        with writing(tmp_path / "out.csv"):
            raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []
