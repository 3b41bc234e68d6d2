"""A pack: the trained parts of S runs, attached by hooks to one shared, unmodified backbone.

Everything is checked before the first hook is placed. While a pack is attached the backbone computes for the pack;
`close` takes every hook off again and leaves the backbone as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.errors import BackboneError
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.applicability import check_trial, packable
from unipelt_search.pelt.attach import attach
from unipelt_search.pelt.dropout import DropoutKeys
from unipelt_search.pelt.head import is_inside, unused_modules
from unipelt_search.pelt.merged_weights import tensors_of
from unipelt_search.pelt.registry import submodules_of, torch_submodule
from unipelt_search.pelt.slots import ForwardContext, PackSlots, Recorder, SlotPart
from unipelt_search.specs.trial import RunSpec, TrialSpec


@dataclass(frozen=True)
class TrainedTensor:
    """A tensor that the optimizer changes."""

    name: str
    parameter: nn.Parameter
    slotted: bool
    """Whether the first dimension is the slot; a fine-tuned backbone's tensors have none."""
    decays: bool
    """Whether weight decay applies; never to biases, layer norms, gates and IA3's scales."""

    def by_slot(self, tensor: Tensor) -> Tensor:
        """View the parameter, or a tensor of its shape, with a leading slot dimension."""
        return tensor if self.slotted else tensor.unsqueeze(0)


def without_training_only(run: RunSpec) -> RunSpec:
    """Return a run whose pack takes what `Pack.slot_state_dict` returned, without what is only there while training.

    Args:
        run: The run that was trained.

    Returns:
        The same run, for example with a plain prefix in place of one that comes out of an MLP.
    """
    return run.model_copy(update={"trial": _stored_form(run.trial)})


def _stored_form(trial: TrialSpec) -> TrialSpec:
    for submodule in submodules_of(trial):
        trial = submodule.stored_form(trial)
    return trial


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _decays(name: str) -> bool:
    """Tell whether weight decay applies to a tensor of a part, by its name ``<kind>/…``."""
    kind = name.split(".")[0].split("/")[0]
    # Gates and the head belong to no submodule: their rules are the pack's own.
    if kind == "gate":
        return False
    if kind == "head":
        return not name.endswith("bias")
    return torch_submodule(kind).decays(name)


