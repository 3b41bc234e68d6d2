from __future__ import annotations

from pathlib import Path

import pytest

from unipelt_search.errors import RequestError
from unipelt_search.remote_paths import check_writable, is_remote, reaching, remove_folder, to_storage_path


def test_a_path_is_a_path_and_a_url_has_its_methods(tmp_path: Path) -> None:
    assert to_storage_path(str(tmp_path)) == tmp_path
    assert not is_remote(to_storage_path("studies"))
    far = to_storage_path(f"file://{tmp_path}") / "a" / "b"
    assert is_remote(far)
    far.mkdir(parents=True)
    (far / "c").write_text("d", encoding="utf-8")
    assert (tmp_path / "a" / "b" / "c").read_text() == "d"
    assert to_storage_path(str(far)).parent.name == "a"


@pytest.mark.parametrize("start", ["", "file://"])
def test_a_folder_is_removed_with_all_that_is_in_it(start: str, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("d")
    path = to_storage_path(f"{start}{tmp_path}/a")
    remove_folder(path)
    remove_folder(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", ["", "file://"])
def test_a_place_that_can_be_written_to_is_left_empty(start: str, tmp_path: Path) -> None:
    check_writable(f"{start}{tmp_path}/new/place")
    assert list((tmp_path / "new" / "place").iterdir()) == []


@pytest.mark.parametrize("start", ["", "file://"])
def test_a_place_that_cannot_be_written_to_is_refused_in_one_sentence(start: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="--checkpoints must be a folder, or a URL .*Not a directory") as caught:
        check_writable(f"{start}{tmp_path}/file/x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("named", ["nosuch://bucket/runs", "sftp://nowhere.invalid/runs"])
def test_a_url_that_nothing_can_read_is_refused_in_one_sentence(named: str) -> None:
    with pytest.raises(RequestError, match=f"A URL must be one that an installed package can read; got '{named}'"):
        to_storage_path(named)


def test_a_file_systems_own_error_is_an_oserror_behind_a_url_only(tmp_path: Path) -> None:
    class NoCredentialsError(Exception):
        """As botocore's, which is no OSError."""

    with pytest.raises(OSError, match="^Unable to locate credentials$"), reaching(to_storage_path("memory://a")):
        raise NoCredentialsError("Unable to locate\ncredentials.")
    with pytest.raises(FileNotFoundError), reaching(to_storage_path("memory://a")):
        raise FileNotFoundError
    with pytest.raises(NoCredentialsError), reaching(tmp_path):
        raise NoCredentialsError
