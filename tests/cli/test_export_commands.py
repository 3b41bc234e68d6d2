from __future__ import annotations

import sys
from pathlib import Path

import pytest
from exported_study import save_toy, train_toy

from unipelt_search import api
from unipelt_search.cli.app import main
from unipelt_search.exporting.export import OutputFolders, export_run
from unipelt_search.records.history import StudyRecord
from unipelt_search.reporting.opened_study import Study


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an exported model `out` beside its backbone, and the study that it is from."""
    made = tmp_path_factory.mktemp("cli")
    save_toy(made)
    trained = train_toy(made, "unipelt_al", made / "kept", steps=2, evaluations=1)
    export_run(trained.record, trained.run, OutputFolders(made / "out"))
    (made / "record.json").write_text(trained.record.model_dump_json())
    return made


@pytest.fixture
def study(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands open the study that the model is from."""
    opened = Study(StudyRecord.model_validate_json((toy / "record.json").read_text()))
    monkeypatch.setattr(api, "open_study", lambda name, *, storage: opened)


@pytest.mark.usefixtures("study")
def test_export_writes_and_says_where(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "model"
    assert main(["export", "toy", "--to", str(to)]) == 0
    assert capsys.readouterr() == ("", f"Wrote {to}\n")
    assert (to / "model.safetensors").read_bytes() == (toy / "out" / "model.safetensors").read_bytes()
    card = (to / "README.md").read_text()
    assert "## Scores" in card
    assert "| 1 | 0." in card.partition("## Gates")[2]
    assert main(["export", "toy", "--to", str(to)]) == 2
    assert main(["export", "toy", "--to", str(to), "--force"]) == 0


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--merged", "m"], "--merged cannot hold unipelt_al: gates depend on the text"),
        (["--peft", "p"], "PEFT has no gates"),
        (["--trial", "7"], "trial 7 has none, there are: 0 (unipelt_al)"),
        (["--trial", "0", "--cheapest"], "--trial and --cheapest name two trials"),
    ],
)
def test_a_wrong_request_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "toy", "--to", "model", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("study")
def test_a_missing_peft_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "unipelt_search.exporting.peft_folder", raising=False)
    assert main(["export", "toy", "--to", str(tmp_path / "m"), "--peft", str(tmp_path / "p")]) == 2
    assert "pip install 'unipelt-search[peft]'" in capsys.readouterr().err
