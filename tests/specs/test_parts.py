from __future__ import annotations

from typing import Any

import pytest
from editions import NEWEST
from plugin_packages import Packages, packages  # noqa: F401
from pydantic import ValidationError

from unipelt_search.errors import MachineError
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.catalogue import find_submodule
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.specs.load_study import load_study
from unipelt_search.specs.parts import STORED, StoredSettings
from unipelt_search.specs.study import SpaceSpec, StudySpec
from unipelt_search.specs.trial import TrialSpec, config_of
from unipelt_search.specs.variants import Variant

TRAINING = TrainingSpec(learning_rate=1e-3, steps=9)
LORA = TrialSpec(method="lora", training=TRAINING, lora=LoraSpec(rank=4))  # type: ignore[call-arg]
REFT: dict[str, Any] = {"method": "reft", "training": TRAINING.model_dump(), "reft": {"rank": 3, "where": "first"}}


def test_parts_are_typed() -> None:
    assert LORA.part("lora", LoraSpec) == LoraSpec(rank=4)
    assert LORA.part("adapter", AdapterSpec) is None
    assert LORA.part("reft", AdapterSpec) is None
    assert LORA.gate is None
    assert LORA.parts == {"lora": LoraSpec(rank=4)}


def test_json_has_the_historic_parts_always() -> None:
    written = LORA.model_dump(mode="json")
    assert [*written] == ["method", "training", "lora", "adapter", "parallel_adapter", "prefix", "gate"]
    assert [name for name, value in written.items() if value is None] == [*written][3:]
    assert TrialSpec.model_validate(written) == LORA
    assert TrialSpec.model_validate_json(LORA.model_dump_json()) == LORA
    assert [*Variant(name="a", method="head").model_dump()] == ["name", "method", "training", *[*written][2:]]


def test_values_are_compared_copied_and_hashed_with_their_parts() -> None:
    other = LORA.model_copy(update={"lora": LoraSpec(rank=5)})
    assert other != LORA
    assert LORA.part("lora", LoraSpec) == LoraSpec(rank=4)
    assert other.content_hash() != LORA.content_hash()
    assert hash(LORA) == hash(TrialSpec.model_validate(LORA.model_dump()))
    with pytest.raises(ValidationError):
        LORA.lora = LoraSpec()  # type: ignore[attr-defined]


def test_all_faults_are_found_at_once() -> None:
    given = {"method": "lora", "training": 3, "lora": {"rank": 0, "ranks": 1}, "reft": {}, "gate": {"lora": "x"}}
    with pytest.raises(ValidationError) as caught:
        TrialSpec.model_validate(given)
    found = {error["loc"]: error["type"] for error in caught.value.errors()}
    assert found == {
        ("training",): "model_type",
        ("lora", "rank"): "greater_than_equal",
        ("lora", "ranks"): "extra_forbidden",
        ("reft",): "extra_forbidden",
        ("gate", "lora"): "literal_error",
    }


def test_a_set_is_stored_under_its_canonical_name() -> None:
    given = {"training": TRAINING, "lora": {}, "adapter": {}, "gate": {}}
    named = TrialSpec.model_validate({"method": "unipelt_al", **given})
    assert TrialSpec.model_validate({"method": "unipelt[lora, adapter]", **given}) == named
    assert SpaceSpec(methods=("unipelt[lora,adapter]",)) == SpaceSpec(methods=("unipelt_al",))
    variant = Variant(name="a", method="unipelt[ bitfit, lora]")
    assert variant.method == "unipelt[lora,bitfit]"
    pruned = TrialSpec.model_validate(
        {"method": "unipelt[lora,bitfit]", "training": TRAINING, "lora": {}, "gate": {}, "without": [["bitfit", 1]]}
    )
    assert pruned.without == (("bitfit", 1),)
    assert pruned.gate == GateSpec()


def test_a_plugins_part_is_written_only_where_present(packages: Packages) -> None:  # noqa: F811
    before = LORA.content_hash()
    packages.install()
    assert LORA.content_hash() == before
    assert "reft" not in LORA.model_dump()
    spec = TrialSpec.model_validate(REFT)
    settings = find_submodule("reft").settings
    assert settings is not None
    assert spec.part("reft", settings) == settings(rank=3, where="first")
    assert spec.model_dump(mode="json")["reft"] == {"rank": 3, "where": "first"}
    assert config_of(spec)["reft.rank"] == 3
    assert TrialSpec.model_validate(LORA.model_dump() | {"reft": None}) == LORA
    with pytest.raises(ValidationError, match="method reft needs reft settings"):
        TrialSpec.model_validate(REFT | {"reft": None})
    with pytest.raises(ValidationError, match="method lora takes no reft settings"):
        TrialSpec.model_validate(LORA.model_dump() | {"reft": {}})


