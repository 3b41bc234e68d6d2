from __future__ import annotations

from pathlib import Path

from unipelt_search.cli.demo_study import DEMO
from unipelt_search.methods.catalogue import DEFAULT_METHODS
from unipelt_search.specs.load_study import load_study
from unipelt_search.tasks.demo_corpus import DEMO_SPEC

STUDY_FILE = Path(__file__).parents[2] / "studies" / "demo" / "study.yaml"


def test_the_study_file_asks_what_the_command_asks() -> None:
    assert load_study(STUDY_FILE) == DEMO


def test_the_demo_tries_every_default_method() -> None:
    assert DEMO.task == DEMO_SPEC
    assert DEMO.space.methods == DEFAULT_METHODS
    assert DEMO.budget.trials >= len(DEFAULT_METHODS)
