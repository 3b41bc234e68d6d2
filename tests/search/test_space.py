from __future__ import annotations

import optuna
import pytest
from editions import EDITION_1, NEWEST, TINY

from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import METHODS, TRAINED_METHODS
from unipelt_search.methods.search_space import learning_rates
from unipelt_search.search.space import configured, largest, parameters_of, published, steps_for, suggest
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.trial import config_of
from unipelt_search.specs.variants import Variant

SPACE = SpaceSpec(batch_size=16)


@pytest.mark.parametrize(
    ("rows", "steps"),
    [(1, 150), (100, 150), (400, 500), (800, 1000), (5000, 1000), (16_000, 3000)],
)
def test_steps_follow_the_rows(rows: int, steps: int) -> None:
    assert steps_for(rows, SPACE) == steps


def test_steps_that_were_asked_for_are_taken() -> None:
    assert steps_for(10_000, SpaceSpec(steps=7)) == 7


@pytest.mark.parametrize("method", TRAINED_METHODS)
def test_published_settings_differ_in_the_learning_rate_alone(method: str) -> None:
    specs = published(method, SPACE, 400, EDITION_1)
    assert tuple(spec.training.learning_rate for spec in specs) == learning_rates(method)
    alike = {spec.training.model_copy(update={"learning_rate": 1.0}) for spec in specs}
    assert len(alike) == 1
    assert specs[0].training.steps == 500


def test_published_settings_are_the_papers() -> None:
    spec = published("unipelt_apl", SPACE, 400, NEWEST)[0]
    assert (spec.lora.rank, spec.lora.alpha) == (8, 16)
    assert spec.adapter == AdapterSpec(bottleneck=24, activation="relu", input="normalised", up="normal")
    assert (spec.prefix.length, spec.prefix.mlp) == (10, 512)
    assert (spec.gate.lora, spec.gate.prefix, spec.gate.pooling) == ("replace", "scale", "tokens")


def test_an_older_study_keeps_the_settings_of_its_edition() -> None:
    for method in ("adapter", "unipelt_apl", "unipelt[adapter,ia3]"):
        assert published(method, SPACE, 400, EDITION_1)[0].part("adapter", AdapterSpec) == AdapterSpec()
    assert published("lora", SPACE, 400, EDITION_1) == published("lora", SPACE, 400, NEWEST)
    assert published("fine_tuning", SPACE, 400, EDITION_1) == published("fine_tuning", SPACE, 400, NEWEST)


@pytest.mark.parametrize("basis", [EDITION_1, NEWEST, TINY], ids=["edition 1", "minilm", "tiny"])
@pytest.mark.parametrize("method", TRAINED_METHODS)
@pytest.mark.filterwarnings("error")
def test_published_settings_lie_in_the_searched_space(method: str, basis: Basis) -> None:
    for spec in published(method, SPACE, 400, basis):
        params, distributions = parameters_of(spec, SPACE, 400, basis)
        assert params["training.learning_rate"] == spec.training.learning_rate
        assert "training.schedule" in params
        for name, distribution in distributions.items():
            assert distribution._contains(distribution.to_internal_repr(params[name])), name


@pytest.mark.parametrize("method", TRAINED_METHODS)
def test_a_drawn_configuration_is_found_again_from_its_parameters(method: str) -> None:
    basis = NEWEST
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(5):
        trial = study.ask()
        spec = suggest(trial, method, SPACE, 400, basis)
        params, distributions = parameters_of(spec, SPACE, 400, basis)
        assert params == trial.params
        assert distributions == trial.distributions
        assert spec.method == method
        study.tell(trial, 0.5)


def test_alpha_is_searched_only_where_it_acts() -> None:
    replace = published("unipelt_pl", SPACE, 400, EDITION_1)[0]
    multiply = replace.model_copy(update={"gate": replace.gate.model_copy(update={"lora": "multiply"})})
    assert "lora.alpha" not in parameters_of(replace, SPACE, 400, EDITION_1)[0]
    assert "lora.alpha" in parameters_of(multiply, SPACE, 400, EDITION_1)[0]
    assert "lora.alpha" in parameters_of(published("lora", SPACE, 400, EDITION_1)[0], SPACE, 400, EDITION_1)[0]


