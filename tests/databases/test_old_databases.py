"""One database per released schema is kept forever, and every one is upgraded here."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from faults.simulated_study import METHODS, simulate
from read_only_mount import can_mount, run_read_only

from unipelt_search import failpoints
from unipelt_search.api import list_studies
from unipelt_search.cli.app import main
from unipelt_search.errors import StorageError
from unipelt_search.records.history import RunState, StudyState
from unipelt_search.storage import upgrade
from unipelt_search.storage.store import StudyStore
from unipelt_search.verdict.candidates import find_candidates

HERE = Path(__file__).parent
OLD = sorted(HERE.glob("schema-*.db"))
NEWER = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None
def upgrade():
    op.add_column("ups_study", sa.Column("added", sa.String(8)))
"""


def schema(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT version_num FROM ups_alembic_version").fetchone()[0])


def columns(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {str(row[1]) for row in connection.execute("PRAGMA table_info(ups_study)")}


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of the package with one migration more."""
    folder = tmp_path / "migrations"
    shutil.copytree(upgrade._MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = max(path.stem[:4] for path in (folder / "versions").glob("0*.py"))
    (folder / "versions" / "9999_one_column_more.py").write_text(NEWER.format(head=head))
    monkeypatch.setattr(upgrade, "_MIGRATIONS", folder)


def test_every_schema_has_its_old_database() -> None:
    versions = {path.stem[:4] for path in (upgrade._MIGRATIONS / "versions").glob("0*.py")}
    kept = {path.stem.removeprefix("schema-") for path in OLD}
    # The newest schema gets its file with the release that ships it.
    assert versions - kept <= {max(versions)}


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
def test_an_old_database_is_read_and_gone_on_with(old: Path, tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    shutil.copy(old, path)
    store = StudyStore.open(f"sqlite:///{path}")
    complete = store.studies.load("complete")
    assert complete.state is StudyState.COMPLETE
    assert {row.method for row in find_candidates(complete)} >= set(METHODS)
    assert len(complete.trials) == 4
    results = [run.result for trial in complete.trials for run in trial.runs]
    left_out = complete.dropped[0]
    assert (complete.edition, left_out.method) == (2 if old.stem == "schema-0005" else 1, "prefix")
    if old.stem <= "schema-0003":  # findings were sentences
        assert {notice.code for notice in complete.notices} == {"legacy"}
        assert complete.notices[0].values == {"sentence": "prefix was left out."}
        assert left_out.reason.values == {"sentence": "It cannot be attached."}
    # What later schemas added is empty in old rows.
    assert {result.outcomes for result in results if result is not None} == {()}
    assert {result.gate_values for result in results if result is not None} == {None}
    assert complete.origins == ()
    simulate(f"sqlite:///{path}", tmp_path / "told", step_seconds=0.0, trials=4, seeds=1, name="killed")
    record = store.studies.load("killed")
    assert record.state is StudyState.COMPLETE
    assert all(run.state.is_finished() for trial in record.trials for run in trial.runs)
    # What is proposed in the tune phase may differ between versions, as the search space does; published settings stay.
    kept = [[trial.spec for trial in found.trials if trial.origin == "published"] for found in (record, complete)]
    assert kept[0] == kept[1]
    assert len(kept[0]) == len(METHODS)
    assert RunState.FAILED in {run.state for trial in record.trials for run in trial.runs}
    store.close()


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
def test_before_an_upgrade_the_file_is_copied(old: Path, tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    shutil.copy(old, path)
    before = schema(path)
    store = StudyStore.open(f"sqlite:///{path}")
    assert store.studies.load("complete").state is StudyState.COMPLETE
    store.close()
    copy = tmp_path / f"studies.db.schema-{before}"
    assert (schema(path), schema(copy)) == ("9999", before)
    assert "added" in columns(path) - columns(copy)
    assert sorted(file.name for file in tmp_path.glob("studies.db*")) == ["studies.db", copy.name]


@pytest.mark.usefixtures("newer")
def test_an_upgrade_that_breaks_off_leaves_the_old_schema(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    shutil.copy(OLD[0], path)
    before = columns(path)
    failpoints.arm("database.upgrade.before=full@1")
    with pytest.raises(StorageError, match="must be writable; it responded: .*No space left"):
        StudyStore.open(f"sqlite:///{path}")
    failpoints.arm("")
    assert (schema(path), columns(path)) == ("0001", before)
    StudyStore.open(f"sqlite:///{path}").close()
    assert schema(path) == "9999"


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("studies.db*")}


def reading_commands(url: str, name: str, out: Path) -> list[list[str]]:
    return [
        ["studies", "--storage", url],
        ["report", name, "--format", "json", "--storage", url],
        ["gates", name, "--format", "csv", "--storage", url],
        ["export", name, "--to", str(out / "model"), "--storage", url],
    ]


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
def test_reading_an_old_database_changes_no_file(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    shutil.copy(old, folder / "studies.db")
    before = hashes(folder)
    codes = [main(arguments) for arguments in reading_commands(f"sqlite:///{folder}/studies.db", "complete", tmp_path)]
    # A simulated study has no weights that could be exported.
    assert codes == [0, 0, 0, 2]
    assert '"verdict"' in capsys.readouterr().out
    assert hashes(folder) == before


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The folder of a study of schema 0003 that a killed driver left, the last writes in the log only."""
    with tarfile.open(HERE.parent / "golden" / "killed" / "confirm.tar.gz") as archive:
        archive.extractall(tmp_path / "kept", filter="data")
    return tmp_path / "kept"


def test_reading_what_a_killed_driver_left_changes_no_file(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(killed)
    assert len(before) > 1
    url = f"sqlite:///{killed}/studies.db"
    (line,) = list_studies(storage=url)
    for arguments in reading_commands(url, line.name, tmp_path)[:3]:
        assert main(arguments) == 0
    assert line.name in capsys.readouterr().out
    assert hashes(killed) == before


@pytest.mark.skipif(not can_mount(), reason="a read-only mount needs the right to make one")
def test_what_a_killed_driver_left_is_read_on_a_read_only_mount(killed: Path) -> None:
    before = hashes(killed)
    (line,) = list_studies(storage=f"sqlite:///{killed}/studies.db")
    code = f"from unipelt_search.cli.app import main; main(['studies', '--storage', 'sqlite:///{killed}/studies.db'])"
    assert line.name in run_read_only(killed, [sys.executable, "-c", code])
    assert hashes(killed) == before


def test_a_request_that_is_refused_upgrades_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    shutil.copy(OLD[0], folder / "studies.db")
    before = hashes(folder)
    storage = ["--storage", f"sqlite:///{folder}/studies.db", "--out", str(tmp_path / "out")]
    assert main(["resume", "absent", *storage]) == 2
    assert main(["resume", "killed", *storage]) == 2, "the simulated study has no data"
    asked = ["--data", str(tmp_path / "none.csv"), "--text", "a", "--label", "b", "--model", "minilm"]
    assert main(["run", *asked, "--name", "new", *storage]) == 2
    assert hashes(folder) == before
    assert not (tmp_path / "out").exists()
