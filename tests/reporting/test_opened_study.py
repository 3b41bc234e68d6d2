from __future__ import annotations

import pytest
from made_record import made_record, whole_record

from unipelt_search.reporting.opened_study import Study


def test_every_table_has_the_reports_rows() -> None:
    study = Study(whole_record())
    report = study.report
    assert len(study.leaderboard) == len(report.leaderboard)
    assert study.leaderboard["method"][0] == "lora"
    assert set(study.gates["method"]) == {"unipelt_apl"}
    assert study.curves.to_dict("records") == [row.model_dump() for row in report.curves]
    complete = study.ablation[study.ablation["layer"].isna()]
    assert (
        dict(zip(complete["method"] + " " + complete["submodule"], complete["drop"], strict=True))["lora lora"] == 0.1
    )
    assert len(study.ablation) == len(report.ablation)
    assert not study.interrupted


def test_tables_of_a_study_without_results_are_empty_and_have_columns() -> None:
    study = Study(made_record())
    assert list(study.curves.columns) == ["trial", "run", "epoch", "train_loss", "validation"]
    assert "drop" in study.ablation
    assert len(study.curves) == len(study.ablation) == 0
    assert "No verdict yet" in repr(study)


def test_a_notebook_shows_verdict_and_leaderboard() -> None:
    visible = Study(whole_record())._repr_html_()
    assert "lora is best; two methods tie with it." in visible
    assert visible.count("<tr") == 1 + len(Study(whole_record()).leaderboard)
    assert "<b>questions</b>" in visible
    assert "unipelt_apl</td>" in visible
    assert "NaN" not in visible


def test_the_old_name_of_predictions_warns() -> None:
    study = Study(whole_record())
    with pytest.warns(DeprecationWarning, match="predictions"):
        old = study.answers
    assert old.equals(study.predictions)
