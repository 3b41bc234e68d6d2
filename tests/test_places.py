from __future__ import annotations

from pathlib import Path

import pytest

from unipelt_search.errors import RequestError
from unipelt_search.places import check_writable, is_remote, remove_folder, to_place


def test_a_path_is_a_path_and_a_url_has_its_methods(tmp_path: Path) -> None:
    assert to_place(str(tmp_path)) == tmp_path
    assert not is_remote(to_place("studies"))
    far = to_place(f"file://{tmp_path}") / "a" / "b"
    assert is_remote(far)
    far.mkdir(parents=True)
    (far / "c").write_text("d", encoding="utf-8")
    assert (tmp_path / "a" / "b" / "c").read_text() == "d"
    assert to_place(str(far)).parent.name == "a"


@pytest.mark.parametrize("start", ["", "file://"])
def test_a_folder_is_removed_with_all_that_is_in_it(start: str, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("d")
    place = to_place(f"{start}{tmp_path}/a")
    remove_folder(place)
    remove_folder(place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", ["", "file://"])
def test_a_place_that_can_be_written_to_is_left_empty(start: str, tmp_path: Path) -> None:
    place = check_writable(f"{start}{tmp_path}/new/place")
    assert is_remote(place) is bool(start)
    assert list((tmp_path / "new" / "place").iterdir()) == []


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("{}/file/x", "Not a directory"),
        ("file://{}/file/x", "Not a directory"),
        ("nosuch://bucket/runs", "nosuch"),
        ("sftp://nowhere.invalid/runs", "paramiko"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_refused_in_one_sentence(named: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=f"--checkpoints must be a folder, or a URL .*{reason}") as caught:
        check_writable(named.format(tmp_path))
    assert "\n" not in str(caught.value)
