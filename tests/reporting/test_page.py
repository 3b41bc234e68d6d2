from __future__ import annotations

import re
from html.parser import HTMLParser

from made_record import made_record, made_trial, whole_record

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


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    page = render_html(build_report(whole_record()))
    checker = parsed(page)
    assert not [tag for tag, _ in checker.seen if tag in {"script", "link", "img", "iframe", "object"}]
    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["']?(?:https?:)?//""", page)
    assert "default-src 'none'" in page
    assert len(page) < 300_000


def test_the_verdict_is_the_heading_and_every_part_is_there() -> None:
    page = render_html(build_report(whole_record()))
    heading = re.search(r"<h1>(.*?)</h1>", page)
    assert heading is not None
    assert heading[1].startswith("lora is best on the select rows")
    parts = (
        "Leaderboard", "Score against size", "Gates", "Mean gate by true label", "Without a submodule",
        "Layer by layer", "What to know", "Settings", "unipelt-search run --data questions", "lora_value",
    )  # fmt: skip
    for part in parts:
        assert part in page
    assert page.count('title="adapter, layer') == 12  # six layers, mean and contribution


def test_a_users_strings_are_escaped_everywhere() -> None:
    labels = (HOSTILE, "b")
    record = made_record(
        made_trial(0, "unipelt_apl", 0.8, {1: 0.8, 2: 0.7}, labels), made_trial(1, "head", 0.5, {1: 0.5, 2: 0.4}),
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
