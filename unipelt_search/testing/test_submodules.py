"""What every submodule must do, ours and those of plug-ins: each registered one is held to the `Submodule` protocol.

pytest --pyargs unipelt_search.testing            every submodule that is installed
pytest --pyargs unipelt_search.testing -k NAME    one of them
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.block_output import first_output
from unipelt_search.errors import BackboneError
from unipelt_search.exporting.merge import merged_model
from unipelt_search.methods.basis import Basis, Value, resolved
from unipelt_search.methods.catalogue import canonical_method, catalogue, find_submodule, part_models, parts_of
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.hyperparameter import Hyperparameter
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.pelt.pack import Pack, without_training_only
from unipelt_search.pelt.registry import torch_submodule
from unipelt_search.records.history import EDITION
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.testing.tiny_models import KeptGates, randomise, tiny_backbone, tiny_inputs

CLASSES = 3
WIDTH = 64
"""Features of a token: wide enough for the published settings."""
BASIS = Basis(edition=EDITION, hidden_size=WIDTH)
TOLERANCE = 1e-5
"""Of logits in single precision; a gate or an update that is left out changes them by 0.01 and more."""


@dataclass(frozen=True)
class Case:
    """A registered submodule with some of its settings."""

    name: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    """Values of its fields; the others have their defaults."""

    def __str__(self) -> str:
        """Name the case, for `pytest -k`."""
        return "-".join([self.name, *(f"{setting}={value}" for setting, value in self.settings.items())])

    def trial(self, method: str | None = None, *, smallest: bool = False) -> TrialSpec:
        """Make a configuration with the case's settings, or with the smallest numbers of its search space.

        Args:
            method: The method; without one the submodule alone.
            smallest: Whether the submodule has the smallest numbers.
        """
        return trial_of(method or self.name, self.name, self.smallest() if smallest else self.settings)

    def smallest(self) -> dict[str, Value]:
        """Return the settings, with whole numbers as small as the search tries them."""
        numbers = [parameter for parameter in hyperparameters_of(self.name) if parameter.kind == "whole"]
        lowest = {number.field: int(number.low) for number in numbers if isinstance(number.low, int | float)}
        return {**self.settings, **lowest}


def cases() -> list[Case]:
    """List every submodule with the defaults of its settings, and again with the published ones where they differ."""
    found = []
    for entry in catalogue():
        found.append(Case(entry.name))
        published = published_settings(entry.name)
        if published:
            found.append(Case(entry.name, published))
    return found


def published_settings(name: str) -> dict[str, Value]:
    """Return a submodule's published settings on the backbone, those aside that are the defaults of its fields."""
    settings = find_submodule(name).settings
    if settings is None:
        return {}
    own = [parameter for parameter in hyperparameters_of(name) if parameter.part == name]
    published = {parameter.field: resolved(parameter.published, BASIS) for parameter in own}
    defaults = settings()
    return {field: value for field, value in published.items() if value != getattr(defaults, field)}


def hyperparameters_of(name: str) -> list[Hyperparameter]:
    """Return a submodule's hyperparameters as they are on the backbone."""
    return [parameter.on(BASIS) for parameter in find_submodule(name).hyperparameters]


