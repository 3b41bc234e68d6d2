from __future__ import annotations

import io

from made_record import by_brier, folded, whole_record
from rich.console import Console

from unipelt_search.records.report import Difference, Interval, ParetoFront, ReportedTask, UpperBound
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.markdown import render_markdown
from unipelt_search.reporting.page import render_html
from unipelt_search.reporting.terminal import render_terminal


def test_numbers_as_people_read_them() -> None:
    assert formats.interval(Interval(mean=0.8125, sd=0.01, low=0.80, high=0.825)) == "0.812 ± 0.012"
    assert formats.interval(Interval(mean=0.5, sd=None, low=None, high=None)) == "0.500"
    assert formats.interval(None) == formats.score(None) == formats.count(None) == formats.number(None) == "–"
    assert formats.difference(Difference(mean=-0.01, low=-0.03, high=0.01)) == "−0.010 ± 0.020"
    assert formats.difference(Difference(mean=0.01, low=None, high=None)) == "+0.010"
    assert formats.signed(-0.0004) == formats.signed(0.0004) == "0.000"
    assert formats.count(1234567) == "1,234,567"
    assert [formats.short_count(n) for n in (0, 950, 2310, 76_038, 999_900, 22_567_686, 10**9)] == [
        "0", "950", "2.31k", "76k", "1M", "22.6M", "1G",
    ]  # fmt: skip


def test_scores_below_zero_have_a_real_minus_and_zero_has_no_sign() -> None:
    assert (formats.score(-0.2134), formats.score(-0.0004), formats.score(0.0)) == ("−0.213", "0.000", "0.000")
    below = Interval(mean=-0.2, sd=0.1, low=-0.35, high=-0.05)
    assert (formats.interval(below), formats.span(below)) == ("−0.200 ± 0.150", "−0.350 to −0.050")
    assert formats.span(Interval(mean=1, sd=None, low=None, high=None)) == ""
    assert (formats.tick(-0.25), formats.tick(10.0), formats.share(0.456), formats.share(None)) == (
        "−0.25",
        "10",
        "46 %",
        "–",
    )


def test_sentences_about_the_task_and_the_bar() -> None:
    facts = {"name": "x", "rows": {}, "metric": "r2", "direction": "maximize", "fingerprint": ""}
    assert formats.task_kind(ReportedTask(kind="pair_regression", labels=(), **facts)) == "pair regression"
    assert formats.task_kind(ReportedTask(kind="multi_label", labels=("a", "b"), **facts)) == "multi-label, 2 labels"
    alone = UpperBound(of=("lora",), method="lora", validation=0.5, test=-0.1)
    task = ReportedTask(kind="classification", labels=("a", "b"), **facts)
    assert formats.upper_bound(alone, task).endswith("rows: lora. It scores 0.500 there and −0.100 on the test rows.")
    assert "lora (of lora, prefix)" in formats.upper_bound(alone.model_copy(update={"of": ("lora", "prefix")}), task)
    folded = task.model_copy(update={"folds": 5})
    assert "chosen on the 5 folds of train and validation: lora. It" in formats.upper_bound(alone, folded)


def test_the_pareto_fronts_are_a_sentence() -> None:
    fronts = ParetoFront(stored_parameters=("head", "lora"), predict_ms_per_example=("lora",))
    assert formats.pareto(fronts) == (
        "No other method is better at the same cost, the cheapest first: head, lora by stored parameters; lora by time."
    )


def test_every_form_of_a_report_names_the_folds_and_no_select_rows() -> None:
    report = build_report(folded(whole_record()))
    out = Console(file=io.StringIO(), width=200)
    render_terminal(report, out)
    for text in (render_html(report), render_markdown(report), out.file.getvalue()):  # type: ignore[attr-defined]
        assert "5 folds of train and validation, repeated 3 times" in text
        assert "on the 5 folds of train and validation" in text
        assert "used to choose the hyperparameters" in text
        assert "select rows" not in text
    assert "select rows" in render_markdown(build_report(whole_record()))


def test_a_loss_lowers_a_score_and_raises_an_error() -> None:
    report = build_report(whole_record())
    row = next(row for row in report.ablation if row.drop > 0)
    exact = row.model_copy(update={"drop": 0.05, "error": None})
    assert formats.score_change(exact, report.task) == "−0.050"
    errors = report.task.model_copy(update={"direction": "minimize"})
    assert formats.score_change(exact, errors) == "+0.050"
    assert formats.score_change(row.model_copy(update={"drop": 0.05, "error": 0.01}), errors) == "+0.050 ± 0.020"


def test_every_report_says_that_lower_is_better() -> None:
    report = build_report(whole_record())
    errors = build_report(by_brier(whole_record()))
    for given, said in ((report, False), (errors, True)):
        console = Console(file=io.StringIO(), width=120)
        render_terminal(given, console)
        terminal = console.file.getvalue()  # type: ignore[attr-defined]
        assert ("Lower Brier score is better" in terminal) == said
        assert ("lower is better" in render_markdown(given)) == said
        page = render_html(given)
        assert ("lower is better" in page) == said
        assert ("Down and to the left" in page) == said
