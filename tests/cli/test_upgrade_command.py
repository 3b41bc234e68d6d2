from __future__ import annotations

from pathlib import Path

import pytest

from unipelt_search.cli.app import main

OLD = Path(__file__).parents[1] / "databases" / "schema-0002.db"


def test_upgrade_says_what_it_did_and_where_the_copy_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "studies.db"
    path.write_bytes(OLD.read_bytes())
    assert main(["upgrade", "--storage", f"sqlite:///{path}"]) == 0
    first = capsys.readouterr()
    assert (first.out, "from schema 0002 to" in first.err) == ("", True)
    copy = tmp_path / "studies.db.schema-0002"
    assert str(copy) in first.err
    assert copy.read_bytes()[:15] == b"SQLite format 3"
    assert main(["upgrade", "--storage", f"sqlite:///{path}"]) == 0
    assert "nothing was changed" in capsys.readouterr().err


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--storage", f"sqlite:///{tmp_path}/studies.db"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_delete_refuses_an_older_schema_and_names_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "studies.db"
    path.write_bytes(OLD.read_bytes())
    assert main(["delete", "complete", "--yes", "--storage", f"sqlite:///{path}"]) == 2
    assert "unipelt-search upgrade" in capsys.readouterr().err
    assert path.read_bytes() == OLD.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["studies.db"]
