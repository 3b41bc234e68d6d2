from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

import unipelt_search
from unipelt_search.cli.app import main
from unipelt_search.errors import StudyNotFoundError


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    done: list[tuple[str, str | None]] = []

    def open_study(name: str, *, storage: str | None = None) -> None:
        if name != "here":
            raise StudyNotFoundError(f"No study is named {name!r}.")

    def delete_study(name: str, *, storage: str | None = None) -> None:
        open_study(name)
        done.append((name, storage))

    fake = SimpleNamespace(open_study=open_study, delete_study=delete_study)
    monkeypatch.setattr(unipelt_search, "api", fake, raising=False)
    return done


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_script_is_not_asked(
    deleted: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["delete", "here", "--storage", "sqlite:///x.db"]) == 0
    assert deleted == [("here", "sqlite:///x.db")]
    assert capsys.readouterr() == ("", "Deleted study 'here'.\n")


@pytest.mark.parametrize(("answer", "code", "count"), [("y\n", 0, 1), ("n\n", 130, 0), ("\n", 130, 0)])
def test_a_terminal_is_asked(
    deleted: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch, answer: str, code: int, count: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(["delete", "here"]) == code
    assert len(deleted) == count


def test_yes_is_an_answer(deleted: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main(["delete", "here", "--yes"]) == 0
    assert len(deleted) == 1


def test_a_wrong_name_is_told_before_anything_is_asked(
    deleted: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert main(["delete", "absent"]) == 2
    assert capsys.readouterr() == ("", "unipelt-search: No study is named 'absent'.\n")
