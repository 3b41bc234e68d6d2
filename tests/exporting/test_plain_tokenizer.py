"""Exported models cut texts as training did: loaded by this package, and by transformers alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exported_study import Trained, save_toy, train_toy
from transformers import AutoTokenizer

from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.export import OutputFolders, PeftForm, export_run
from unipelt_search.exporting.loaded_model import load_saved
from unipelt_search.exporting.peft_folder import check_peft, write_peft
from unipelt_search.exporting.plain_tokenizer import plain_tokenizer
from unipelt_search.specs.study import Side
from unipelt_search.tasks.encode import encode_texts

FORM = PeftForm(check_peft, write_peft)
LONG = " ".join(f"w{number}" for number in range(1, 60)) * 30
"""Longer than 64 characters per token."""
START, MIDDLE, END = [f"w{number}" for number in range(1, 15)], LONG[:1024].split()[-14:], LONG.split()[-14:]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    made = tmp_path_factory.mktemp("export")
    save_toy(made)
    return train_toy(made, "lora", made / "kept", steps=2, evaluations=1)


def with_side(trained: Trained, side: Side | None) -> Trained:
    """Return the same study as if it had cut its texts on a side; None is one from before sides were stored."""
    task = trained.record.spec.task.model_copy(update={"truncation": side or "auto"})
    spec = trained.record.spec.model_copy(update={"task": task})
    return Trained(trained.record.model_copy(update={"spec": spec}), trained.logits)


def words(folder: Path, ids: list[int]) -> list[str]:
    return AutoTokenizer.from_pretrained(folder).convert_ids_to_tokens(ids)[1:-1]


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_plain_folder_cuts_as_training_did(trained: Trained, tmp_path: Path, side: Side) -> None:
    study = with_side(trained, side)
    outputs = OutputFolders(tmp_path / "out", merged=tmp_path / "plain", peft=tmp_path / "peft")
    export_run(study.record, study.run, outputs, peft=FORM)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["task"]["truncation"] == side
    model = load_saved(tmp_path / "out", "cpu")
    own = encode_texts([(LONG,)], model._pack.backbone.tokenizer, 16, side)
    assert model.predict([LONG]) == model.predict([" ".join(START if side == "right" else END)])
    for folder in (tmp_path / "plain", tmp_path / "peft"):
        assert json.loads((folder / "tokenizer_config.json").read_text())["truncation_side"] == side
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert tokenizer(LONG, truncation=True)["input_ids"] == own.input_ids[0].tolist()
    assert words(tmp_path / "plain", own.input_ids[0].tolist()) == (START if side == "right" else END)


def test_a_cut_middle_is_used_here_and_refused_elsewhere(trained: Trained, tmp_path: Path) -> None:
    study = with_side(trained, "head_tail")
    for option, outputs, form in (
        ("--merged", OutputFolders(tmp_path / "out", merged=tmp_path / "plain"), None),
        ("--peft", OutputFolders(tmp_path / "out", peft=tmp_path / "peft"), FORM),
    ):
        with pytest.raises(SavedModelError, match=f"{option} cannot hold lora: no tokenizer cuts the middle of a text"):
            export_run(study.record, study.run, outputs, peft=form)
    assert list(tmp_path.iterdir()) == []
    export_run(study.record, study.run, OutputFolders(tmp_path / "out"))
    model = load_saved(tmp_path / "out", "cpu")
    assert model.predict([LONG]) == model.predict([" ".join(START[:7] + END[-7:])])
    assert "loses its middle" in (tmp_path / "out" / "README.md").read_text()


def test_a_model_without_a_stored_side_goes_on_as_it_was_trained(trained: Trained, tmp_path: Path) -> None:
    study = with_side(trained, None)
    outputs = OutputFolders(tmp_path / "out", merged=tmp_path / "plain")
    export_run(study.record, study.run, outputs)
    assert "truncation" not in json.loads((tmp_path / "out" / "config.json").read_text())["task"]
    model = load_saved(tmp_path / "out", "cpu")
    tokenizer = model._pack.backbone.tokenizer
    assert model.predict([LONG]) == model.predict([" ".join(START)])
    tokenizer.truncation_side = "left"
    assert model.predict([LONG]) == model.predict([" ".join(MIDDLE)])
    assert plain_tokenizer(tokenizer, model.saved.task).init_kwargs["truncation_side"] == "left"
