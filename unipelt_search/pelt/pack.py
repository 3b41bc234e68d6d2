"""A pack: the trained parts of S runs, attached by hooks to one shared, unmodified backbone.

Everything is checked before the first hook is placed. While a pack is attached the backbone answers for the pack;
`close` takes every hook off again and leaves the backbone as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.errors import BackboneError
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.applicability import check_shift, check_trial, needs_own_pack, unused_modules
from unipelt_search.pelt.attach import Attacher
from unipelt_search.pelt.dropout import DropoutKeys
from unipelt_search.pelt.slots import ContextHolder, ForwardContext, Recorder
from unipelt_search.specs.trial import RunSpec


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


PREFIX_VALUES = "prefix.key_value"


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None


def _is_bias_or_gate(name: str) -> bool:
    return name.endswith("bias") or name.startswith(("gate/", "bitfit/", "ia3/"))


def without_prefix_mlp(run: RunSpec) -> RunSpec:
    """Return a run whose pack takes what `Pack.stored` returned: a prefix's training-only MLP is not among it.

    Args:
        run: The run that was trained.

    Returns:
        The same run with a plain prefix, if it has one.
    """
    if run.trial.prefix is None:
        return run
    prefix = run.trial.prefix.model_copy(update={"mlp": None})
    return run.model_copy(update={"trial": run.trial.model_copy(update={"prefix": prefix})})


class Pack(nn.Module):
    """The trained parts of S runs on one backbone. A context manager: leaving it detaches every hook."""

    def __init__(self, backbone: Backbone, runs: Sequence[RunSpec]) -> None:
        """Build the parts, draw their initial values from each run's own seed, and attach them.

        Args:
            backbone: The frozen backbone; shared, except that `fine_tuning` trains a copy of its own.
            runs: One run per slot; one that `needs_own_pack` is the only one.

        Raises:
            BackboneError: A configuration cannot attach.
            ValueError: A run that must be alone is not.
        """
        super().__init__()
        self.trials = [run.trial for run in runs]
        self.seeds = [run.seeds.init for run in runs]
        self.dropout_seeds = [run.seeds.dropout for run in runs]
        for trial in self.trials:
            check_trial(backbone, trial)
        self.tunes_backbone = any(find_method(trial.method).trains == "backbone" for trial in self.trials)
        alone = [trial.method for trial in self.trials if needs_own_pack(backbone, trial)]
        if alone and len(runs) > 1:
            raise ValueError(
                f"{alone[0]} changes what all rows of this backbone share, so it must be alone in its pack"
            )
        # Kept out of nn.Module's registry: the backbone is shared and is no part of the pack's own tensors.
        model = copy.deepcopy(backbone.model) if self.tunes_backbone else backbone.model
        object.__setattr__(self, "model", model)
        self.backbone = backbone
        self.holder = ContextHolder()
        self.register_buffer("rates", torch.tensor([t.training.dropout for t in self.trials]), persistent=False)
        attacher = Attacher(backbone, model, self.trials, self.seeds, self.holder)
        self.layers = attacher.layers
        self._attached = attacher.attach()
        self.parts = self._attached.parts
        shifts = [t.prefix.shift if t.prefix and "prefix" in self.parts else 0 for t in self.trials]
        self.longest_shift = max(shifts)
        self.register_buffer("shifts", torch.tensor(shifts), persistent=False)
        if self._attached.head is None:
            raise RuntimeError("attaching must make a head")
        self._logits = self._attached.head
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
            BackboneError: A row has too many tokens to stand behind a prefix with positions.
        """
        dropout = None
        if steps is not None and bool((self.rates > 0).any() or self._drops_elsewhere):
            dropout = DropoutKeys.of_step(self.dropout_seeds, steps, self.rates, first_row=first_row)
        tokens = inputs["attention_mask"].to(torch.float32)
        prefix = self.parts["prefix"].materialise() if "prefix" in self.parts else None
        state = ForwardContext(self.slots, tokens, dropout, recorder, removed, prefix=prefix)
        self.holder.set(state)
        try:
            logits = self._logits(self._placed(inputs, state))
            state.show_recorder()
        finally:
            self.holder.set(None)
        return logits.view(self.slots, -1, logits.shape[-1])

    def trained(self) -> list[TrainedTensor]:
        """List every tensor that is trained, the head's last."""
        tensors = [
            TrainedTensor(name, parameter, slotted=True, decays=not _is_bias_or_gate(name))
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
        return [tensor.by_slot(tensor.parameter.detach())[slot].clone() for tensor in self.trained()]

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
        for part_name, part in self.parts.items():
            for name, tensor in part.slot_state_dict(slot).items():
                found[f"{part_name}.{name}".replace("/", ".")] = tensor.detach()
        found.update({t.name: t.parameter.detach() for t in self.trained() if not t.slotted})
        return found

    @torch.no_grad()
    def load_slot_state_dict(self, slot: int, tensors: Mapping[str, Tensor]) -> None:
        """Take one slot's weights from what `stored` returned for the same configuration, the inverse of it.

        Args:
            slot: The run's place in the pack; the run is `without_prefix_mlp`.
            tensors: What `stored` returned, on any device.

        Raises:
            BackboneError: Names or shapes are not those of this configuration on this backbone.
            ValueError: The slot's prefix comes out of an MLP, which is not stored.
        """
        prefix = self.trials[slot].prefix
        if prefix is not None and prefix.mlp is not None:
            raise ValueError("stored keys and values go into a prefix without MLP: as_stored(run) has one")
        own = self.slot_state_dict(slot)
        if {n: tuple(t.shape) for n, t in own.items()} != {n: tuple(t.shape) for n, t in tensors.items()}:
            differing = sorted(n for n in own.keys() | tensors.keys() if _shape(own, n) != _shape(tensors, n))
            raise BackboneError(
                f"Stored weights must be those of the same configuration on {self.backbone.name!r}; they differ in "
                f"{', '.join(differing[:3])}. Load them with the backbone and the configuration they were trained with."
            )
        for name, tensor in tensors.items():
            if name == PREFIX_VALUES:  # of a mixed pack computed anew in every pass, so no view of what is trained
                self.parts["prefix"].set_key_value(slot, tensor)
            else:
                own[name].copy_(tensor)

    def counts(self, slot: int) -> tuple[int, int, int]:
        """Count one slot's numbers.

        Args:
            slot: The run's place in the pack.

        Returns:
            (trained, stored, in the head alone); the first two include the head.
        """
        stored = self.slot_state_dict(slot)
        total = sum(tensor.numel() for tensor in stored.values())
        head = sum(tensor.numel() for name, tensor in stored.items() if name.startswith("head."))
        trained = total
        if PREFIX_VALUES in stored:
            trained += self.parts["prefix"].trained_count(slot) - stored[PREFIX_VALUES].numel()
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

    def _placed(self, inputs: dict[str, Tensor], state: ForwardContext) -> dict[str, Tensor]:
        """Say where the tokens ``(S·B, T)`` are, if they begin behind some slot's prefix and that is there."""
        if not self.longest_shift or ("prefix", None) in state.removed:
            return inputs
        ids = inputs["input_ids"]
        check_shift(self.backbone, self.longest_shift, ids.shape[1])
        return {**inputs, "position_ids": self.backbone.positions_of(ids, state.per_row(self.shifts))}

    @property
    def _drops_elsewhere(self) -> bool:
        return any(trial.lora.dropout > 0 for trial in self.trials if trial.lora)

    def _unfreeze(self) -> None:
        """Train every weight of the copied backbone that takes part, the replaced head aside."""
        unused = unused_modules(self.backbone)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not any(name == part or name.startswith(f"{part}.") for part in unused))
