from __future__ import annotations

import pytest
from editions import EDITION_1

from unipelt_search.errors import RequestError
from unipelt_search.records.history import RunState
from unipelt_search.records.notice import Notice
from unipelt_search.search import plan
from unipelt_search.search.plan import Clock, Finish, Resume, StartRun, StartTrial, Wait, check_budget, next_step
from unipelt_search.search.space import configured, published
from unipelt_search.specs.variants import PRUNED, Variant

BASE = {"head": 0.5, "lora": 0.7, "unipelt_apl": 0.6}


def score(spec, seed_index):
    return BASE[spec.method] + 0.01 * (spec.training.learning_rate < 1e-3)


def steps_of(decisions, kind):
    return [decision.step for decision in decisions if isinstance(decision.step, kind)]


def test_fewer_trials_than_methods_are_refused(spec) -> None:
    check_budget(spec(trials=3))
    with pytest.raises(RequestError, match=r"--trials must be at least the number of methods.*got 2 for 3 methods"):
        check_budget(spec(trials=2))


def test_screen_goes_in_rounds_over_the_published_settings(fake, all_plausible) -> None:
    study = fake(trials=8)  # 8 // 3 = 2 rounds
    started = steps_of(study.play(score), StartTrial)
    screen = [step for step in started if step.phase == "screen"]
    assert [step.spec.method for step in screen] == ["head", "lora", "unipelt_apl"] * 2
    assert all(step.origin == "published" for step in screen)
    space = study.record.spec.space
    assert screen[1].spec == published("lora", space, 320, EDITION_1)[0]
    assert screen[4].spec == published("lora", space, 320, EDITION_1)[1]
    assert [step.phase for step in started] == ["screen"] * 6 + ["tune"] * 2


def test_screen_has_three_rounds_at_most(fake, all_plausible) -> None:
    study = fake(trials=20)
    phases = [step.phase for step in steps_of(study.play(score), StartTrial)]
    assert phases == ["screen"] * 9 + ["tune"] * 11


def test_tune_takes_turns_beginning_with_the_best_method(fake, all_plausible) -> None:
    study = fake(trials=14)
    tune = [step for step in steps_of(study.play(score), StartTrial) if step.phase == "tune"]
    assert [step.spec.method for step in tune] == ["lora", "unipelt_apl", "head", "lora", "unipelt_apl"]
    assert all(step.origin == "tpe" for step in tune)