def test_a_study_file_may_configure_a_plugin(packages: Packages, tmp_path) -> None:  # noqa: F811
    packages.install()
    file = tmp_path / "study.yaml"
    text = "name: a\ntask: {data: d, text: [t], label: l}\nbackbone: {model: m}\nspace:\n  configurations: "
    file.write_text(f"{text}[{{name: mine, method: reft, reft: {{rank: 7}}}}]")
    (variant,) = load_study(file).space.configurations
    assert variant.parts["reft"].model_dump() == {"rank": 7, "where": "all"}
    file.write_text(f"{text}[{{name: mine, method: reft, reft: {{ranks: 7}}, refd: {{}}}}]")
    with pytest.raises(Exception, match=r"reft.ranks: unknown key, known: rank, where. Did you mean 'rank'") as caught:
        load_study(file)
    assert "configurations.0.refd: unknown key" in str(caught.value)
    assert "Did you mean 'reft'" in str(caught.value)


def test_stored_values_are_read_without_their_package(packages: Packages) -> None:  # noqa: F811
    packages.install()
    gated = REFT | {"method": "unipelt[lora,reft]", "lora": {}, "gate": {}, "without": [["reft", 0]]}
    spec = TrialSpec.model_validate(gated)
    study = StudySpec.model_validate({
        "name": "a", "task": {"data": "d", "text": ["t"], "label": "l"}, "backbone": {"model": "m"},
        "space": {"methods": ["reft", "unipelt[reft,lora]"],
                  "configurations": [{"name": "mine", "method": "reft", "reft": {"rank": 7}}]},
    }).completed(NEWEST)  # fmt: skip
    stored, stored_study = spec.model_dump(mode="json"), study.model_dump(mode="json")
    assert study.space.compared == ("reft", "unipelt[lora,reft]")
    packages.remove_all()
    read = TrialSpec.model_validate(stored, context=STORED)
    assert read.method == "unipelt[lora,reft]"
    assert read.part("lora", LoraSpec) == LoraSpec()
    assert isinstance(read.parts["reft"], StoredSettings)
    assert config_of(read) == config_of(spec)
    assert read.content_hash() == spec.content_hash()
    with pytest.raises(MachineError, match="package that knows them is missing"):
        read.part("reft", AdapterSpec)
    study_read = StudySpec.model_validate(stored_study, context=STORED)
    assert study_read.question_hash() == study.question_hash()
    assert study_read.space.methods == ("reft", "unipelt[lora,reft]")
    for strict in (lambda: TrialSpec.model_validate(stored), lambda: StudySpec.model_validate(stored_study)):
        with pytest.raises(Exception, match="reft"):
            strict()


def test_stored_values_of_installed_methods_are_checked() -> None:
    with pytest.raises(ValidationError, match="method lora needs lora settings"):
        TrialSpec.model_validate({"method": "lora", "training": TRAINING}, context=STORED)
    with pytest.raises(ValidationError, match="method lora takes no reft settings"):
        TrialSpec.model_validate(LORA.model_dump() | {"reft": {"rank": 3}}, context=STORED)
    with pytest.raises(ValidationError, match="greater than or equal"):
        TrialSpec.model_validate(LORA.model_dump() | {"lora": {"rank": 0}}, context=STORED)
    with pytest.raises(ValidationError, match="Extra inputs"):
        TrialSpec.model_validate(LORA.model_dump() | {"reft": 3}, context=STORED)


def test_settings_of_another_version_of_a_plugin_are_kept(packages: Packages) -> None:  # noqa: F811
    packages.install()
    stored = REFT | {"reft": {"rank": 3, "gone": 1}}
    read = TrialSpec.model_validate(stored, context=STORED)
    assert read.parts["reft"].model_dump() == {"rank": 3, "gone": 1}
    with pytest.raises(ValidationError, match="Extra inputs"):
        TrialSpec.model_validate(stored)
