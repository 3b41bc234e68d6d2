from __future__ import annotations

from editions import EDITION_1

from unipelt_search.search.plan import Clock
from unipelt_search.search.snapshot import snapshot
from unipelt_search.search.space import published


def test_before_the_first_run_nothing_is_estimated(fake) -> None:
    study = fake(trials=9, seeds=2)
    shown = snapshot(study.record, Clock(seconds=3.0), ["trial 0 head (screen)"], "it began")
    assert (shown.trials_done, shown.trials_asked) == (0, 9)
    assert (shown.runs_done, shown.runs_asked) == (0, 9 + 3 * 2)
    assert shown.seconds_left is None
    assert shown.running == ("trial 0 head (screen)",)
    assert (shown.phase, shown.event, shown.seconds_elapsed) == ("screen", "it began", 3.0)


def test_confirmed_methods_stand_before_the_others(fake) -> None:
    study = fake(trials=3, seeds=2)
    for method, score in (("head", 0.9), ("lora", 0.5), ("unipelt_apl", 0.6)):
        spec = published(method, study.record.spec.space, 320, EDITION_1)[0]
        study.end(study.add_trial(spec, "screen"), score=score)
    study.change(phase="confirm")
    study.add_run(1, 1)
    study.end(1, 1, score=0.4)
    study.add_run(1, 2)
    study.end(1, 2, score=0.6)
    shown = snapshot(study.record, Clock(workers=2), [], "")
    assert [(s.method, s.runs, round(s.score, 6)) for s in shown.standings] == [
        ("lora", 2, 0.5), ("head", 0, 0.9), ("unipelt_apl", 0, 0.6),
    ]  # fmt: skip
    assert (shown.runs_done, shown.runs_asked) == (5, 9)
    assert shown.seconds_left == 4 * 10 / 2


def test_the_time_limit_bounds_the_estimate(fake) -> None:
    study = fake(trials=9, seeds=2, time_seconds=30.0)
    study.end(study.add_trial(published("head", study.record.spec.space, 320, EDITION_1)[0], "screen"))
    assert snapshot(study.record, Clock(seconds=20.0), [], "").seconds_left == 10.0
    assert snapshot(study.record, Clock(seconds=50.0), [], "").seconds_left == 0.0


def test_every_seed_is_as_many_runs_as_there_are_folds(fake) -> None:
    study = fake(trials=9, seeds=2)
    study.use_folds()
    assert snapshot(study.record, Clock(), [], "").runs_asked == 9 + 3 * 2 * 5
