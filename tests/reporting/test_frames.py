from __future__ import annotations

import numpy as np
import pytest
from made_record import folded, made_record, made_trial, whole_record, with_probabilities
from made_studies import SIX, multi_label, regression

from unipelt_search.errors import RequestError
from unipelt_search.records.results import GateName, GateValues
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.frames import (
    ablation_frame,
    curves_frame,
    gate_values_frame,
    gates_frame,
    leaderboard_frame,
    outcomes_frame,
    predictions_frame,
)

REPORT = build_report(whole_record())


def test_the_leaderboard_is_a_row_per_method() -> None:
    frame = leaderboard_frame(REPORT)
    assert frame["method"].iloc[0] == "lora"
    assert frame.set_index("method").loc["lora", "config.lora.rank"] == 8
    assert frame["validation"].is_monotonic_decreasing or frame["method"].iloc[-1] == "prefix"


@pytest.mark.parametrize(("by", "rows"), [("layer", 24), ("label", 72), ("epoch", 72)])
def test_gates_by_layer_label_and_epoch(by: str, rows: int) -> None:
    assert len(gates_frame(REPORT, by=by)) == rows  # type: ignore[arg-type]
    assert len(gates_frame(REPORT, by=by, trial=5)) == rows  # type: ignore[arg-type]


def test_a_trial_without_gates_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="got 2, there are: 5"):
        gates_frame(REPORT, trial=2)


def test_without_confirmed_runs_the_last_tune_rows_stand_in() -> None:
    frame = gates_frame(build_report(made_record(made_trial(0, "unipelt_apl", 0.8))))
    # A search run of the fixture has select rows too; a real one has tune rows only.
    assert len(frame) == 24
    assert gates_frame(build_report(made_record(made_trial(0, "head", 0.8)))).empty


def test_outcomes_curves_and_ablation_have_a_row_each() -> None:
    outcomes = outcomes_frame(REPORT)
    assert len(outcomes) == 6 * 2 * 3  # confirmed methods, splits, labels
    lora = outcomes.set_index(["method", "split", "label"]).loc[("lora", "test", "human")]
    assert (lora["runs"], lora["support"]) == (3, 90)
    assert 0 < lora["f1"] <= 1
    assert len(curves_frame(REPORT)) == len(REPORT.curves)
    assert set(ablation_frame(REPORT)["submodule"]) == {"bitfit", "lora", "adapter", "prefix"}
    nothing = build_report(made_record())
    assert all(frame(nothing).empty for frame in (outcomes_frame, curves_frame, ablation_frame))
    assert "precision" in outcomes_frame(nothing).columns


def test_answers_carry_names_and_every_row_of_every_confirmed_run() -> None:
    frame = predictions_frame(whole_record(SIX))
    columns = ["method", "variant", "trial", "run", "split", "row", "file", "line", "label", "predicted"]
    assert list(frame) == columns + [f"probability.{name}" for name in SIX]
    # An older version kept neither probabilities nor origins.
    assert frame[["file", "line", *frame.columns[10:]]].isna().all(axis=None)
    assert len(frame) == 6 * 3 * (200 + 500)  # six confirmed methods, three seeds
    lora = frame[(frame["method"] == "lora") & (frame["run"] == 1) & (frame["split"] == "select")]
    assert (lora["label"] == lora["predicted"]).mean() == pytest.approx(0.87)
    assert set(lora["label"]) == set(SIX)
    assert list(lora["row"]) == list(range(200))


def test_answers_of_other_kinds_are_numbers_and_tuples_of_names() -> None:
    assert predictions_frame(regression())["label"].dtype == float
    assert predictions_frame(multi_label())["predicted"].iloc[0] in {(name,) for name in SIX}
    empty = predictions_frame(made_record(made_trial(0, "lora", 0.5)))
    assert list(empty) == list(predictions_frame(whole_record()))
    assert empty.empty


def test_predictions_lead_back_to_the_users_files_and_have_every_probability() -> None:
    record = with_probabilities(whole_record(SIX))
    frame = predictions_frame(record)
    lora = frame[(frame["method"] == "lora") & (frame["run"] == 2) & (frame["split"] == "test")]
    assert lora[["row", "file", "line"]].head(3).values.tolist() == [
        [0, "test.csv", 2],
        [1, "more.parquet", 3],
        [2, "test.csv", 4],
    ]
    shares = lora[[f"probability.{name}" for name in SIX]]
    assert (shares.dtypes == np.float32).all()
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-6)
    assert (shares.idxmax(axis=1) == "probability." + lora["predicted"]).all()
    # Those of one method may be missing, as where they would take too much.
    trials = (*record.trials[:2], whole_record(SIX).trials[2], *record.trials[3:])
    some = predictions_frame(record.model_copy(update={"trials": trials}))
    assert some.groupby("method")["probability.human"].count()[["bitfit", "lora"]].tolist() == [3 * 700, 0]
    assert list(some.columns) == list(frame.columns)


def test_the_rows_of_a_fold_lead_back_by_their_own_numbers() -> None:
    frame = predictions_frame(folded(with_probabilities(whole_record(SIX))))
    select = frame[frame["split"] == "select"]
    assert (select["line"] == select["row"] + 2).all()
    assert ((select["file"] == "select.csv") == (select["row"] % 2 == 0)).all()
    complete = predictions_frame(with_probabilities(whole_record(SIX)))
    key = ["method", "row", "probability.human"]
    first = select[(select["run"] <= 5)].sort_values(key)[key].to_numpy()
    by_row = complete[(complete["run"] == 1) & (complete["split"] == "select")].sort_values(key)[key].to_numpy()
    assert (first == by_row).all()


def test_answers_of_folds_say_which_rows_they_are() -> None:
    frame = predictions_frame(folded(whole_record(SIX)))
    lora = frame[(frame["method"] == "lora") & (frame["split"] == "select")]
    assert sorted(lora["run"].unique()) == list(range(1, 16))
    first = lora[lora["run"] <= 5]
    assert sorted(first["row"]) == list(range(200))
    complete = predictions_frame(whole_record(SIX)).query("method == 'lora' and run == 1 and split == 'select'")
    assert first.sort_values("row")["predicted"].tolist() == complete["predicted"].tolist()


def test_kept_gates_have_a_row_for_each_run_gate_and_example() -> None:
    record = made_record(made_trial(0, "unipelt_apl", 0.8, {1: 0.8, 2: 0.7}), made_trial(1, "head", 0.5, {1: 0.5}))
    assert gate_values_frame(record).empty
    names = (GateName(stack="encoder", layer=0, gate="prefix"), GateName(stack="encoder", layer=1, gate="adapter"))
    kept = GateValues(gates=names, rows=(0, 3, 4), values=np.linspace(0, 1, 6).astype("<f2").tobytes())
    runs = []
    for run in record.trials[0].runs:
        if run.phase == "confirm" and run.result is not None:
            run = run.model_copy(update={"result": run.result.model_copy(update={"gate_values": kept})})
        runs.append(run)
    trial = record.trials[0].model_copy(update={"runs": tuple(runs)})
    frame = gate_values_frame(record.model_copy(update={"trials": (trial, record.trials[1])}))
    assert len(frame) == 2 * 2 * 3
    own = frame[(frame["run"] == 2) & (frame["gate"] == "adapter")]
    assert own["row"].tolist() == [0, 3, 4]
    assert own["value"].tolist() == pytest.approx([0.6, 0.8, 1.0], abs=2**-11)
    assert set(own["layer"]) == {1}
