from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

import pytest
from made_record import made_record, made_trial, whole_record
from made_studies import ODD, many, studies

from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.page import render_html

HOSTILE = '<img src=x onerror="alert(1)">'


class Checker(HTMLParser):
    """Collects tags and checks that they close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "br", "line", "circle", "rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    return checker


@pytest.mark.parametrize("name", studies())
def test_the_page_of_every_study_is_whole_and_needs_nothing_from_elsewhere(name: str) -> None:
    page = render_html(build_report(studies()[name]))
    checker = parsed(page)
    assert not [tag for tag, _ in checker.seen if tag in {"script", "img", "iframe", "object", "embed", "form"}]
    references = [
        value for _, attrs in checker.seen for key, value in attrs.items() if key in {"href", "src", "srcset"}
    ]
    assert {str(value).partition(",")[0] for value in references} <= {"data:image/svg+xml", "#notices"}
    assert "url(" not in page
    assert "@import" not in page
    policies = [attrs["content"] for tag, attrs in checker.seen if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not [key for _, attrs in checker.seen for key in attrs if key.startswith("on")]
    assert len(page) < 200_000


def test_the_verdict_is_the_heading_and_every_part_is_there() -> None:
    page = render_html(build_report(whole_record()))
    heading = re.search(r"<h1>(.*?)</h1>", page)
    assert heading is not None
    assert heading[1].startswith("lora is best; two methods tie with it.")
    parts = (
        "Leaderboard", "Score against size", "Score against time", "Labels",
        "F1 by method", "Gates", "Mean gate by true label", "Without a submodule",
        "Layer by layer", "What to know", "Settings", "unipelt-search run --data questions", "lora_value",
    )  # fmt: skip
    for part in parts:
        assert part in page
    assert page.count('title="adapter, layer') == 12  # six layers, mean and contribution


def test_a_users_strings_are_escaped_everywhere() -> None:
    labels = (HOSTILE, "b")
    record = made_record(
        made_trial(0, "unipelt_apl", 0.8, {1: 0.8, 2: 0.7}, labels),
        made_trial(1, "head", 0.5, {1: 0.5, 2: 0.4}, labels),
        notices=(HOSTILE,), command=HOSTILE, software={HOSTILE: HOSTILE},
    )  # fmt: skip
    task = record.task.model_copy(update={"name": HOSTILE, "labels": labels})
    backbone = record.spec.backbone.model_copy(update={"model": HOSTILE})
    record = record.model_copy(update={"task": task, "spec": record.spec.model_copy(update={"backbone": backbone})})
    page = render_html(build_report(record))
    checker = parsed(page)
    assert "img" not in [tag for tag, _ in checker.seen]
    assert not [name for _, attributes in checker.seen for name in attributes if name.startswith("on")]
    assert page.count("&lt;img src=x") >= 5


def test_studies_without_a_verdict_have_a_page_too() -> None:
    assert "No verdict yet" in render_html(build_report(made_record()))
    assert "trial" in render_html(build_report(made_record(made_trial(0, "unipelt_apl", 0.8))))


def test_sections_without_content_are_left_out() -> None:
    parts = {
        "settings": 'id="settings"',
        "labels": 'id="labels"',
        "gates": 'id="gates"',
        "price": 'id="price"',
        "ablation": 'id="ablation"',
    }
    wanted = {
        "six-labels": {"settings", "labels", "gates", "price", "ablation"},
        "regression": {"settings", "gates", "price", "ablation"},
        "one-method": {"settings", "labels"},
        "no-gates": {"settings", "labels", "price"},
        "not-confirmed": {"settings", "gates"},
        "nothing-yet": set(),
        "failed": set(),
    }
    for name, there in wanted.items():
        page = render_html(build_report(studies()[name]))
        assert {part for part, mark in parts.items() if mark in page} == there, name
    assert "stopped in the tune phase" in render_html(build_report(studies()["not-confirmed"]))
    failed = render_html(build_report(studies()["failed"]))
    assert "failed in the screen phase" in failed
    assert "2 failed" in failed
    assert "No method is confirmed yet" in failed


def test_many_labels_are_shown_in_part_and_the_rest_can_be_opened() -> None:
    page = render_html(build_report(whole_record(many(77))))
    assert "<summary>57 more, with a higher F1</summary>" in page
    assert "Confused most often: 20 of" in page
    assert "Where the rows of a label go" not in page
    assert "Where the rows of a label go" in render_html(build_report(whole_record()))


def test_odd_label_names_are_isolated_and_whole_in_a_tooltip() -> None:
    page = render_html(build_report(whole_record(ODD)))
    for label in ODD:
        assert f">{escape(label).replace('&#x27;', '&#39;').replace('&quot;', '&#34;')}</bdi>" in page


def test_scores_below_zero_are_drawn_and_written_with_a_real_minus() -> None:
    page = render_html(build_report(studies()["regression"]))
    assert "−0.213 ± 0.297" in page
    assert "pair regression" in page
    assert "0 labels" not in page