def test_tune_leaves_out_implausible_methods_and_says_why(fake, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {"head": Notice(code="less_plausible", values={"gap": 0.2})}
    monkeypatch.setattr(plan, "plausible_methods", lambda record: ({"lora", "unipelt_apl"}, reasons))
    study = fake(trials=12)
    tune = [step.spec.method for step in steps_of(study.play(score), StartTrial) if step.phase == "tune"]
    assert tune == ["lora", "unipelt_apl", "lora"]
    assert [(drop.method, drop.phase, drop.reason) for drop in study.record.dropped] == [
        ("head", "tune", reasons["head"])
    ]


def test_equal_allocation_tunes_every_method_alike_and_leaves_what_does_not_go_round(
    fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "plausible_methods", lambda record: ({"lora"}, {}))
    study = fake(trials=17)
    spec = study.record.spec
    study.change(spec=spec.model_copy(update={"space": spec.space.model_copy(update={"allocation": "equal"})}))
    tune = [step.spec.method for step in steps_of(study.play(score), StartTrial) if step.phase == "tune"]
    assert tune == ["lora", "unipelt_apl", "head"] * 2
    assert study.record.dropped == ()
    assert study.record.notices == (Notice(code="too_few_trials_left", values={"left": 2, "of": 17}),)


def test_a_method_whose_every_trial_failed_is_not_tuned(fake, all_plausible) -> None:
    study = fake(trials=12)
    started = steps_of(study.play(lambda spec, seed: None if spec.method == "head" else score(spec, seed)), StartTrial)
    assert {step.spec.method for step in started if step.phase == "tune"} == {"lora", "unipelt_apl"}
    assert [(drop.method, drop.reason.code) for drop in study.record.dropped] == [("head", "no_trial_succeeded")]


def test_a_dropped_method_stays_dropped(fake, all_plausible, dropped) -> None:
    study = fake(trials=12)
    study.change(dropped=(dropped("lora", "tune"),))
    tune = [step.spec.method for step in steps_of(study.play(score), StartTrial) if step.phase == "tune"]
    assert "lora" not in tune
    assert len(tune) == 3


def test_a_method_that_cannot_attach_is_not_tried(fake, all_plausible, dropped) -> None:
    study = fake(trials=8)
    study.change(dropped=(dropped("head", "screen"),))
    started = steps_of(study.play(score), StartTrial)
    assert {step.spec.method for step in started} == {"lora", "unipelt_apl"}
    assert [step.phase for step in started].count("screen") == 6  # 8 // 2 methods, three rounds at most


def test_confirm_runs_each_finalist_one_seed_at_a_time_best_first(fake, all_plausible) -> None:
    study = fake(trials=9, seeds=2)
    runs = steps_of(study.play(score), StartRun)
    methods = [study.record.trials[run.trial].method for run in runs]
    assert methods == ["lora", "unipelt_apl", "head"] * 2
    assert [run.seed_index for run in runs] == [1, 1, 1, 2, 2, 2]
    best_rates = {study.record.trials[run.trial].spec.training.learning_rate for run in runs[:1]}
    assert best_rates == {5e-4}  # the lora rate below 1e-3 scored best


def test_finalists_tie_by_stored_parameters_then_number(fake) -> None:
    study = fake()
    specs = published("lora", study.record.spec.space, 320, EDITION_1)
    for spec, stored in zip(specs, (300, 200, 200), strict=True):
        study.end(study.add_trial(spec, "screen"), score=0.5, stored=stored)
    assert [trial.number for trial in plan.finalists(study.record)] == [1]


def test_failed_trials_are_no_finalists_and_failed_confirm_runs_are_not_repeated(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=2)

    def with_failures(spec, seed_index):
        return None if spec.method == "head" or seed_index == 1 else score(spec, seed_index)

    decisions = study.play(with_failures)
    runs = steps_of(decisions, StartRun)
    assert [(study.record.trials[run.trial].method, run.seed_index) for run in runs] == [
        ("lora", 1), ("unipelt_apl", 1), ("lora", 2), ("unipelt_apl", 2),
    ]  # fmt: skip
    assert decisions[-1].step == Finish()


def test_a_study_without_any_usable_trial_ends(fake) -> None:
    study = fake(trials=9)
    decisions = study.play(lambda spec, seed_index: None)
    assert {step.phase for step in steps_of(decisions, StartTrial)} == {"screen"}
    assert decisions[-1].step == Finish()


def test_phases_do_not_overlap(fake, all_plausible) -> None:
    study = fake(trials=4, seeds=1)
    clock = Clock(workers=8)
    for _ in range(3):
        study.apply(next_step(study.record, clock))
    assert isinstance(next_step(study.record, clock).step, Wait)
    for number in range(3):
        study.end(number)
    assert next_step(study.record, clock).phase == "tune"
    study.apply(next_step(study.record, clock))
    assert isinstance(next_step(study.record, clock).step, Wait)
    study.end(3)
    assert isinstance(next_step(study.record, clock).step, StartRun)


def test_interrupted_runs_are_started_again_first(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=2)
    study.play(score)
    last = study.record.trials[0]
    runs = (*last.runs[:-1], last.runs[-1].model_copy(update={"state": RunState.WAITING, "result": None}))
    study.change(trials=(last.model_copy(update={"runs": runs}), *study.record.trials[1:]))
    decision = next_step(study.record, Clock())
    assert decision.step == Resume(runs[-1])
    assert decision.phase == "confirm"


def test_a_grown_budget_continues_where_it_ended(fake, all_plausible) -> None:
    study = fake(trials=6, seeds=1)
    study.play(score)
    study.set_budget(trials=11, seeds=2)
    study.change(phase="screen")
    more = study.play(score)
    assert [step.phase for step in steps_of(more, StartTrial)] == ["screen"] * 3 + ["tune"] * 2
    assert {run.seed_index for run in steps_of(more, StartRun)} <= {1, 2}
    assert all({1, 2} <= {run.seed_index for run in trial.runs} for trial in plan.finalists(study.record))
    assert len(study.record.trials) == 11


def test_screen_is_over_once_tune_has_begun(fake, all_plausible) -> None:
    study = fake(trials=4, seeds=1)
    study.play(score)
    study.set_budget(trials=9)  # three rounds would fit nine trials, but the fourth trial was a tuned one
    study.change(phase="screen")
    assert {step.phase for step in steps_of(study.play(score), StartTrial)} == {"tune"}
    assert len(study.record.trials) == 9


def test_time_keeps_a_third_for_confirm(fake, all_plausible) -> None:
    study = fake(trials=100, seeds=100, time_seconds=1000.0)
    decisions = study.play(score, seconds=10.0)
    assert len(steps_of(decisions, StartTrial)) == 64  # the 65th would end at 650 s, where confirm's share begins
    assert len(study.record.trials) * 10 <= 650
    assert study.record.wall_seconds <= 1000
    confirm = steps_of(decisions, StartRun)
    assert len(confirm) % 3 == 0  # later seeds for all finalists or for none
    assert decisions[-1].step == Finish()
    assert study.record.notices == (
        Notice(code="time_limit_trials", values={"limit": 1000.0, "done": 64, "of": 100}),
        Notice(code="time_limit_seeds", values={"limit": 1000.0, "done": 11, "of": 100, "folds": 0}),
    )


def test_a_round_that_does_not_fit_is_not_begun(fake, all_plausible) -> None:
    study = fake(trials=9, seeds=1, time_seconds=80.0)
    decisions = study.play(score, seconds=10.0)
    assert len(steps_of(decisions, StartTrial)) == 5  # a second round would end at 60 s; single trials still fit
    values = {"limit": 80.0, "done": 1, "rounds": 3}
    assert study.record.notices[0] == Notice(code="time_limit_screen", values=values)
    assert [decision.phase for decision in decisions[:4]] == ["screen"] * 3 + ["tune"]


def test_the_first_confirm_seed_goes_as_far_as_the_time_allows(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=2, time_seconds=45.0)
    decisions = study.play(score, seconds=10.0)
    confirmed = [study.record.trials[run.trial].method for run in steps_of(decisions, StartRun)]
    assert confirmed == ["lora", "unipelt_apl"]  # the second one begins at 40 s and ends at 50 s
    assert study.record.notices[-1].values == {"limit": 45.0, "methods": ("head",)}


def test_without_a_time_limit_the_clock_does_not_matter(fake, all_plausible) -> None:
    study = fake(trials=5)
    assert next_step(study.record, Clock(seconds=1e9)) == next_step(study.record, Clock())


def test_estimates_prefer_the_same_kind_then_the_same_method(fake) -> None:
    study = fake()
    clock = Clock()
    assert plan.estimate_seconds(study.record, clock, "head", confirm=False) is None
    space = study.record.spec.space
    study.end(study.add_trial(published("lora", space, 320, EDITION_1)[0], "screen"), seconds=20.0)
    study.end(study.add_trial(published("head", space, 320, EDITION_1)[0], "screen"), seconds=10.0)
    study.add_run(0, 1)
    study.end(0, 1, seconds=50.0)
    assert plan.estimate_seconds(study.record, clock, "lora", confirm=False) == 20
    assert plan.estimate_seconds(study.record, clock, "lora", confirm=True) == 50
    assert plan.estimate_seconds(study.record, clock, "head", confirm=True) == 10
    assert plan.estimate_seconds(study.record, clock, "bitfit", confirm=False) == pytest.approx(80 / 3)
    assert plan.estimate_seconds(study.record, Clock(run_seconds={"0/0": 5.0}), "lora", confirm=False) == 5


OWN = (
    Variant.model_validate({"name": "my-lora", "method": "lora", "lora": {"rank": 100}}),
    Variant.model_validate({"name": "my-adapter", "method": "adapter", "training": {"learning_rate": 0.01}}),
)


def named(study, number: int) -> str:
    return study.record.trials[number].name


def test_the_users_configurations_are_tried_once_in_the_first_round_and_count_as_trials(fake, all_plausible) -> None:
    study = fake(trials=9, configurations=OWN)  # (9 - 2) // 3 = 2 rounds, and one trial to tune
    started = steps_of(study.play(score_of_any), StartTrial)
    screen = [(step.spec.method, step.variant, step.origin) for step in started if step.phase == "screen"]
    methods = [(name, None, "published") for name in ("head", "lora", "unipelt_apl")]
    assert screen == [*methods, ("lora", "my-lora", "given"), ("adapter", "my-adapter", "given"), *methods]
    space = study.record.spec.space
    assert started[3].spec == configured(OWN[0], space, 320, EDITION_1)
    assert started[6].spec == published("lora", space, 320, EDITION_1)[1]
    assert [step.phase for step in started].count("tune") == 1
    assert len(started) == 9


def score_of_any(spec, seed_index):
    return {"adapter": 0.9}.get(spec.method) or score(spec, seed_index)


def test_every_variant_is_confirmed_like_a_methods_best(fake, all_plausible) -> None:
    study = fake(trials=8, seeds=2, configurations=OWN)
    runs = steps_of(study.play(score_of_any), StartRun)
    assert [named(study, run.trial) for run in runs[:5]] == ["my-adapter", "lora", "my-lora", "unipelt_apl", "head"]
    assert [run.seed_index for run in runs] == [1] * 5 + [2] * 5


def test_only_methods_of_the_study_are_tuned(fake, all_plausible) -> None:
    study = fake(trials=12, configurations=OWN)
    started = steps_of(study.play(score_of_any), StartTrial)
    tuned = [step for step in started if step.phase == "tune"]
    assert {step.spec.method for step in tuned} <= {"head", "lora", "unipelt_apl"}
    assert all(step.variant is None for step in tuned)


def test_a_failed_variant_is_no_finalist_and_is_told(fake, all_plausible) -> None:
    study = fake(trials=12, seeds=1, configurations=OWN)
    study.play(lambda spec, seed: None if spec.lora and spec.lora.rank == 100 else score_of_any(spec, seed))
    assert "my-lora" not in [trial.name for trial in plan.finalists(study.record)]
    assert [(drop.method, drop.phase, drop.reason.code) for drop in study.record.dropped] == [
        ("my-lora", "tune", "trial_failed")
    ]


def test_variants_need_trials_too(spec) -> None:
    check_budget(spec(trials=5, configurations=OWN))
    with pytest.raises(
        RequestError, match=r"methods and configurations.*got 4 for 3 methods.*2 configurations \(my-lora"
    ):
        check_budget(spec(trials=4, configurations=OWN))


def test_a_round_with_variants_that_does_not_fit_is_not_begun(fake, all_plausible) -> None:
    # Five trials of 10 s a round; the first 65 s are for the search, so the second round of three ends at 80 s.
    study = fake(trials=8, seeds=1, configurations=OWN, time_seconds=100.0)
    started = steps_of(study.play(score_of_any), StartTrial)
    screen = [step.variant for step in started if step.phase == "screen"]
    assert screen == [None, None, None, "my-lora", "my-adapter"]
    assert study.record.notices[0].values == {"limit": 100.0, "done": 1, "rounds": 2}


def confirmed(study, decisions) -> list[tuple[str, int, int]]:
    return [(named(study, run.trial), run.seed_index, run.fold) for run in steps_of(decisions, StartRun)]


def test_with_folds_a_finalist_runs_on_every_fold_of_a_repeat_before_the_next_one(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=2)
    study.use_folds()
    order = [(name, seed, fold) for seed in (1, 2) for name in ("lora", "unipelt_apl", "head") for fold in range(1, 6)]
    assert confirmed(study, study.play(score)) == order


def test_a_grown_budget_adds_whole_repeats(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=1)
    study.use_folds()
    study.play(score)
    study.set_budget(seeds=2)
    study.change(phase="screen")
    assert [run[1:] for run in confirmed(study, study.play(score))] == [(2, fold) for fold in range(1, 6)] * 3


def test_interrupted_folds_are_gone_on_with(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=1)
    study.use_folds()
    study.play(score)
    first = study.record.trials[1]
    study.change(
        trials=tuple(t.model_copy(update={"runs": t.runs[:3]}) if t == first else t for t in study.record.trials)
    )
    assert confirmed(study, study.play(score)) == [("lora", 1, fold) for fold in (3, 4, 5)]


@pytest.mark.parametrize(("limit", "expected"), [(75.0, 5), (125.0, 5), (135.0, 10), (225.0, 10), (235.0, 20)])
def test_a_repeat_of_folds_is_begun_only_where_all_of_it_fits(fake, all_plausible, limit: float, expected: int) -> None:
    # The search ends at 30 s, a finalist's repeat takes 50 s, and a later one that of both methods, 100 s.
    study = fake(methods=("lora", "unipelt_apl"), trials=3, seeds=9, time_seconds=limit)
    study.use_folds()
    assert len(confirmed(study, study.play(score))) == expected


def test_the_first_finalist_is_confirmed_while_there_is_any_time(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=2, time_seconds=45.0)
    study.use_folds()
    assert confirmed(study, study.play(score)) == [("lora", 1, fold) for fold in range(1, 6)]
    assert study.record.notices[-1].values == {"limit": 45.0, "methods": ("unipelt_apl", "head")}


def test_a_time_limit_names_repeats(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=9, time_seconds=250.0)
    study.use_folds()
    assert len(confirmed(study, study.play(score))) == 15
    assert study.record.notices[-1].values == {"limit": 250.0, "done": 1, "of": 9, "folds": 5}


@pytest.mark.parametrize("folds", [0, 5])
def test_a_gated_finalist_gets_a_smaller_sibling_once_its_first_run_says_what_can_go(
    fake, all_plausible, folds: int
) -> None:
    study = fake(trials=3, seeds=2)
    study.use_folds(folds)
    spec = study.record.spec
    study.change(spec=spec.model_copy(update={"space": spec.space.model_copy(update={"prune_gates": True})}))

    def result(spec, seed_index):
        return 0.5

    prunable = (("lora", 0), ("prefix", 1))
    decisions = []
    while not isinstance((decision := next_step(study.record, Clock())).step, Finish):
        decisions.append(decision)
        number, seed_index, fold = study.apply(decision)
        study.end(number, seed_index, fold, result(None, seed_index))
        trial = study.record.trials[number]
        if trial.method == "unipelt_apl" and (seed_index, fold) == (1, min(folds, 1)) and trial.origin != PRUNED:
            runs = tuple(
                run.model_copy(update={"result": run.result.model_copy(update={"prunable": prunable})})
                if (run.seed_index, run.fold) == (1, min(folds, 1)) else run
                for run in trial.runs
            )  # fmt: skip
            study._replace(trial.model_copy(update={"runs": runs}))
    started = steps_of(decisions, StartTrial)
    assert [(step.origin, step.variant) for step in started][3:] == [(PRUNED, "unipelt_apl-pruned")]
    assert started[3].spec.without == prunable
    assert started[3].spec.model_copy(update={"without": ()}) == started[2].spec
    assert started[3].phase == "tune"
    runs = [(step.trial, step.seed_index, step.fold) for step in steps_of(decisions, StartRun)]
    of_each = [(seed, fold) for seed in (1, 2) for fold in (range(1, 6) if folds else (0,))]
    assert sorted(runs) == [(trial, *run) for trial in range(4) for run in of_each]


def test_without_prune_gates_nothing_is_pruned(fake, all_plausible) -> None:
    study = fake(trials=3, seeds=2)
    assert len(steps_of(study.play(lambda spec, seed: 0.5), StartTrial)) == 3
