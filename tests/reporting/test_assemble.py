from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest
from editions import NEWEST
from made_record import made_record, made_trial, whole_record
from rich.console import Console

from unipelt_search.records.history import RunState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import AblationRow
from unipelt_search.reporting.assemble import build_report, render_json
from unipelt_search.reporting.markdown import render_markdown
from unipelt_search.reporting.page import render_html
from unipelt_search.reporting.terminal import render_terminal

INTERVAL = {"mean", "sd", "low", "high"}
KEYS: dict[str, set[str]] = {
    "": {"schema", "study", "task", "verdict", "leaderboard", "upper_bound", "gates", "ablation", "curves", "dropped",
         "notices", "trials", "cost"},
    "study": {"name", "status", "phase", "backbone", "created", "software", "command"},
    "task": {"name", "kind", "labels", "rows", "metric", "direction", "fingerprint"},
    "verdict": {"method", "trial", "ties", "cheapest_tie", "sentence", "decided_on"},
    "leaderboard": {"method", "trial", "phase", "runs", "config", "validation", "test", "difference_to_best",
                    "trained_parameters", "stored_parameters", "train_seconds", "predict_ms_per_example",
                    "peak_memory_mb"},
    "upper_bound": {"of", "validation", "test"},
    "gates": {"trial", "method", "runs", "epoch", "stack", "layer", "gate", "split", "label", "n", "mean", "sd", "q05",
              "q25", "q50", "q75", "q95", "share_active", "contribution", "initial_mean"},
    "ablation": {"trial", "method", "submodule", "layer", "value", "drop"},
    "curves": {"trial", "run", "epoch", "train_loss", "validation"},
    "trials": {"complete", "stopped", "failed"},
    "cost": {"wall_seconds", "train_seconds", "examples_trained"},
}  # fmt: skip


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    return json.loads(render_json(build_report(whole_record())), parse_constant=refuse)


@pytest.mark.parametrize("section", KEYS)
def test_every_key_of_the_contract_is_there(report: dict[str, Any], section: str) -> None:
    part = report[section] if section else report
    for entry in part if isinstance(part, list) else [part]:
        assert KEYS[section] <= set(entry)
    assert report["schema"] == 1


def test_the_leaderboard_has_every_method_in_order(report: dict[str, Any]) -> None:
    rows = report["leaderboard"]
    names = [row["method"] for row in rows]
    assert names == ["lora", "adapter", "unipelt_apl", "fine_tuning", "bitfit", "head", "majority", "prefix"]
    by_name = dict(zip(names, rows, strict=True))
    assert by_name["lora"]["validation"] == pytest.approx(
        {"mean": 0.88, "sd": 0.01, "low": 0.8370, "high": 0.9230}, abs=1e-4
    )
    assert by_name["lora"]["test"]["mean"] == pytest.approx(0.90)
    assert by_name["lora"]["difference_to_best"]["mean"] == 0
    assert by_name["adapter"]["difference_to_best"]["low"] < 0 < by_name["adapter"]["difference_to_best"]["high"]
    assert by_name["lora"]["config"]["head_parameters"] == 2310
    assert by_name["lora"]["config"]["lora.rank"] == 8
    assert (by_name["lora"]["runs"], by_name["lora"]["phase"]) == (3, "confirm")
    majority, prefix = by_name["majority"], by_name["prefix"]
    assert (majority["trial"], majority["validation"]["mean"], majority["test"]["mean"]) == (None, 0.25, 0.2)
    assert (prefix["phase"], prefix["test"], prefix["difference_to_best"]) == ("screen", None, None)
    assert prefix["validation"] == {"mean": 0.75, "sd": None, "low": None, "high": None}
    assert set(prefix["validation"]) == INTERVAL


def test_the_upper_bound_is_the_best_confirmed_single_method(report: dict[str, Any]) -> None:
    bound = report["upper_bound"]
    assert (sorted(bound["of"]), bound["method"]) == (["adapter", "bitfit", "lora"], "lora")
    assert (bound["validation"], bound["test"]) == pytest.approx((0.88, 0.90))


def test_gates_ablation_curves_and_costs_are_of_the_right_runs(report: dict[str, Any]) -> None:
    final = [row for row in report["gates"] if row["split"] == "select" and row["label"] is None]
    assert len(final) == 6 * 4
    assert {row["runs"] for row in final} == {3}
    assert {row["n"] for row in final} == {300}
    assert {row["method"] for row in report["ablation"]} == {"bitfit", "lora", "adapter", "unipelt_apl"}
    assert len(report["curves"]) == 3 * (7 + 6 * 3)
    assert report["cost"]["examples_trained"] == 480 * 25
    assert report["trials"] == {"complete": 7, "stopped": 0, "failed": 0}
    assert report["notices"][:2] == ["The validation split was halved.", "A second notice."]
    assert report["notice_codes"] == ["legacy", "legacy", "feed_forward_adapter"]