class Pack(nn.Module):
    """The trained parts of S runs on one backbone. A context manager: leaving it detaches every hook."""

    model: PreTrainedModel
    """The backbone's model, or a copy of it that is trained whole."""
    rates: Tensor
    """``(S,)``, each run's dropout rate at the backbone's sites."""

    def __init__(self, backbone: Backbone, runs: Sequence[RunSpec]) -> None:
        """Build the parts, draw their initial values from each run's own seed, and attach them.

        Args:
            backbone: The frozen backbone; shared, except that `fine_tuning` trains a copy of its own.
            runs: One run per slot; one that is not `packable` is the only one.

        Raises:
            BackboneError: A configuration cannot attach.
            ValueError: A run that must be alone is not.
        """
        super().__init__()
        self.trials = [run.trial for run in runs]
        self.dropout_seeds = [run.seeds.dropout for run in runs]
        _check_runs(backbone, self.trials)
        self.tunes_backbone = any(find_method(trial.method).trains == "backbone" for trial in self.trials)
        # Kept out of nn.Module's registry: the backbone is shared and is no part of the pack's own tensors.
        model = copy.deepcopy(backbone.model) if self.tunes_backbone else backbone.model
        object.__setattr__(self, "model", model)
        self.backbone = backbone
        slots = PackSlots(tuple(self.trials), tuple(run.seeds.init for run in runs))
        self.holder = slots.holder
        rates = [trial.training.dropout for trial in self.trials]
        self.register_buffer("rates", torch.tensor(rates), persistent=False)
        self._attached, self._logits = attach(backbone, model, slots)
        self.layers = self._attached.layers
        self.parts = self._attached.parts
        if self.tunes_backbone:
            self._unfreeze()
        self.to(backbone.device)

    @property
    def slots(self) -> int:
        """Runs in the pack, S."""
        return len(self.trials)

    def forward(
        self,
        inputs: dict[str, Tensor],
        *,
        steps: Sequence[int] | None = None,
        first_row: int = 0,
        recorder: Recorder | None = None,
        removed: frozenset[tuple[str, int | None]] = frozenset(),
    ) -> Tensor:
        """Compute every slot's logits.

        Args:
            inputs: `input_ids` and `attention_mask` ``(S·B, T)``, slot-major, perhaps `token_type_ids`.
            steps: Each slot's own training step, which keys its dropout; None switches dropout off.
            first_row: Where in each slot's batch its rows begin, which keys its dropout too.
            recorder: Who wants to see the gates.
            removed: (submodule, layer) pairs that act as if absent; layer None is all layers.

        Returns:
            ``(S, B, classes)``.

        Raises:
            BackboneError: A row has too many tokens for what a submodule does to its positions.
        """
        dropout = None
        # Hashing a mask costs time, so none is made where every rate is 0.
        if steps is not None and self._attached.drops:
            dropout = DropoutKeys.of_step(self.dropout_seeds, steps, self.rates, first_row=first_row)
        inputs = self.backbone.in_windows(inputs)
        tokens = inputs["attention_mask"].to(torch.float32)
        context = ForwardContext(self.slots, tokens, dropout, recorder, removed)
        self.holder.set(context)
        try:
            # Within the pass: what is prepared may read the context, and an error in it must end the pass too.
            for prepare in self._attached.preparations:
                inputs = prepare(inputs, context)
            logits = self._logits(inputs)
            context.show_recorder()
        finally:
            self.holder.set(None)
        return logits.view(self.slots, -1, logits.shape[-1])

    def trained(self) -> list[TrainedTensor]:
        """List every tensor that is trained, the head's last."""
        tensors = [
            TrainedTensor(name, parameter, slotted=True, decays=_decays(name))
            for name, parameter in self.parts.named_parameters()
        ]
        if self.tunes_backbone:
            tensors += [
                TrainedTensor(f"backbone.{name}", parameter, slotted=False, decays=parameter.dim() > 1)
                for name, parameter in self.model.named_parameters()
                if parameter.requires_grad
            ]
        return tensors

    def snapshot(self, slot: int) -> list[Tensor]:
        """Copy one slot's trained tensors."""
        views = [tensor.by_slot(tensor.parameter.detach()) for tensor in self.trained()]
        return [view[slot].clone() for view in views]

    @torch.no_grad()
    def restore(self, slot: int, snapshot: list[Tensor]) -> None:
        """Put one slot's trained tensors back to a snapshot."""
        for tensor, values in zip(self.trained(), snapshot, strict=True):
            tensor.by_slot(tensor.parameter)[slot].copy_(values)

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return what must be kept to use one slot's model: no padding, no training-only MLP.

        Args:
            slot: The run's place in the pack.

        Returns:
            Tensors by name; the head's begin with ``head.``, a fine-tuned backbone's with ``backbone.``.
        """
        found: dict[str, Tensor] = {}
        for part_name, part in self._slot_parts():
            for name, tensor in part.slot_state_dict(slot).items():
                found[_stored_name(part_name, name)] = tensor.detach()
        found.update(self._backbone_tensors())
        return found

    @torch.no_grad()
    def load_slot_state_dict(self, slot: int, tensors: Mapping[str, Tensor]) -> None:
        """Take one slot's weights from what `slot_state_dict` returned for the same configuration, its inverse.

        Args:
            slot: The run's place in the pack; the run is `without_training_only`.
            tensors: What `slot_state_dict` returned, on any device.

        Raises:
            BackboneError: Names or shapes are not those of this configuration on this backbone.
            ValueError: The slot has a part that is only there while training, which is not stored.
        """
        trial = self.trials[slot]
        if _stored_form(trial) != trial:
            raise ValueError(
                f"stored tensors must go into a configuration without training-only parts; got one of {trial.method} "
                "with some. Make the pack of without_training_only(run)."
            )
        own = _shapes(self.slot_state_dict(slot))
        # Once counted and never run: runs of before this release have stored them too.
        tensors = {name: values for name, values in tensors.items() if name in own or not self._is_idle(name)}
        given = _shapes(tensors)
        if own != given:
            either = sorted(own.keys() | given.keys())
            differing = [name for name in either if own.get(name) != given.get(name)]
            raise BackboneError(
                f"Stored weights must be those of the same configuration on {self.backbone.name!r}; they differ in "
                f"{', '.join(differing[:3])}. Load them with the backbone and the configuration they were trained with."
            )
        for part_name, part in self._slot_parts():
            names = part.slot_state_dict(slot)
            part.load_slot_state_dict(slot, {name: tensors[_stored_name(part_name, name)] for name in names})
        # Views of the copied backbone's own parameters; of any other method there are none.
        for name, parameter in self._backbone_tensors().items():
            parameter.copy_(tensors[name])

    def counts(self, slot: int) -> tuple[int, int, int]:
        """Count one slot's numbers.

        Args:
            slot: The run's place in the pack.

        Returns:
            (trained, stored, in the head alone); the first two include the head.
        """
        stored = self.slot_state_dict(slot)
        total = sum(tensor.numel() for tensor in stored.values())
        head = sum(tensor.numel() for tensor in tensors_of(stored, "head").values())
        trained = sum(part.trained_count(slot) for _, part in self._slot_parts())
        trained += sum(tensor.numel() for tensor in self._backbone_tensors().values())
        return trained, total, head

    def close(self) -> None:
        """Take every hook off the backbone."""
        self._attached.detach()

    def __enter__(self) -> Self:
        """Enter the context; the hooks are already placed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach."""
        self.close()

    def _slot_parts(self) -> Iterator[tuple[str, SlotPart]]:
        """Yield every part with its name; a `ModuleDict` does not know what it holds."""
        for name, part in self.parts.items():
            if not isinstance(part, SlotPart):
                raise TypeError(f"a part must be a SlotPart; {name} is a {type(part).__name__}")
            yield name, part

    def _backbone_tensors(self) -> dict[str, Tensor]:
        """Return a fine-tuned backbone's trained tensors by name; of any other method there are none."""
        own = [tensor for tensor in self.trained() if not tensor.slotted]
        return {tensor.name: tensor.parameter.detach() for tensor in own}

    def _is_idle(self, stored: str) -> bool:
        """Tell whether a stored tensor belongs to a part of the backbone that never runs, or not by itself."""
        # Named from the model or from its base model, after the kind of part that trains it.
        _, _, module = stored.partition(".")
        base = f"{self.model.base_model_prefix}."
        family = self.backbone.family
        idle = (*family.idle, *family.unreached)
        return is_inside(module, [*idle, *(name.removeprefix(base) for name in idle)])

    def _unfreeze(self) -> None:
        """Train every weight of the copied backbone that takes part, the replaced head aside."""
        unused = unused_modules(self.backbone)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not is_inside(name, unused))


def _stored_name(part: str, tensor: str) -> str:
    return f"{part}.{tensor}".replace("/", ".")


def _check_runs(backbone: Backbone, trials: Sequence[TrialSpec]) -> None:
    """Check that every configuration can attach, and that one that cannot be packed is alone."""
    for trial in trials:
        check_trial(backbone, trial)
    alone = [trial.method for trial in trials if not packable(backbone, trial)]
    if alone and len(trials) > 1:
        raise ValueError(f"{alone[0]} changes what all rows of this backbone share, so it must be alone in its pack")
