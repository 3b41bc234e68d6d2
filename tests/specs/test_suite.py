from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made_suite import SUITE, made_suite
from pydantic import ValidationError

from unipelt_search.errors import RequestError
from unipelt_search.specs.suite import SuiteSpec, load_suite

SHIPPED = Path(__file__).parents[2] / "studies" / "glue_low_resource" / "suite.yaml"
PAPER = {
    100: {"fine_tuning": 60.02, "bitfit": 48.64, "adapter": 58.24, "prefix": 47.99, "lora": 49.26,
          "unipelt_ap": 60.80, "unipelt_apl": 62.59},
    500: {"fine_tuning": 68.93, "bitfit": 60.30, "adapter": 68.02, "prefix": 67.32, "lora": 65.86,
          "unipelt_ap": 69.79, "unipelt_apl": 69.98},
    1000: {"fine_tuning": 71.93, "bitfit": 66.51, "adapter": 70.95, "prefix": 71.81, "lora": 72.28,
           "unipelt_ap": 72.61, "unipelt_apl": 73.31},
}  # fmt: skip
"""The averages that Mao et al. (2022) print in Table 1; our file holds the cells alone."""


def test_a_suite_writes_out_its_studies(tmp_path: Path) -> None:
    suite = made_suite()
    studies = {study.name: study for study in suite.studies()}
    assert list(studies) == ["two-films-20", "two-pairs-20", "two-films-100", "two-pairs-100"]
    pairs = studies["two-pairs-100"]
    assert pairs.task.model_dump(exclude_defaults=True) == {
        "data": "o/pairs:all", "text": ("a", "b"), "label": "same", "train_size": 100, "carve": 10, "redraw": True,
    }  # fmt: skip
    assert (pairs.backbone, pairs.space, pairs.budget, pairs.seed) == (suite.backbone, suite.space, suite.budget, 0)
    assert (studies["two-films-20"].task.data, studies["two-films-20"].task.test) == ("o/films", "test")

    (tmp_path / "films-copy").mkdir()
    local = suite.narrowed(["films"]).studies(tmp_path)[0].task
    assert (local.data, local.text, local.test) == (str(tmp_path / "films-copy"), ("text",), "validation")
    assert suite.tasks[0].source_of(local.data).note == "a sample"
    assert suite.tasks[0].source_of("o/films") is suite.tasks[0].hub


def test_a_suite_is_narrowed_in_its_own_order() -> None:
    suite = made_suite()
    assert suite.narrowed() == suite
    smaller = suite.narrowed(["pairs", "films"], [100])
    assert [study.name for study in smaller.studies()] == ["two-films-100", "two-pairs-100"]
    with pytest.raises(RequestError, match="--tasks must name .* got 'film', there are: films, pairs. Did you mean 'f"):
        suite.narrowed(["film"])
    with pytest.raises(RequestError, match="--sizes must name .* got 50, there are: 20, 100"):
        suite.narrowed(sizes=[50])


def test_local_copies_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "films-copy").write_text("no folder")
    with pytest.raises(RequestError, match=r"has none for films \(films-copy\), pairs\. Choose other tasks"):
        made_suite().studies(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a b"}, "a study is called NAME-TASK-SIZE.* got 'a b-films-20'"),
        ({"name": "x" * 60}, "NAME-TASK-SIZE"),
        ({"tasks": SUITE["tasks"] * 2}, "a name of its own; got 'films' 2 times"),
        ({"sizes": (20, 20)}, "different numbers"),
        ({"sizes": (0,)}, "at least 1"),
        ({"sizes": ()}, "at least 1 item"),
        ({"published": {**SUITE["published"], "scores": {30: {}}}}, "must name sizes that there are; got 30"),
        ({"published": {**SUITE["published"], "scores": {20: {"lroa": {}}}}}, "methods that there are; got 'lroa'"),
        ({"published": {**SUITE["published"], "scores": {20: {"lora": {"film": 1}}}}}, "tasks that .* got 'film'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SuiteSpec.model_validate({**SUITE, **changes})


def test_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    values = yaml.safe_load(yaml.safe_dump(made_suite().model_dump(mode="json")))
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert load_suite(path) == made_suite()
    del values["name"]
    values["tasks"][0]["local"]["foldr"] = "x"
    values["space"]["methods"] = ["lorra"]
    values["carv"] = 3
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        load_suite(path)
    title, *lines = str(caught.value).splitlines()
    faults = dict(line.strip().split(": ", 1) for line in lines)
    assert title.endswith("suite.yaml has 4 faults:")
    assert faults["name"] == "must be given, got nothing"
    assert faults["tasks.0.local.foldr"] == "unknown key, known: data, text, test, note."
    assert "Did you mean 'lora'?" in faults["space.methods"]
    assert faults["carv"].endswith("Did you mean 'carve'?")
    path.write_text("- a")
    with pytest.raises(RequestError, match="A suite file must be a mapping with the keys name, backbone, space"):
        load_suite(path)
    path.write_text(yaml.safe_dump({**made_suite().model_dump(mode="json"), "name": "a b"}), encoding="utf-8")
    with pytest.raises(RequestError, match="has 1 fault:\n  a study is called NAME-TASK-SIZE"):
        load_suite(path)


def test_the_shipped_figures_are_those_of_the_paper() -> None:
    """Every average and every upper bound that the paper prints follows from the cells that were copied."""
    suite = load_suite(SHIPPED)
    tasks = [task.name for task in suite.tasks]
    assert len(tasks) == 8
    for size, averages in PAPER.items():
        assert set(averages) == set(suite.space.methods)
        cells = {m: {t: suite.published_score(size, m, t) for t in tasks} for m in suite.space.methods}
        for method, average in averages.items():
            assert sum(cells[method].values()) / 8 == pytest.approx(average, abs=0.02)  # type: ignore[arg-type]
    bounds = {100: (58.86, 60.60), 500: (69.69, 70.02), 1000: (72.58, 73.19)}  # Table 2: max(A, P) and max(A, P, L)
    for size, (two, three) in bounds.items():
        for methods, bound in ((("adapter", "prefix"), two), (("adapter", "prefix", "lora"), three)):
            best = [max(suite.published_score(size, m, t) or 0.0 for m in methods) for t in tasks]
            assert sum(best) / 8 == pytest.approx(bound, abs=0.02)


def test_the_shipped_suite_asks_by_the_papers_protocol() -> None:
    suite = load_suite(SHIPPED)
    for study in suite.studies():
        assert (study.task.carve, study.task.redraw, study.task.test) == (1000, True, "validation")
        assert (study.budget.trials, study.budget.seeds) == (len(study.space.methods), 5)
    assert {task.name: task.metric for task in suite.tasks} == {
        "sst2": "accuracy", "mrpc": "f1", "cola": "matthews", "rte": "accuracy", "qnli": "accuracy",
        "stsb": "spearman", "mnli": "accuracy", "qqp": "f1",
    }  # fmt: skip