def test_gates_are_searched_only_for_the_parts_there_are() -> None:
    for method in METHODS.values():
        if method.trains != "nothing":
            params = parameters_of(published(method.name, SPACE, 400, EDITION_1)[0], SPACE, 400, EDITION_1)[0]
            assert ("gate.prefix" in params) == (method.gated and "prefix" in method.submodules)
            assert ("gate.lora" in params) == (method.gated and "lora" in method.submodules)


def test_what_a_configuration_leaves_open_is_what_its_edition_published() -> None:
    given = {"name": "mine", "method": "unipelt_al", "adapter": {"activation": "tanh"}}
    variant = Variant.model_validate(given)
    assert configured(variant, SPACE, 400, EDITION_1).adapter == AdapterSpec(activation="tanh")
    newest = AdapterSpec(bottleneck=24, activation="tanh", input="normalised", up="normal")
    assert configured(variant, SPACE, 400, NEWEST).adapter == newest
    bare = Variant(name="bare", method="unipelt_al")
    assert configured(bare, SPACE, 400, NEWEST) == published("unipelt_al", SPACE, 400, NEWEST)[0]
    # As it was stored by a study of the first edition, which wrote every field that there was.
    stored = Variant.model_validate({**given, "adapter": {"activation": "tanh", "bottleneck": 48}})
    assert configured(stored, SPACE, 400, EDITION_1) == configured(variant, SPACE, 400, EDITION_1)
    older = Variant.model_validate({**given, "adapter": {"input": "feed_forward", "up": "zero"}})
    assert configured(older, SPACE, 400, NEWEST).adapter == AdapterSpec(bottleneck=24, activation="relu")


def test_a_users_configuration_is_completed_with_the_published_settings() -> None:
    given = {
        "name": "mine", "method": "unipelt_pl", "training": {"learning_rate": 0.03, "steps": 77},
        "lora": {"rank": 200}, "prefix": {"mlp": None}, "gate": {"sharing": "shared"},
    }  # fmt: skip
    variant = Variant.model_validate(given)
    spec, base = configured(variant, SPACE, 400, EDITION_1), published("unipelt_pl", SPACE, 400, EDITION_1)[0]
    assert spec.training == base.training.model_copy(update={"learning_rate": 0.03, "steps": 77})
    assert spec.lora == base.lora.model_copy(update={"rank": 200})
    assert spec.prefix == base.prefix.model_copy(update={"mlp": None})
    assert spec.gate == base.gate.model_copy(update={"sharing": "shared"})
    # As it comes back from the database, with every value written out.
    assert configured(Variant.model_validate(variant.model_dump(mode="json")), SPACE, 400, EDITION_1) == spec
    plain = configured(Variant(name="plain", method="lora"), SPACE, 400, EDITION_1)
    assert plain == published("lora", SPACE, 400, EDITION_1)[0]
    shifted = Variant.model_validate({"name": "shifted", "method": "prefix", "prefix": {"position_shift": True}})
    base = published("prefix", SPACE, 400, EDITION_1)[0]
    assert configured(shifted, SPACE, 400, EDITION_1).prefix == base.prefix.model_copy(update={"position_shift": True})


@pytest.mark.parametrize("method", TRAINED_METHODS)
def test_no_draw_trains_more_units_than_the_largest_configuration(method: str) -> None:
    units = ("lora.rank", "adapter.bottleneck", "parallel_adapter.bottleneck", "prefix.length", "prefix.mlp")
    most = config_of(largest(method, SPACE, 100, EDITION_1))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        drawn = config_of(suggest(study.ask(), method, SPACE, 100, EDITION_1))
        assert all((drawn[name] or 0) <= most[name] for name in units if name in drawn)
