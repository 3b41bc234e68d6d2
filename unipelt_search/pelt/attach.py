"""Placing the trained parts of a pack on a backbone by hooks, which `Attached.detach` takes off again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import LayerParts, Projection, attention_shape, layer_parts
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.adapter import SlotAdapter
from unipelt_search.pelt.applicability import bias_modules
from unipelt_search.pelt.bitfit import SlotBias
from unipelt_search.pelt.dropout import site_key
from unipelt_search.pelt.gate import GateWeights, SlotGate
from unipelt_search.pelt.head import POOLED, Head, SlotLinear, SlotNorm
from unipelt_search.pelt.ia3 import SlotIa3
from unipelt_search.pelt.lora import SlotLora
from unipelt_search.pelt.prefix import SlotPrefix
from unipelt_search.pelt.prefix_attention import PrefixSite, Splice
from unipelt_search.pelt.slots import ContextHolder
from unipelt_search.specs.trial import TrialSpec


class DropoutSite:
    """A hook on one of the backbone's dropout modules, which themselves stay switched off."""

    def __init__(self, name: str, holder: ContextHolder) -> None:
        """Take the site's name and where the pass under way is found."""
        self.key, self.holder = site_key(f"backbone.{name}"), holder

    def hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Drop features of ``(S·B, T, D)`` while training."""
        dropout = self.holder.context.dropout
        return output if dropout is None else dropout.drop(output, self.key)


class AttentionReader:
    """A pre-hook on the attention module, which sees the input that prefix and LoRA gates read."""

    def __init__(self, layer: int, gates: Sequence[SlotGate], keeps_input: bool, holder: ContextHolder) -> None:
        """Take one layer's gates, whether LoRA or IA3 ask for the input, and where the pass under way is found."""
        self.layer, self.gates, self.keeps_input, self.holder = layer, gates, keeps_input, holder

    def hook(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Compute the layer's gates from the attention module's input ``(S·B, T, D)``."""
        x = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        if self.keeps_input:
            self.holder.context.attention_inputs[self.layer] = x
        for gate in self.gates:
            gate(x, self.holder.context)


@dataclass
class Attached:
    """What hangs on a backbone."""

    parts: nn.ModuleDict = field(default_factory=nn.ModuleDict)
    """Everything that is trained, by name."""
    handles: list[RemovableHandle | PrefixSite | Splice] = field(default_factory=list)
    """What takes the parts off again."""
    head: Head | None = None
    """What computes the logits."""

    def detach(self) -> None:
        """Take every hook off the backbone."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()


class Attacher:
    """Builds the parts of a pack's runs and places them; each part draws its values from its run's own seed."""

    def __init__(
        self, backbone: Backbone, model: Any, trials: Sequence[TrialSpec], seeds: Sequence[int], holder: ContextHolder
    ) -> None:
        """Take what the parts are made of.

        Args:
            backbone: The backbone; every configuration was checked against it.
            model: Its model, or the copy that is trained whole.
            trials: Each slot's configuration.
            seeds: Each slot's initialisation seed.
            holder: Where hooks find the pass under way.
        """
        self.backbone, self.model, self.trials, self.seeds, self.holder = backbone, model, trials, seeds, holder
        self.layers = layer_parts(model.base_model, backbone.family)
        self.attached = Attached()

    def attach(self) -> Attached:
        """Place everything.

        Returns:
            The parts, and what takes them off again.
        """
        self._attach_biases()
        prefix = self._make_prefix()
        for layer in self.layers:
            self._attach_lora(layer)
            self._attach_prefix(layer, prefix)
            self._attach_reader(layer)
            self._attach_adapter(layer)
            self._attach_parallel_adapter(layer)
            self._attach_ia3(layer)
        self._attach_dropout()
        self.attached.head = self._attach_head()
        return self.attached

    def _uses(self, submodule: str, layer: int | None = None) -> bool:
        return any(
            submodule in find_method(trial.method).submodules and (submodule, layer) not in trial.without
            for trial in self.trials
        )

    def _gate(self, name: str, submodule: str, layer: int, width: int) -> SlotGate | None:
        """Make one gate, if any slot has that submodule gated."""
        gated = [t.gate is not None and submodule in find_method(t.method).submodules for t in self.trials]
        if not any(gated) or not self._uses(submodule, layer):
            return None
        padding = [t.gate is not None and t.gate.pooling == "all_positions" for t in self.trials]
        gate = SlotGate(name, layer, width, self.seeds, gated, padding, self._shared_gate(name, width, gated))
        self.attached.parts[f"gate/{layer}/{name}"] = gate
        return gate

    def _shared_gate(self, name: str, width: int, gated: Sequence[bool]) -> GateWeights | None:
        """Make the weights that all layers share, with the first layer's gate, if any slot shares them."""
        sharing = [
            has and trial.gate is not None and trial.gate.sharing == "shared"
            for has, trial in zip(gated, self.trials, strict=True)
        ]
        if not any(sharing):
            return None
        part = f"gate/shared/{name}"
        if part not in self.attached.parts:
            self.attached.parts[part] = GateWeights(f"shared.{name}", width, self.seeds, sharing)
        shared: GateWeights = self.attached.parts[part]  # type: ignore[assignment]
        return shared

    def _attach_biases(self) -> None:
        if not self._uses("bitfit"):
            return
        base = f"{self.model.base_model_prefix}."
        for full_name, layer, module in list(bias_modules(self.backbone)):
            name = full_name.removeprefix(base)
            part = SlotBias(layer, name, module.bias.shape[0], self.trials, self.seeds, self.holder)
            self.attached.parts[f"bitfit/{name.replace('.', '/')}"] = part
            self.attached.handles.append(module.register_forward_hook(part.hook))

    def _attach_lora(self, layer: LayerParts) -> None:
        if not self._uses("lora", layer.number):
            return
        projections: tuple[tuple[str, Projection], ...] = (("query", layer.query), ("value", layer.value))
        for name, projection in projections:
            shape = (projection.out, projection.inner)
            lora = SlotLora(layer.number, name, shape, self.trials, self.seeds, self.holder)
            self.attached.parts[f"lora/{layer.number}/{name}"] = lora
            self.attached.handles.append(projection.register_forward_hook(lora.hook))

    def _make_prefix(self) -> SlotPrefix | None:
        if not self._uses("prefix"):
            return None
        shape = attention_shape(self.model.config)
        layers = [layer.number for layer in self.layers if self._uses("prefix", layer.number)]
        if not layers:
            return None
        prefix = SlotPrefix(layers, shape.heads, shape.head_width, shape.width, self.trials, self.seeds)
        self.attached.parts["prefix"] = prefix
        return prefix

    def _attach_prefix(self, layer: LayerParts, prefix: SlotPrefix | None) -> None:
        if prefix is None or not self._uses("prefix", layer.number):
            return
        site = Splice if self.backbone.family.spliced_prefix else PrefixSite
        self.attached.handles.append(site(prefix, layer, self.holder).attach())

    def _attach_reader(self, layer: LayerParts) -> None:
        """Compute the gates that read the attention module's input, before that module runs."""
        wanted = [
            self._gate("lora_query", "lora", layer.number, layer.query.inner),
            self._gate("lora_value", "lora", layer.number, layer.value.inner),
            self._gate("prefix", "prefix", layer.number, layer.query.inner),
        ]
        gates = [gate for gate in wanted if gate is not None]
        keeps_input = self.backbone.family.shares_positions and (self._uses("lora") or self._uses("ia3"))
        if gates or keeps_input:
            hook = AttentionReader(layer.number, gates, keeps_input, self.holder).hook
            self.attached.handles.append(layer.attention.register_forward_pre_hook(hook, with_kwargs=True))

    def _attach_adapter(self, layer: LayerParts) -> None:
        if not self._uses("adapter", layer.number):
            return
        width = layer.ffn_out.out
        gate = self._gate("adapter", "adapter", layer.number, width)
        adapter = SlotAdapter(layer.number, width, self.trials, self.seeds, self.holder, gate)
        self.attached.parts[f"adapter/{layer.number}"] = adapter
        self.attached.handles.append(layer.ffn_out.module.register_forward_hook(adapter.hook))

    def _attach_parallel_adapter(self, layer: LayerParts) -> None:
        if not self._uses("parallel_adapter"):
            return
        width = layer.ffn_out.out
        adapter = SlotAdapter(layer.number, width, self.trials, self.seeds, self.holder, None, "parallel_adapter")
        self.attached.parts[f"parallel_adapter/{layer.number}"] = adapter
        self.attached.handles.append(layer.ffn_in.register_forward_pre_hook(adapter.read))
        self.attached.handles.append(layer.ffn_out.module.register_forward_hook(adapter.hook))

    def _attach_ia3(self, layer: LayerParts) -> None:
        if not self._uses("ia3"):
            return
        parts = {
            site: SlotIa3(layer.number, site, width, self.trials, self.seeds, self.holder)
            for site, width in (("key", layer.key.out), ("value", layer.value.out), ("ffn", layer.ffn_out.inner))
        }
        self.attached.parts.update({f"ia3/{layer.number}/{site}": part for site, part in parts.items()})
        self.attached.handles += [
            layer.key.register_forward_hook(parts["key"].output_hook),
            layer.value.register_forward_hook(parts["value"].output_hook),
            layer.ffn_out.module.register_forward_pre_hook(parts["ffn"].input_hook),
        ]

    def _attach_dropout(self) -> None:
        if not any(trial.training.dropout > 0 for trial in self.trials):
            return
        sites = [(f"layer.{layer.number}.{name}", module) for layer in self.layers for name, module in layer.dropouts]
        embedding = self.backbone.family.embedding_dropout
        if embedding is not None:
            sites.append(("embedding", self.model.base_model.get_submodule(embedding)))
        for name, module in sites:
            self.attached.handles.append(module.register_forward_hook(DropoutSite(name, self.holder).hook))

    def _attach_head(self) -> Head:
        backbone, family = self.backbone, self.backbone.family
        std = getattr(self.model.config, "initializer_range", None) or 0.02
        if backbone.pooling == "native":
            for name in backbone.new_modules:
                module = self.model.get_submodule(name)
                bias = module.bias is not None
                part: SlotLinear | SlotNorm
                if isinstance(module, nn.Linear):
                    part = SlotLinear(name, tuple(module.weight.shape), bias, std, self.seeds, self.holder)
                else:
                    part = SlotNorm(name, module.weight.shape[0], bias, self.seeds)
                self.attached.parts[f"head/{name.replace('.', '/')}"] = part
                self.attached.handles.append(module.register_forward_hook(part.hook))
            return Head(self.model, family, backbone.pooling, None, self.holder)
        width = self.model.get_submodule(family.head[-1]).weight.shape[1]
        # A classifier that follows a pooler in the architecture follows our pooling in its place.
        name = family.head[-1] if family.pooler else POOLED
        linear = SlotLinear(name, (backbone.classes, width), not family.causal, std, self.seeds, self.holder)
        self.attached.parts[f"head/{name.replace('.', '/')}"] = linear
        return Head(self.model, family, backbone.pooling, linear, self.holder)
