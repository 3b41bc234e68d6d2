"""The shipped suite finds its rows: on a hub that publishes GLUE as the real one does, and in local copies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import datasets
import pytest
from huggingface_hub import HfApi

from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.suite import load_suite
from unipelt_search.tasks import hub_data
from unipelt_search.tasks.load import load_task
from unipelt_search.tasks.task import Task

DATA = Path(os.environ.get("UNIPELT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
SUITE = load_suite(Path(__file__).parents[2] / "studies" / "glue_low_resource" / "suite.yaml")
NLI = ("entailment", "neutral", "contradiction")
PUBLISHED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cola": (("sentence",), ("unacceptable", "acceptable")),
    "sst2": (("sentence",), ("negative", "positive")),
    "mrpc": (("sentence1", "sentence2"), ("not_equivalent", "equivalent")),
    "qqp": (("question1", "question2"), ("not_duplicate", "duplicate")),
    "stsb": (("sentence1", "sentence2"), ()),
    "mnli": (("premise", "hypothesis"), NLI),
    "qnli": (("question", "sentence"), ("entailment", "not_entailment")),
    "rte": (("sentence1", "sentence2"), ("entailment", "not_entailment")),
}
"""The columns and labels of nyu-mll/glue on the hub, as its data set card has them."""


def published(name: str) -> datasets.DatasetDict:
    """Make a task as the hub has it: MNLI with two development sets, test labels withheld except for MRPC's."""
    columns, labels = PUBLISHED[name]
    label = datasets.ClassLabel(names=list(labels)) if labels else datasets.Value("float32")
    features = datasets.Features({**dict.fromkeys(columns, datasets.Value("string")), "label": label})

    def split(split_name: str, rows: int) -> datasets.Dataset:
        values: list[Any] = [number % len(labels) if labels else number % 26 / 5 for number in range(rows)]
        if split_name.startswith("test") and name != "mrpc":
            values = [-1] * rows
        texts = {column: [f"{column} {split_name} {number}" for number in range(rows)] for column in columns}
        return datasets.Dataset.from_dict({**texts, "label": values}, features=features)

    parts = ("_matched", "_mismatched") if name == "mnli" else ("",)
    sizes = {"train": 1200, **{f"{kind}{part}": 60 for kind in ("validation", "test") for part in parts}}
    return datasets.DatasetDict({split_name: split(split_name, rows) for split_name, rows in sizes.items()})


def loaded(study: StudySpec) -> Task:
    return load_task(study.task, study.seed, repeats=study.budget.seeds)


@pytest.mark.parametrize("study", SUITE.narrowed(sizes=[100]).studies(), ids=lambda study: study.name)
def test_the_hubs_development_split_is_the_test_split(study: StudySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, configuration: str | None) -> datasets.DatasetDict:
        assert name == "nyu-mll/glue" and configuration is not None
        return published(configuration)

    monkeypatch.setattr(HfApi, "dataset_info", lambda *_, **__: None)
    monkeypatch.setattr(hub_data.datasets, "load_dataset", load)
    task = loaded(study)
    assert (len(task.train), len(task.tune), len(task.select), len(task.test)) == (100, 500, 500, 60)
    assert len(task.resamples) == 5
    test_split = "validation_matched" if "mnli" in study.name else "validation"
    assert {texts[0].split()[1] for texts in task.test.texts} == {test_split}
    assert all(text.split()[1] == "train" for split in (task.tune, task.select) for (text, *_) in split.texts)
    assert task.metric == study.task.metric
    if task.metric == "f1":
        assert task.target.positive is not None
        assert task.labels[task.target.positive] == {"mrpc": "equivalent", "qqp": "duplicate"}[study.name.split("-")[1]]


@pytest.mark.skipif(not (DATA / "rte").is_dir(), reason=f"no GLUE in {DATA}; name its folder in UNIPELT_TEST_DATA")
def test_local_copies_are_large_enough_and_their_test_split_is_the_original_development_split() -> None:
    tests = {}
    for study in SUITE.narrowed(sizes=[1000]).studies(DATA):
        task = loaded(study)
        assert (len(task.train), len(task.tune), len(task.select)) == (1000, 500, 500), study.name
        tests[study.name.split("-")[1]] = len(task.test)
        if study.name == "glue-mrpc-1000":  # what GLUE's development set has
            assert task.summary().majority["test"]["f1"] == pytest.approx(0.8122, abs=5e-5)
    assert tests == {
        "sst2": 872, "mrpc": 408, "cola": 1043, "rte": 277, "qnli": 2000, "stsb": 1496, "mnli": 2000, "qqp": 1000,
    }  # fmt: skip
