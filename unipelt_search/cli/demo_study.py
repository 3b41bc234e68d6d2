"""The study that `unipelt-search demo` runs; `studies/demo/study.yaml` says the same in YAML."""

from __future__ import annotations

from unipelt_search.specs.study import BackboneSpec, BudgetSpec, SpaceSpec, StudySpec, TaskSpec

DEMO = StudySpec(
    name="demo",
    task=TaskSpec(data="demo", text=("sentence",), label=("package",)),
    backbone=BackboneSpec(model="minilm"),
    space=SpaceSpec(steps=75, batch_size=8, evaluations=3, patience=3, tune_rows=200),
    budget=BudgetSpec(trials=14, seeds=3),
)
