from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from unipelt_search.errors import RequestError
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec

STUDY = StudySpec(name="a", task=TaskSpec(data="x.csv", text=("t",), label="l"), backbone=BackboneSpec(model="minilm"))


def test_only_the_question_decides_whether_a_study_goes_on() -> None:
    grown = STUDY.model_copy(
        update={"budget": BudgetSpec(trials=99), "machine": MachineSpec(concurrency=4), "name": "b"}
    )
    assert grown.question_hash() == STUDY.question_hash()
    for change in (
        {"seed": 1},
        {"space": SpaceSpec(methods=("lora",))},
        {"task": STUDY.task.model_copy(update={"train_size": 5})},
        {"backbone": BackboneSpec(model="minilm", pooling="cls")},
    ):
        assert STUDY.model_copy(update=change).question_hash() != STUDY.question_hash()


def test_a_local_model_folder_has_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert BackboneSpec(model="model", pooling="cls").absolute() == BackboneSpec(
        model=str(tmp_path / "model"), pooling="cls"
    )
    assert BackboneSpec(model="some/hub-name").absolute() == BackboneSpec(model="some/hub-name")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-rf", "a b", "x" * 65, "é", "a\n"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(ValidationError, match="a study's name must be"):
        StudySpec.model_validate({**STUDY.model_dump(), "name": name})


def test_methods_are_checked_where_they_are_named() -> None:
    with pytest.raises(RequestError, match="Did you mean 'adapter'"):
        SpaceSpec(methods=("adaptor",))


def test_the_side_of_truncation_is_stored_only_where_it_is_stated() -> None:
    assert "truncation" not in STUDY.task.model_dump()
    assert (STUDY.task.truncation, STUDY.task.side) == ("auto", None)
    stated = STUDY.model_copy(update={"task": STUDY.task.model_copy(update={"truncation": "right"})})
    assert StudySpec.model_validate(stated.model_dump()) == stated
    assert stated.task.side == "right"
    assert stated.question_hash() != STUDY.question_hash()


def test_names_of_labels_are_different() -> None:
    asked = {"data": "rows", "text": ("text",), "label": "label"}
    with pytest.raises(ValidationError, match="must name each label once, got 'a', 'b', 'a'"):
        TaskSpec.model_validate({**asked, "label_names": ("a", "b", "a")})
    assert TaskSpec.model_validate({**asked, "label_names": ("a", "b")}).label_names == ("a", "b")


def test_weights_in_the_metric_need_weights() -> None:
    asked = {"data": "rows", "text": ("text",), "label": "label", "weight_metric": True}
    with pytest.raises(ValidationError, match="must go with --weight, got none"):
        TaskSpec.model_validate(asked)
    assert TaskSpec.model_validate({**asked, "weight": "importance"}).weight_metric
