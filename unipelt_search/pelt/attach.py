"""A pack: the trained parts of S runs, attached by hooks to one shared, unmodified backbone.

Everything is checked before the first hook is placed. While a pack is attached the backbone answers for the pack;
`close` takes every hook off again and leaves the backbone as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from unipelt_search.errors import BackboneError
from unipelt_search.pelt.adapter import SlotAdapter
from unipelt_search.pelt.attention import PrefixSite
from unipelt_search.pelt.backbone import Backbone
from unipelt_search.pelt.bitfit import SlotBias
from unipelt_search.pelt.dropout import DropoutKeys, hashed_dropout, site_key
from unipelt_search.pelt.gate import SlotGate
from unipelt_search.pelt.head import POOLED, Pooling, SlotLinear
from unipelt_search.pelt.lora import SlotLora
from unipelt_search.pelt.prefix import SlotPrefix
from unipelt_search.pelt.slots import ForwardState, Recorder, StateHolder
from unipelt_search.specs.methods import METHODS
from unipelt_search.specs.trial import RunSpec, TrialSpec


@dataclass(frozen=True)
class TrainedTensor:
    """A tensor that the optimizer changes."""

    name: str
    parameter: nn.Parameter
    slotted: bool
    """Whether the first dimension is the slot; a fine-tuned backbone's tensors have none."""
    decays: bool
    """Whether weight decay applies; never to biases, layer norms and gates."""

    def by_slot(self, tensor: Tensor) -> Tensor:
        """View the parameter, or a tensor of its shape, with a leading slot dimension."""
        return tensor if self.slotted else tensor.unsqueeze(0)


