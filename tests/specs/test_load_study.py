from __future__ import annotations

from pathlib import Path

import pytest

from unipelt_search.errors import RequestError
from unipelt_search.specs.load_study import load_study

GOOD = """
name: toy
task: {data: rows.csv, text: [sentence], label: kind}
backbone: {model: minilm}
budget: {trials: 14}
"""


@pytest.fixture
def write(tmp_path: Path):
    def make(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_a_study_file_is_read(write) -> None:
    spec = load_study(write(GOOD))
    assert (spec.name, spec.budget.trials, spec.budget.seeds) == ("toy", 14, 3)
    assert spec.task.data == "rows.csv"


def test_data_beside_the_file_is_found(write, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("sentence,kind\n", encoding="utf-8")
    assert load_study(write(GOOD)).task.data == str(tmp_path / "rows.csv")


def test_a_folder_named_like_the_embedded_data_does_not_hide_it(write, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    assert load_study(write(GOOD.replace("rows.csv", "demo"))).task.data == "demo"


def test_all_faults_are_told_at_once(write) -> None:
    text = """
    name: -x
    task: {data: rows.csv, text: [sentence], max_length: 2}
    backbone: {model: minilm, poolling: mean}
    space: {methods: [lora, lorra]}
    seed: many
    """
    with pytest.raises(RequestError) as caught:
        load_study(write(text))
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("study.yaml has 6 faults:")
    messages = dict(line.strip().split(": ", 1) for line in lines[1:])
    assert messages["name"].startswith("a study's name must be 1 to 64 letters") and messages["name"].endswith(
        "got '-x'"
    )
    assert messages["task.label"] == "must be given, got nothing"
    assert messages["task.max_length"] == "must be greater than or equal to 4, got 2"
    assert messages["backbone.poolling"] == "unknown key, known: model, pooling. Did you mean 'pooling'?"
    assert "Did you mean 'lora'?" in messages["space.methods"]
    assert messages["seed"].endswith("got 'many'")


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a\n- b\n", "must be a mapping.*holds list"), ("a: [", "must be YAML"), ("", "holds NoneType")],
)
def test_what_is_no_mapping_is_refused(write, text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        load_study(write(text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="must be readable.*No such file"):
        load_study(tmp_path / "nothing.yaml")


def test_faults_of_a_users_configuration_name_their_place(write) -> None:
    space = "space: {configurations: [{name: a, method: lora, lora: {ranks: 4}}, {name: b, method: lora, trainin: {}}]}"
    with pytest.raises(RequestError) as caught:
        load_study(write(GOOD + space))
    messages = dict(line.strip().split(": ", 1) for line in str(caught.value).splitlines()[1:])
    assert messages["space.configurations.0.lora.ranks"].startswith("unknown key, known: rank, alpha, dropout.")
    assert "Did you mean 'training'?" in messages["space.configurations.1.trainin"]
