from __future__ import annotations

from typing import Any

import pytest

from unipelt_search.cli.study_request import build_spec, fresh_name
from unipelt_search.errors import RequestError

QUESTION: dict[str, Any] = {
    "name": "q",
    "task": {"data": "d.csv", "text": ["t"], "label": "l"},
    "backbone": {"model": "m"},
}
KEY = ("task", "allow_overlap")


def test_every_value_reaches_its_field() -> None:
    spec = build_spec(
        {},
        {
            ("name",): "n", ("task", "data"): "d.csv", ("task", "text"): ["a", "b"], ("task", "label"): "l",
            ("backbone", "model"): "m", ("space", "methods"): ["lora", "head"], ("budget", "time_seconds"): 120.0,
            ("seed",): 7, ("machine", "gpus_per_trial"): 0.0,
        },
    )  # fmt: skip
    assert spec.model_dump(exclude_defaults=True) == {
        "name": "n",
        "task": {"data": "d.csv", "text": ("a", "b"), "label": "l"},
        "backbone": {"model": "m"},
        "space": {"methods": ("lora", "head")},
        "budget": {"time_seconds": 120.0},
        "seed": 7,
        "machine": {"gpus_per_trial": 0.0},
    }


def test_options_override_a_study_file_and_leave_the_rest() -> None:
    values = {**QUESTION, "budget": {"trials": 7, "seeds": 2}}
    spec = build_spec(values, {("budget", "trials"): 9, ("task", "label"): "other"})
    assert (spec.budget.trials, spec.budget.seeds) == (9, 2)
    assert (spec.task.label, spec.task.text) == (("other",), ("t",))
    assert values["budget"] == {"trials": 7, "seeds": 2}


@pytest.mark.parametrize(("given", "allowed"), [({}, True), ({KEY: True}, True), ({KEY: False}, False)])
def test_a_switch_of_the_file_can_be_switched_off(given: dict[tuple[str, ...], bool], allowed: bool) -> None:
    values = {**QUESTION, "task": {**QUESTION["task"], "allow_overlap": True}}
    assert build_spec(values, given).task.allow_overlap is allowed


def test_everything_missing_is_named_at_once() -> None:
    with pytest.raises(RequestError) as caught:
        build_spec({"name": "n"}, {("task", "data"): "d.csv"})
    assert "--text, --label, --model" in str(caught.value)
    assert "--data" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"budget": {"trials": 0}}, "--trials: "),
        ({"budget": {"trails": 3}}, "Did you mean 'trials'?"),
        ({"colour": 1}, "colour: "),
        ({"task": {"data": "d", "text": "t", "label": "l"}}, "--text: "),
        ({"name": "no spaces"}, "--name: "),
        ({"machine": {"device": "tpu"}}, "--device: "),
        ({"space": {"methods": ["lorra"]}}, "Did you mean 'lora'?"),
        ({"task": 5}, "task: "),
    ],
)  # fmt: skip
def test_a_fault_is_one_sentence_that_names_the_option(values: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        build_spec({**QUESTION, **values}, {})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_faults_stay_within_four_lines() -> None:
    faulty = {**QUESTION, "budget": {"trials": 0, "seeds": 0, "time_seconds": -1}, "seed": -1, "x": 1}
    with pytest.raises(RequestError) as caught:
        build_spec(faulty, {})
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert "2" in lines[-1]


def test_an_option_does_not_hide_a_section_that_is_no_mapping() -> None:
    with pytest.raises(RequestError, match="^budget: "):
        build_spec({**QUESTION, "budget": 5}, {("budget", "trials"): 3})


@pytest.mark.parametrize(
    ("data", "taken", "name"),
    [
        ("reviews.csv", [], "reviews-1"),
        ("/a/b/reviews.csv", ["reviews-1", "reviews-2", "reviews-4"], "reviews-3"),
        ("org/my data", [], "my-data-1"),
        ("///", [], "study-1"),
        ("x" * 100, [], "x" * 48 + "-1"),
    ],
)
def test_a_new_name_is_made_from_the_data(data: str, taken: list[str], name: str) -> None:
    assert fresh_name(data, taken) == name
