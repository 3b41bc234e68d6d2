from __future__ import annotations

import os
from pathlib import Path

import pytest

from unipelt_search.errors import SavedModelError
from unipelt_search.exporting import new_folder as new_folder_module
from unipelt_search.exporting.new_folder import check_free, new_folder


def fill(folder: Path, text: str) -> None:
    with new_folder(folder) as made:
        (made / "config.json").write_text(text)
        (made / "README.md").write_text("---\nlibrary_name: unipelt-search\n---\n")


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"), new_folder(tmp_path / "a" / "model") as made:
        (made / "half").write_text("x")
        assert not (tmp_path / "a" / "model").exists()
        raise OSError("disk full")
    assert list((tmp_path / "a").iterdir()) == []
    fill(tmp_path / "a" / "model", "1")
    fill(tmp_path / "a" / "model", "2")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["model"]
    assert (tmp_path / "a" / "model" / "config.json").read_text() == "2"


def test_everything_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    replace = os.replace
    monkeypatch.setattr(new_folder_module, "make_durable", lambda path: done.append(path.name))
    monkeypatch.setattr(os, "replace", lambda source, target: (done.append("replace"), replace(source, target)))
    with new_folder(tmp_path / "model") as made:
        (made / "part").mkdir()
        (made / "part" / "file").write_text("x")
    assert set(done[:3]) == {"part", "file", made.name}
    assert done[3:] == ["replace", tmp_path.name]


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "model", "old")
    replace, calls = os.replace, []

    def second_fails(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError("no")
        replace(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="no"):
        fill(tmp_path / "model", "new")
    assert (tmp_path / "model" / "config.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_is_there_is_replaced_only_by_force_and_only_if_it_is_a_model(tmp_path: Path) -> None:
    check_free(tmp_path / "absent", "--to", force=False)
    check_free(tmp_path, "--to", force=False)  # empty
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(SavedModelError, match="--to must be a new or empty folder"):
        check_free(tmp_path, "--to", force=False)
    with pytest.raises(SavedModelError, match="--force replaces only a folder with an exported model"):
        check_free(tmp_path, "--to", force=True)
    with pytest.raises(SavedModelError, match="--peft must be a folder; got the file"):
        check_free(tmp_path / "letters.txt", "--peft", force=True)
    fill(tmp_path / "model", "1")
    check_free(tmp_path / "model", "--to", force=True)


@pytest.mark.parametrize(
    ("card", "ours"),
    [
        (None, False),
        ("# My thesis, with unipelt-search\n", False),
        ("---\nlicense: mit\n---\n# BERT\n", False),
        ("---\n: : :\n- x\n---\n", False),
        ("---\nlibrary_name: transformers\ntags:\n- unipelt-search\n- lora\n---\n", True),
        ("# lora for rows, in the form of PEFT\n\n", True),
    ],
)
def test_a_checkpoint_or_a_project_of_the_users_is_not_replaced(tmp_path: Path, card: str | None, ours: bool) -> None:
    (tmp_path / "config.json").write_text("{}")
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    if ours:
        check_free(tmp_path, "--to", force=True)
    else:
        with pytest.raises(SavedModelError, match="--force replaces only a folder with an exported model"):
            check_free(tmp_path, "--to", force=True)
