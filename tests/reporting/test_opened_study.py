from __future__ import annotations

from made_record import made_record, whole_record

from unipelt_search.reporting.opened_study import Study


def test_every_table_has_the_reports_rows() -> None:
    study = Study(whole_record())
    report = study.report
    assert len(study.leaderboard) == len(report.leaderboard)
    assert study.leaderboard["method"][0] == "lora"
    assert set(study.gates["method"]) == {"unipelt_apl"}
    assert study.curves.to_dict("records") == [row.model_dump() for row in report.curves]
    whole = study.ablation[study.ablation["layer"].isna()]
    assert dict(zip(whole["method"] + " " + whole["submodule"], whole["drop"], strict=True))["lora lora"] == 0.1
    assert len(study.ablation) == len(report.ablation)
    assert not study.interrupted


def test_tables_of_a_study_without_results_are_empty_and_have_columns() -> None:
    study = Study(made_record())
    assert list(study.curves.columns) == ["trial", "run", "epoch", "train_loss", "validation"]
    assert "drop" in study.ablation
    assert len(study.curves) == len(study.ablation) == 0
    assert "No verdict yet" in repr(study)


def test_a_notebook_shows_verdict_and_leaderboard() -> None:
    shown = Study(whole_record())._repr_html_()
    assert "lora is best on the select rows" in shown
    assert shown.count("<tr") == 1 + len(Study(whole_record()).leaderboard)
    assert "<b>questions</b>" in shown
    assert "unipelt_apl</td>" in shown
    assert "NaN" not in shown
