from __future__ import annotations

import math
from statistics import fmean

import pytest
from editions import EDITION_1

from unipelt_search.search import proposals
from unipelt_search.search.proposals import propose
from unipelt_search.search.space import configured, published
from unipelt_search.specs.variants import Variant

SCREENED = (0.6, 0.9, 0.3)


def screened(fake, method="lora"):
    study = fake()
    for name in study.record.spec.space.methods:
        for spec, score in zip(published(name, study.record.spec.space, 320, EDITION_1), SCREENED, strict=True):
            study.end(study.add_trial(spec, "screen"), score=score)
    return study


@pytest.mark.filterwarnings("error")
def test_the_same_record_gives_the_same_proposal(fake) -> None:
    study = screened(fake)
    first = propose(study.record, "lora")
    assert first == propose(study.record, "lora")
    assert first.method == "lora"
    assert first.training.steps == study.record.spec.space.steps


def test_another_seed_or_trial_number_gives_another_proposal(fake) -> None:
    study = screened(fake)
    first = propose(study.record, "lora")
    study.end(study.add_trial(published("head", study.record.spec.space, 320, EDITION_1)[0], "screen"))
    assert propose(study.record, "lora") != first
    study.change(spec=study.record.spec.model_copy(update={"seed": 1}))
    assert propose(study.record, "lora") != first


def test_proposals_move_towards_what_scored_well(fake) -> None:
    study = screened(fake)
    distances = []
    for _ in range(20):
        spec = propose(study.record, "lora")
        distances.append(abs(math.log(spec.training.learning_rate / 5e-4)))
        study.end(study.add_trial(spec, "tune", "tpe"), score=0.9 - 0.1 * distances[-1])
    assert fmean(distances[10:]) < 1.2  # drawn evenly from the space it is about 1.8


def test_other_methods_do_not_matter(fake) -> None:
    study = screened(fake)
    before = propose(study.record, "lora")
    trial = next(trial for trial in study.record.trials if trial.method == "head")
    study.end(trial.number, score=0.99)
    assert propose(study.record, "lora") == before


def test_running_and_failed_trials_are_seen(fake) -> None:
    study = screened(fake)
    free = propose(study.record, "lora")
    number = study.add_trial(free, "tune", "tpe")
    assert propose(study.record, "lora") != free
    study.end(number, score=None)
    states = [trial.state.name for trial in proposals._observations(study.record, "lora")]
    values = [trial.value for trial in proposals._observations(study.record, "lora")]
    assert states == ["COMPLETE"] * 4
    assert values[-1] == min(SCREENED)


def test_a_configuration_is_never_proposed_twice(fake, monkeypatch: pytest.MonkeyPatch) -> None:
    study = screened(fake)
    tried = study.record.trials[3].spec
    predictions = iter([tried, tried])
    real = proposals.suggest
    monkeypatch.setattr(proposals, "suggest", lambda *given: next(predictions, None) or real(*given))
    assert propose(study.record, "lora") != tried


def test_a_users_configuration_does_not_steer_its_methods_search(fake) -> None:
    study = screened(fake)
    before = proposals._observations(study.record, "lora")
    own = Variant.model_validate({"name": "mine", "method": "lora", "lora": {"rank": 500}})  # out of the space
    spec = configured(own, study.record.spec.space, 320, EDITION_1)
    study.end(study.add_trial(spec, "screen", "given", "mine"), score=0.99)
    assert [trial.params for trial in proposals._observations(study.record, "lora")] == [t.params for t in before]
    assert propose(study.record, "lora").method == "lora"