class DropoutSite:
    """A hook on one of the backbone's dropout modules, which themselves stay switched off."""

    def __init__(self, name: str, holder: StateHolder) -> None:
        """Take the site's name and where the pass under way is found."""
        self.key, self.holder = site_key(f"backbone.{name}"), holder

    def hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Drop features of ``(S·B, T, D)`` while training."""
        dropout = self.holder.now.dropout
        return output if dropout is None else hashed_dropout(output, dropout.keys, self.key, dropout.rates)


class GateReader:
    """A pre-hook on the attention module, which sees the input that prefix and LoRA gates read."""

    def __init__(self, gates: Sequence[SlotGate], holder: StateHolder) -> None:
        """Take one layer's gates and where the pass under way is found."""
        self.gates, self.holder = gates, holder

    def hook(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Compute the layer's gates from the attention module's input ``(S·B, T, D)``."""
        x = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        for gate in self.gates:
            gate(x, self.holder.now)


def bias_modules(backbone: Backbone) -> Iterator[tuple[str, int | None, nn.Module]]:
    """Name every frozen module with a bias that takes part in the forward pass.

    Args:
        backbone: The backbone.

    Yields:
        (name in the base model, layer or None, module).
    """
    family = backbone.family
    prefix = f"{backbone.model.base_model_prefix}."
    for name, module in backbone.base.named_modules():
        if not isinstance(getattr(module, "bias", None), nn.Parameter) or prefix + name in backbone.new_modules:
            continue
        if family.pooler and backbone.pooling != "native" and name.startswith(f"{family.pooler}."):
            continue
        rest = name.removeprefix(f"{family.layers}.")
        yield name, int(rest.split(".")[0]) if rest != name else None, module


def check_trial(backbone: Backbone, trial: TrialSpec) -> None:
    """Check that a configuration can attach to a backbone.

    Args:
        backbone: The backbone.
        trial: The configuration.

    Raises:
        BackboneError: It cannot; says why.
    """
    layer = backbone.base.get_submodule(backbone.family.layers)[0]
    query = layer.get_submodule(backbone.family.query).weight.shape
    value = layer.get_submodule(backbone.family.value).weight.shape
    width = layer.get_submodule(backbone.family.ffn_out).weight.shape[0]
    if trial.method == "bitfit" and not any(True for _ in bias_modules(backbone)):
        raise BackboneError(f"bitfit needs a backbone with biases; {backbone.name!r} has none. Leave bitfit out.")
    if trial.lora and trial.lora.rank > min(*query, *value):
        raise BackboneError(
            f"lora.rank must be at most {min(*query, *value)}, the smallest side of a projection of "
            f"{backbone.name!r}; got {trial.lora.rank}."
        )
    if trial.adapter and trial.adapter.bottleneck >= width:
        raise BackboneError(
            f"adapter.bottleneck must be below {width}, the hidden size of {backbone.name!r}; "
            f"got {trial.adapter.bottleneck}."
        )


def _is_bias_or_gate(name: str) -> bool:
    return name.endswith("bias") or name.startswith(("gate/", "bitfit/"))


class Pack(nn.Module):
    """The trained parts of S runs on one backbone. A context manager: leaving it detaches every hook."""

    def __init__(self, backbone: Backbone, runs: Sequence[RunSpec]) -> None:
        """Build the parts, draw their initial values from each run's own seed, and attach them.

        Args:
            backbone: The frozen backbone; shared, except that `fine_tuning` trains a copy of its own.
            runs: One run per slot; `fine_tuning` must be alone.

        Raises:
            BackboneError: A configuration cannot attach.
            ValueError: `fine_tuning` is not alone.
        """
        super().__init__()
        self.trials = [run.trial for run in runs]
        self.seeds = [run.seeds.init for run in runs]
        self.dropout_seeds = [run.seeds.dropout for run in runs]
        for trial in self.trials:
            check_trial(backbone, trial)
        self.tunes_backbone = any(METHODS[trial.method].trains == "backbone" for trial in self.trials)
        if self.tunes_backbone and len(runs) > 1:
            raise ValueError("fine_tuning changes the backbone itself, so it must be alone in its pack")
        # Kept out of nn.Module's registry: the backbone is shared and is no part of the pack's own tensors.
        model = copy.deepcopy(backbone.model) if self.tunes_backbone else backbone.model
        object.__setattr__(self, "model", model)
        self.backbone = backbone
        self.holder = StateHolder()
        self.parts = nn.ModuleDict()
        self._handles: list[RemovableHandle] = []
        self._prefix_sites: list[nn.Module] = []
        self.register_buffer("rates", torch.tensor([t.training.dropout for t in self.trials]), persistent=False)
        base = model.base_model
        self.layers = list(base.get_submodule(backbone.family.layers))
        self._attach_biases(base)
        self._attach_layers()
        self._attach_dropout(base)
        self._attach_head(base)
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
        recorder: Recorder | None = None,
        removed: frozenset[tuple[str, int | None]] = frozenset(),
    ) -> Tensor:
        """Compute every slot's logits.

        Args:
            inputs: `input_ids` and `attention_mask` ``(S·B, T)``, slot-major, perhaps `token_type_ids`.
            steps: Each slot's own training step, which keys its dropout; None switches dropout off.
            recorder: Who wants to see the gates.
            removed: (submodule, layer) pairs that act as if absent; layer None is all layers.

        Returns:
            ``(S, B, classes)``.
        """
        dropout = None
        if steps is not None and bool((self.rates > 0).any() or self._drops_elsewhere):
            dropout = DropoutKeys.of_step(self.dropout_seeds, steps, self.rates)
        tokens = inputs["attention_mask"].to(torch.float32)
        prefix = self.parts["prefix"].materialise() if "prefix" in self.parts else None
        self.holder.set(ForwardState(self.slots, tokens, dropout, recorder, removed, prefix=prefix))
        try:
            logits: Tensor = self.model(**inputs).logits
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

    def stored(self, slot: int) -> dict[str, Tensor]:
        """Return what must be kept to use one slot's model: no padding, no training-only MLP.

        Args:
            slot: The run's place in the pack.

        Returns:
            Tensors by name; the head's begin with ``head.``, a fine-tuned backbone's with ``backbone.``.
        """
        found: dict[str, Tensor] = {}
        for part_name, part in self.parts.items():
            for name, tensor in part.stored(slot).items():
                found[f"{part_name}.{name}".replace("/", ".")] = tensor.detach()
        found.update({t.name: t.parameter.detach() for t in self.trained() if not t.slotted})
        return found

    def counts(self, slot: int) -> tuple[int, int, int]:
        """Count one slot's numbers.

        Args:
            slot: The run's place in the pack.

        Returns:
            (trained, stored, in the head alone); the first two include the head.
        """
        stored = self.stored(slot)
        total = sum(tensor.numel() for tensor in stored.values())
        head = sum(tensor.numel() for name, tensor in stored.items() if name.startswith("head."))
        trained = total
        if "prefix.key_value" in stored:
            trained += self.parts["prefix"].trained_count(slot) - stored["prefix.key_value"].numel()
        return trained, total, head

    def close(self) -> None:
        """Take every hook off the backbone."""
        for handle in self._handles:
            handle.remove()
        for attention in self._prefix_sites:
            PrefixSite.detach(attention)
        self._handles.clear()
        self._prefix_sites.clear()

    def __enter__(self) -> Self:
        """Enter the context; the hooks are already placed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach."""
        self.close()

    def _uses(self, submodule: str) -> bool:
        return any(submodule in METHODS[trial.method].submodules for trial in self.trials)

    @property
    def _drops_elsewhere(self) -> bool:
        return any(trial.lora.dropout > 0 for trial in self.trials if trial.lora)

    def _gate(self, name: str, submodule: str, layer: int, width: int) -> SlotGate | None:
        """Make one gate, if any slot has that submodule gated."""
        gated = [t.gate is not None and submodule in METHODS[t.method].submodules for t in self.trials]
        if not any(gated):
            return None
        padding = [t.gate is not None and t.gate.pooling == "all_positions" for t in self.trials]
        gate = SlotGate(name, layer, width, self.seeds, gated, padding)
        self.parts[f"gate/{layer}/{name}"] = gate
        return gate

    def _attach_biases(self, base: nn.Module) -> None:
        if not self._uses("bitfit"):
            return
        for name, layer, _ in list(bias_modules(self.backbone)):
            module = base.get_submodule(name)
            width = module.bias.shape[0]
            part = SlotBias(layer, name, width, self.trials, self.seeds, self.holder)
            self.parts[f"bitfit/{name.replace('.', '/')}"] = part
            self._handles.append(module.register_forward_hook(part.hook))

    def _attach_layers(self) -> None:
        family, config = self.backbone.family, self.model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        head_width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        prefix = None
        if self._uses("prefix"):
            prefix = SlotPrefix(len(self.layers), heads, head_width, config.hidden_size, self.trials, self.seeds)
            self.parts["prefix"] = prefix
        for number, layer in enumerate(self.layers):
            attention = layer.get_submodule(family.attention)
            readers = []
            if self._uses("lora"):
                for projection in ("query", "value"):
                    linear = layer.get_submodule(getattr(family, projection))
                    shape = (linear.weight.shape[0], linear.weight.shape[1])
                    lora = SlotLora(number, projection, shape, self.trials, self.seeds, self.holder)
                    self.parts[f"lora/{number}/{projection}"] = lora
                    self._handles.append(linear.register_forward_hook(lora.hook))
                    readers.append(self._gate(f"lora_{projection}", "lora", number, shape[1]))
            if prefix is not None:
                PrefixSite(prefix, number, family.causal, self.holder).attach(attention)
                self._prefix_sites.append(attention)
                readers.append(self._gate("prefix", "prefix", number, config.hidden_size))
            gates = [gate for gate in readers if gate is not None]
            if gates:
                reader = GateReader(gates, self.holder)
                self._handles.append(attention.register_forward_pre_hook(reader.hook, with_kwargs=True))
            if self._uses("adapter"):
                linear = layer.get_submodule(family.ffn_out)
                width = linear.weight.shape[0]
                gate = self._gate("adapter", "adapter", number, width)
                adapter = SlotAdapter(number, width, self.trials, self.seeds, self.holder, gate)
                self.parts[f"adapter/{number}"] = adapter
                self._handles.append(linear.register_forward_hook(adapter.hook))

    def _attach_dropout(self, base: nn.Module) -> None:
        if not bool((self.rates > 0).any()):
            return
        family = self.backbone.family
        sites = [(f"layer.{i}.{name}", layer.get_submodule(name)) for i, layer in enumerate(self.layers)
                 for name in family.layer_dropout]  # fmt: skip
        if family.embedding_dropout:
            sites.append(("embedding", base.get_submodule(family.embedding_dropout)))
        for name, module in sites:
            self._handles.append(module.register_forward_hook(DropoutSite(name, self.holder).hook))

    def _attach_head(self, base: nn.Module) -> None:
        backbone, family = self.backbone, self.backbone.family
        std = getattr(self.model.config, "initializer_range", None) or 0.02
        native = backbone.pooling == "native"
        if native or family.pooler:
            for name in backbone.new_modules:
                linear = self.model.get_submodule(name)
                slot_linear = SlotLinear(
                    name, tuple(linear.weight.shape), linear.bias is not None, std, self.seeds, self.holder
                )
                self.parts[f"head/{name.replace('.', '/')}"] = slot_linear
                self._handles.append(linear.register_forward_hook(slot_linear.hook))
            if not native:
                pooling = Pooling(backbone.pooling, self.holder, None, every_position=False)
                self._handles.append(base.get_submodule(family.pooler or "").register_forward_hook(pooling.hook))
            return
        shape = (backbone.classes, self.model.config.hidden_size)
        slot_linear = SlotLinear(POOLED, shape, not family.causal, std, self.seeds, self.holder)
        self.parts[f"head/{POOLED}"] = slot_linear
        pooling = Pooling(backbone.pooling, self.holder, slot_linear, every_position=family.causal)
        self._handles.append(self.model.get_submodule(family.head_module).register_forward_hook(pooling.hook))

    def _unfreeze(self) -> None:
        """Train every weight of the copied backbone that takes part, the replaced head aside."""
        family = self.backbone.family
        unused = [family.head_module, *self.backbone.new_modules]
        if family.pooler and self.backbone.pooling != "native":
            unused.append(f"{self.model.base_model_prefix}.{family.pooler}")
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not any(name == part or name.startswith(f"{part}.") for part in unused))