def test_a_report_says_which_adapter_its_figures_are_of(report: dict[str, Any]) -> None:
    reads = {row["method"]: row["adapter_input"] for row in report["leaderboard"]}
    assert (reads["adapter"], reads["unipelt_apl"], reads["lora"], reads["majority"]) == (
        "feed_forward", "feed_forward", None, None,
    )  # fmt: skip
    assert "adapter of adapter, unipelt_apl reads the feed-forward network's output" in report["notices"][2]
    assert report["study"]["edition"] == 1
    newest = build_report(made_record(made_trial(0, "adapter", 0.8, basis=NEWEST), edition=NEWEST.edition))
    assert newest.notice_codes == ("legacy", "legacy")
    assert newest.leaderboard[-1].adapter_input == "normalised"
    assert newest.leaderboard[-1].config["adapter.input"] == "normalised"
    # Where the study has said already why there can be no other one, it is not said twice.
    record = made_record(made_trial(0, "adapter", 0.8))
    unread = record.model_copy(update={"task": record.task.model_copy(update={"block_output": False})})
    assert build_report(unread).notice_codes == ("legacy", "legacy")


def test_a_report_leaves_out_the_facts_that_the_plan_has() -> None:
    record = made_record(made_trial(0, "lora", 0.8))
    fact = Notice(code="legacy", severity="fact", values={"sentence": "Read 9 rows."})
    task = record.task.model_copy(update={"notices": (fact, *record.task.notices)})
    with_fact = build_report(record.model_copy(update={"task": task}))
    assert with_fact.notices == build_report(record).notices


def test_a_study_without_confirmed_runs_reports_what_it_has() -> None:
    report = build_report(made_record(made_trial(0, "unipelt_apl", 0.8), made_trial(1, "head", 0.5)))
    assert report.verdict.method is None
    assert [row.method for row in report.leaderboard] == ["majority", "unipelt_apl", "head"]
    assert report.upper_bound.of is None
    assert all(row.difference_to_best is None for row in report.leaderboard)
    assert {row.runs for row in report.gates} == {1}


def test_a_finalist_without_a_finished_confirm_run_is_not_yet_confirmed() -> None:
    trial = made_trial(0, "lora", 0.8, {1: 0.8})
    started = trial.runs[1].model_copy(update={"result": None, "state": RunState.RUNNING})
    trial = trial.model_copy(update={"runs": (trial.runs[0], started)})
    row = next(row for row in build_report(made_record(trial)).leaderboard if row.method == "lora")
    assert (trial.phase, row.phase, row.runs, row.test) == ("confirm", "screen", 1, None)


def test_an_empty_study_is_a_report_too() -> None:
    report = build_report(made_record())
    assert [row.method for row in report.leaderboard] == ["majority"]
    assert json.loads(render_json(report))["gates"] == []


def test_a_report_is_made_without_training_search_or_database_libraries() -> None:
    modules = ("assemble", "frames", "markdown", "page", "terminal")
    code = "".join(f"import unipelt_search.reporting.{module}\n" for module in modules)
    code += "import sys; print(*{'torch', 'transformers', 'ray', 'sqlalchemy', 'optuna'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.split() == []


def test_a_variant_has_a_row_of_its_own_in_every_form() -> None:
    record = made_record(
        made_trial(0, "lora", 0.8, {1: 0.7, 2: 0.72}),
        made_trial(1, "lora", 0.9, {1: 0.8, 2: 0.83}, variant="mine"),
        made_trial(2, "head", 0.5, {1: 0.5, 2: 0.51}),
    )
    report = build_report(record)
    assert [(row.name, row.method, row.variant) for row in report.leaderboard] == [
        ("mine", "lora", "mine"), ("lora", "lora", None), ("head", "head", None), ("majority", "majority", None),
    ]  # fmt: skip
    assert report.upper_bound.of == ("mine", "lora")
    out = Console(file=io.StringIO(), width=120)
    render_terminal(report, out)
    assert "mine best" in out.file.getvalue()
    assert "| mine (best) | 0." in render_markdown(report)
    assert render_html(report).count(">mine<") >= 1


def test_numbers_of_runs_stand_on_one_line() -> None:
    labels = ("[\n1,\n2]", '"per_run": {', "c")
    report = build_report(whole_record(labels))
    text = render_json(report)
    assert json.loads(text) == json.loads(report.model_dump_json(by_alias=True))
    assert '"per_run":{"run":[1,2,3],"mean":[' in text


def test_a_drop_that_was_not_seen_says_how_small_a_one_could_have_been() -> None:
    trial = made_trial(0, "unipelt_apl", 0.8, {1: 0.8, 2: 0.8})
    rows = (
        AblationRow(submodule="lora", layer=None, value=0.8, drop=0.0, error=0.03),
        AblationRow(submodule="prefix", layer=None, value=0.8, drop=0.0, error=0.001),
        AblationRow(submodule="adapter", layer=None, value=0.6, drop=0.2, error=0.03),
    )
    run = trial.runs[1]
    assert run.result is not None
    run = run.model_copy(update={"result": run.result.model_copy(update={"ablation": rows})})
    trial = trial.model_copy(update={"runs": (trial.runs[0], run, trial.runs[2])})
    task = made_record().task
    many = task.model_copy(update={"rows": {**task.rows, "select": 500}})
    lora, prefix, adapter = build_report(made_record(trial, task=many)).ablation
    assert (lora.role, lora.detectable, lora.margin) == (None, pytest.approx(0.0852, abs=1e-4), None)
    assert (prefix.role, prefix.detectable, prefix.margin) == ("idle", None, 0.01)
    assert (adapter.role, adapter.detectable) == ("helps", None)
