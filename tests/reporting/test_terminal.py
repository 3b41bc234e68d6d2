from __future__ import annotations

import io

import pytest
from made_record import made_record, made_trial, whole_record
from made_studies import studies
from rich.console import Console

from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.frames import chosen_gates
from unipelt_search.reporting.terminal import render_gates, render_terminal

REPORT = build_report(whole_record())


def console(width: int = 120) -> Console:
    return Console(file=io.StringIO(), width=width)


def text_of(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_verdict_comes_first_then_every_method() -> None:
    out = console()
    render_terminal(REPORT, out)
    text = text_of(out)
    assert text.strip().startswith("lora is best; two methods tie with it.")
    visible = (
        "lora best",
        "adapter tie",
        "majority",
        "0.750 (tune)",
        "Gates of unipelt_apl, trial 5",
        "A second notice.",
    )
    for method in visible:
        assert method in text
    assert "accuracy without a submodule" in text


def test_names_and_notices_with_markup_stay_as_they_are() -> None:
    out = console()
    render_terminal(build_report(made_record(made_trial(0, "head", 0.5), notices=("[red]x[/red] [link",))), out)
    assert "[red]x[/red] [link" in text_of(out)


def test_gates_by_label_and_the_empty_table() -> None:
    out = console()
    render_gates(chosen_gates(REPORT, by="label"), out)
    assert "location" in text_of(out)
    out = console()
    render_gates(chosen_gates(REPORT, by="epoch"), out)
    assert "1.5" in text_of(out)
    out = console()
    render_gates(chosen_gates(build_report(made_record())), out)
    assert "No gate statistics" in text_of(out)


@pytest.mark.parametrize("name", studies())
def test_every_study_fits_into_80_columns_and_nothing_is_cut(name: str) -> None:
    out = console(80)
    report = build_report(studies()[name])
    render_terminal(report, out)
    text = text_of(out)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "majority" in text
    assert ("The bar for UniPELT" in text) == (report.upper_bound.of is not None)