@pytest.fixture(params=cases(), ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    """Give a registered submodule with some of its settings."""
    given: Case = request.param
    return given


@pytest.fixture
def name(case: Case) -> str:
    """Give its name."""
    return case.name


@pytest.fixture
def backbone() -> Backbone:
    """Make a random BERT of 2 layers."""
    return tiny_backbone("bert", CLASSES, hidden_size=WIDTH, intermediate_size=WIDTH)


def trial_of(method: str, part: str | None = None, settings: Mapping[str, Any] | None = None) -> TrialSpec:
    """Make a configuration of default settings, except for some of one part."""
    parts = {name: part_models()[name]() for name in parts_of(method) if name != "training"}
    if part in parts:
        parts[part] = parts[part].model_copy(update=dict(settings or {}))
    training = TrainingSpec(learning_rate=1e-3, steps=4, dropout=0.2)
    return TrialSpec.model_validate({"method": method, "training": training, **parts})


def gated_with_another(name: str) -> str:
    """Name a set of gated submodules with one of them."""
    other = next(entry.name for entry in catalogue() if entry.name != name)
    return canonical_method(f"unipelt[{name},{other}]")


def run_of(trial: TrialSpec, seed: int = 0) -> RunSpec:
    """Make a run of a configuration."""
    return RunSpec(trial=trial, seeds=run_seeds(7, seed))


def gates_of(pack: Pack, name: str) -> Iterator[torch.nn.Module]:
    """Yield a submodule's gates: ``gate/<layer>/<name>`` or ``gate/<layer>/<name>_…``."""
    for part_name, part in pack.parts.items():
        kind, _, gate = part_name.partition("/")
        gate = gate.partition("/")[2]
        if kind == "gate" and is_gate_of(gate, name):
            yield part


def is_gate_of(gate: str, name: str) -> bool:
    """Tell whether a gate's name is a submodule's, or that of one of its gates."""
    return gate == name or gate.startswith(f"{name}_")


def copies_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors, so that later changes do not show in them."""
    return {part: values.clone() for part, values in tensors.items()}


@torch.no_grad()
def test_it_adds_nothing_at_first(case: Case, name: str, backbone: Backbone) -> None:
    if torch_submodule(name).changes_logits_at_first(case.trial()):
        pytest.skip(f"{name} says that it changes the logits at first")
    inputs = tiny_inputs([7, 4])
    with Pack(backbone, [run_of(trial_of("head"))]) as probe:
        expected = probe(inputs)
    for method in (name, gated_with_another(name)):
        trial = case.trial(method)
        others = frozenset((part, None) for part in parts_of(method) if part != name)
        with Pack(backbone, [run_of(trial)]) as pack:
            assert torch.allclose(pack(inputs, removed=others), expected, atol=TOLERANCE)


def test_only_its_own_parameters_train_and_all_of_them_do(case: Case, name: str, backbone: Backbone) -> None:
    with Pack(backbone, [run_of(case.trial(name))]) as pack:
        randomise(pack)
        logits = pack(tiny_inputs([6, 4]), steps=[0])
        logits.square().sum().backward()
        trained = pack.trained()
        owners = {re.split("[./]", tensor.name)[0] for tensor in trained}
        still = [tensor.name for tensor in trained if tensor.parameter.grad is None]
    assert owners == {name, "head"}
    assert still == []
    assert all(parameter.grad is None for parameter in backbone.model.parameters())


@torch.no_grad()
def test_removing_it_leaves_the_linear_probe(case: Case, name: str, backbone: Backbone) -> None:
    inputs = tiny_inputs([7, 4])
    with Pack(backbone, [run_of(case.trial(name))]) as pack:
        randomise(pack, head=False)
        bare = pack(inputs, removed=frozenset({(name, None)}))
        full = pack(inputs)
    with Pack(backbone, [run_of(trial_of("head"))]) as probe:
        assert torch.allclose(bare, probe(inputs), atol=TOLERANCE)
    assert not torch.allclose(bare, full, atol=100 * TOLERANCE)


@torch.no_grad()
def test_every_layer_has_its_gates_between_0_and_1(case: Case, name: str, backbone: Backbone) -> None:
    kept = KeptGates()
    with Pack(backbone, [run_of(case.trial(gated_with_another(name)))]) as pack:
        pack(tiny_inputs([7, 4]), recorder=kept)
        layers = range(len(pack.layers))
    own = {key: values for key, values in kept.values.items() if is_gate_of(key[1], name)}
    assert {layer for layer, _ in own} == set(layers)
    for values in own.values():
        assert values.shape == (2,)
        assert bool(((values > 0) & (values < 1)).all())


@torch.no_grad()
def test_a_closed_gate_removes_it(case: Case, name: str, backbone: Backbone) -> None:
    trial = case.trial(gated_with_another(name))
    if not torch_submodule(name).closed_gate_removes(trial):
        pytest.skip(f"{name} says that a closed gate does not remove it")
    inputs = tiny_inputs([7, 4])
    with Pack(backbone, [run_of(trial)]) as pack:
        randomise(pack)
        opened = pack(inputs)
        for gate in gates_of(pack, name):
            for parameter_name, parameter in gate.named_parameters():
                # sigmoid(-10,000) is 0 in single precision
                parameter.fill_(-10_000.0 if parameter_name.endswith("bias") else 0.0)
        closed = pack(inputs)
        # Layer by layer: what acts outside of the layers has no gate.
        removed = pack(inputs, removed=frozenset((name, layer.number) for layer in pack.layers))
    assert torch.allclose(closed, removed, atol=TOLERANCE)
    assert not torch.allclose(closed, opened, atol=100 * TOLERANCE)


@pytest.mark.parametrize("gated", [False, True], ids=["alone", "gated"])
@torch.no_grad()
def test_padding_changes_nothing(case: Case, name: str, backbone: Backbone, gated: bool) -> None:
    lengths = [7, 4]
    inputs = tiny_inputs(lengths)
    padded = tiny_inputs(lengths, width=12)
    with Pack(backbone, [run_of(case.trial(gated_with_another(name) if gated else name))]) as pack:
        randomise(pack)
        together = pack(inputs)
        assert torch.allclose(pack(padded), together, atol=TOLERANCE)
        for row, length in enumerate(lengths):
            alone = pack({part: tensor[[row], :length] for part, tensor in inputs.items()})
            assert torch.allclose(alone[0, 0], together[0, row], atol=TOLERANCE)


@torch.no_grad()
def test_gates_by_position_show_a_decoder_no_later_token(case: Case, name: str) -> None:
    trial = case.trial(gated_with_another(name))
    causal = GateSpec().by_position()
    decoder = tiny_backbone("gpt2", CLASSES, hidden_size=WIDTH, n_inner=WIDTH, bos_token_id=2, eos_token_id=3)
    inputs = tiny_inputs([7, 7])
    changed = {**inputs, "input_ids": inputs["input_ids"].clone()}
    changed["input_ids"][:, -1] = 4 + (changed["input_ids"][:, -1] + 1) % 60
    try:
        pack = Pack(decoder, [run_of(trial.model_copy(update={"gate": causal}))])
    except BackboneError as error:
        pytest.skip(f"{name} says that it cannot attach to a decoder: {error}")
    with pack:
        randomise(pack)
        before, after = _last_hidden_states(pack, inputs), _last_hidden_states(pack, changed)
    assert torch.allclose(before[:, :-1], after[:, :-1], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, -1], after[:, -1], atol=TOLERANCE)


def _last_hidden_states(pack: Pack, inputs: dict[str, Tensor]) -> Tensor:
    """Return what the last layer hands on, ``(B, T, D)``, for a pack of one run."""
    seen = []

    def see(module: torch.nn.Module, args: Any, output: Any) -> None:
        seen.append(first_output(output))

    handle = pack.layers[-1].module.register_forward_hook(see)
    pack(inputs)
    handle.remove()
    return seen[-1]


def test_runs_in_a_pack_are_the_runs_alone(case: Case, name: str, backbone: Backbone) -> None:
    if not torch_submodule(name).packable(backbone):
        pytest.skip(f"{name} says that its runs are never packed on this backbone")
    methods = [name, name, "head", gated_with_another(name)]
    trials = [case.trial(method, smallest=bool(number)) for number, method in enumerate(methods)]
    runs = [run_of(trial, seed) for seed, trial in enumerate(trials)]
    inputs = tiny_inputs([7, 4, 5])
    with Pack(backbone, runs) as pack:
        slots = pack.slots
        repeated = {part: tensor.repeat(slots, 1) for part, tensor in inputs.items()}
        together = _steps(pack, repeated, list(range(slots)))
        weights = [pack.slot_state_dict(slot) for slot in range(len(runs))]
    for slot, run in enumerate(runs):
        with Pack(backbone, [run]) as alone:
            logits = _steps(alone, inputs, [slot])
            own = alone.slot_state_dict(0)
        assert torch.allclose(logits[0], together[slot], atol=10 * TOLERANCE)
        assert own.keys() == weights[slot].keys()
        for part, values in own.items():
            assert torch.allclose(values, weights[slot][part], atol=10 * TOLERANCE), part


def _steps(
    pack: Pack,
    inputs: dict[str, Tensor],
    first_steps: list[int],
) -> Tensor:
    """Take two steps of gradient descent with dropout, then compute the logits."""
    for step in range(2):
        pack.zero_grad()
        logits = pack(inputs, steps=[first + step for first in first_steps])
        logits.square().sum().backward()
        with torch.no_grad():
            for tensor in pack.trained():
                if tensor.parameter.grad is not None:
                    tensor.parameter.sub_(0.05 * tensor.parameter.grad)
    with torch.no_grad():
        result: Tensor = pack(inputs)
    return result


@pytest.mark.parametrize("gated", [False, True], ids=["alone", "gated"])
@torch.no_grad()
def test_stored_weights_load_into_a_fresh_pack(case: Case, name: str, backbone: Backbone, gated: bool) -> None:
    inputs = tiny_inputs([7, 4])
    trial = case.trial(gated_with_another(name) if gated else name)
    with Pack(backbone, [run_of(trial)]) as pack:
        randomise(pack)
        expected = pack(inputs)
        stored = copies_of(pack.slot_state_dict(0))
        trained, numbers, head = pack.counts(0)
    assert numbers == sum(values.numel() for values in stored.values())
    assert trained >= numbers > head > 0
    assert any(part.startswith(f"{name}.") for part in stored)
    with Pack(backbone, [without_training_only(run_of(trial, seed=1))]) as fresh:
        assert not torch.allclose(fresh(inputs), expected, atol=100 * TOLERANCE)
        fresh.load_slot_state_dict(0, stored)
        assert torch.allclose(fresh(inputs), expected, atol=TOLERANCE)
        assert fresh.slot_state_dict(0).keys() == stored.keys()


def test_biases_and_gates_do_not_decay(case: Case, name: str, backbone: Backbone) -> None:
    with Pack(backbone, [run_of(case.trial(gated_with_another(name)))]) as pack:
        decaying = [tensor.name for tensor in pack.trained() if tensor.decays]
    assert [tensor for tensor in decaying if tensor.endswith("bias") or tensor.startswith("gate/")] == []


@torch.no_grad()
def test_a_merged_backbone_computes_the_same(case: Case, name: str, backbone: Backbone) -> None:
    trial = case.trial(name)
    obstacle = torch_submodule(name).merge_obstacle(backbone, trial)
    if obstacle is not None:
        pytest.skip(f"{name} says that it cannot be merged: {obstacle.reason}")
    inputs = tiny_inputs([7, 4])
    with Pack(backbone, [run_of(trial)]) as pack:
        randomise(pack)
        expected = pack(inputs)[0]
        stored = copies_of(pack.slot_state_dict(0))
    before = copies_of(backbone.model.state_dict())
    merged = merged_model(backbone, trial, stored)
    assert torch.allclose(merged(**inputs).logits, expected, atol=10 * TOLERANCE)
    for part, values in backbone.model.state_dict().items():
        assert torch.equal(values, before[part]), part


@torch.no_grad()
def test_what_peft_holds_computes_the_same(case: Case, name: str, backbone: Backbone) -> None:
    trial = case.trial(name)
    obstacle = torch_submodule(name).peft_obstacle(backbone, trial)
    if obstacle is not None:
        pytest.skip(f"{name} says that PEFT cannot hold it: {obstacle.reason}")
    pytest.importorskip("peft")
    inputs = tiny_inputs([7, 4])
    with Pack(backbone, [run_of(trial)]) as pack:
        randomise(pack)
        expected = pack(inputs)[0]
        stored = copies_of(pack.slot_state_dict(0))
    wrapped = import_module("unipelt_search.exporting.peft_folder").peft_model(backbone, trial, stored, "tiny")
    assert torch.allclose(wrapped.eval()(**inputs).logits, expected, atol=10 * TOLERANCE)


@pytest.mark.parametrize("gated", [False, True], ids=["alone", "gated"])
@torch.no_grad()
def test_detaching_leaves_the_backbone_as_it_was(case: Case, name: str, backbone: Backbone, gated: bool) -> None:
    inputs = tiny_inputs([7, 4])
    before = backbone.model(**inputs).logits
    attributes = [set(vars(module)) for module in backbone.model.modules()]
    tensors = copies_of(backbone.model.state_dict())
    with Pack(backbone, [run_of(case.trial(gated_with_another(name) if gated else name))]) as pack:
        randomise(pack)
        pack(inputs)
    modules = list(backbone.model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    assert [set(vars(module)) for module in modules] == attributes
    assert backbone.model.state_dict().keys() == tensors.keys()
    assert torch.equal(backbone.model(**inputs).logits, before)
