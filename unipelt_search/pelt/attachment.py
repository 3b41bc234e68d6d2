"""What hangs on a backbone while a pack is attached, and how a submodule hangs it there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import LayerParts, Projection, present
from unipelt_search.pelt.gate import GateWeights, SlotGate
from unipelt_search.pelt.slots import ContextHolder, ForwardContext, PackSlots, SlotPart

Inputs = dict[str, Tensor]
"""`input_ids` and `attention_mask` ``(S·B, T)``, slot-major, perhaps more."""
Preparation = Callable[[Inputs, ForwardContext], Inputs]
"""Runs before each pass: may keep something in the context, and returns the inputs to use."""
HookedModule = nn.Module | Projection
OutputHook = Callable[[nn.Module, tuple[Any, ...], Any], Any]
"""A forward hook: (module, its arguments, its output) → the output to use, or None to leave it."""


class Handle(Protocol):
    """What takes a hook off again."""

    def remove(self) -> None:
        """Take it off."""


class AttentionReader:
    """A pre-hook on the attention module, which sees the input that most gates read."""

    def __init__(
        self,
        layer: int,
        gates: Sequence[SlotGate],
        keeps_input: bool,
        holder: ContextHolder,
    ) -> None:
        """Take one layer's gates, whether its input is kept for others, and where the pass under way is found."""
        self.layer = layer
        self.gates = gates
        self.keeps_input = keeps_input
        self.holder = holder

    def hook(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Compute the layer's gates from the attention module's input ``(S·B, T, D)``."""
        # Architectures differ in whether they pass the hidden states by position or by name.
        x = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        if self.keeps_input:
            self.holder.context.attention_inputs[self.layer] = x
        for gate in self.gates:
            gate(x, self.holder.context)


class Attachment:
    """The trained parts of a pack's runs on one backbone, and what takes them off again."""

    def __init__(
        self,
        backbone: Backbone,
        model: Any,
        layers: Sequence[LayerParts],
        slots: PackSlots,
    ) -> None:
        """Begin with nothing.

        Args:
            backbone: The backbone; every configuration was checked against it.
            model: Its model, or the copy that is trained whole.
            layers: The model's layers.
            slots: The pack's runs.
        """
        self.backbone = backbone
        self.model = model
        self.layers = layers
        self.slots = slots
        self.parts = nn.ModuleDict()
        """Everything that is trained, by name."""
        self.preparations: list[Preparation] = []
        """What runs before each pass."""
        self.drops = any(trial.training.dropout > 0 for trial in slots.trials)
        """Whether anything is dropped while training."""
        self._handles: list[Handle] = []
        self._attention_gates: dict[int, list[SlotGate]] = {}
        self._kept_inputs: set[int] = set()
        self._last_hooks: list[tuple[HookedModule, OutputHook]] = []

    def uses(self, submodule: str, layer: int | None = None) -> bool:
        """Tell whether any slot has a submodule, in one layer or anywhere."""
        pairs = zip(self.slots.has(submodule), self.slots.trials, strict=True)
        return any(has and (submodule, layer) not in trial.without for has, trial in pairs)

    def add_part(self, name: str, part: SlotPart) -> None:
        """Take a trained part; its tensors' names begin with its own, which begins with its submodule's."""
        self.parts[name] = part

    def add_handle(self, handle: Handle) -> None:
        """Take what removes a hook again."""
        self._handles.append(handle)

    def add_last_hook(self, module: HookedModule, hook: OutputHook) -> None:
        """Hook a module's output, or a projection's, after all that the layer's submodules do there.

        Args:
            module: What is hooked once every submodule is attached to the layer.
            hook: Sees what the others make of the output.
        """
        self._last_hooks.append((module, hook))

    def gate(
        self,
        submodule: str,
        layer: int,
        width: int,
        name: str | None = None,
    ) -> SlotGate | None:
        """Make one gate, if any slot has the submodule gated in that layer; whoever asks for it calls it.

        Args:
            submodule: What is gated.
            layer: The layer, counted from 0.
            width: Features of the gate's input, D.
            name: The gate's name, where a submodule has several in a layer; its own otherwise.

        Returns:
            The gate, or None.
        """
        gated = self.slots.gated(submodule)
        # `uses` too: the only slots that have it may leave it out of this layer.
        if not any(gated) or not self.uses(submodule, layer):
            return None
        name = name or submodule
        shared = self._shared_weights(name, width, gated)
        gate = SlotGate(name, layer, width, self.slots, gated, shared)
        self.add_part(f"gate/{layer}/{name}", gate)
        return gate

    def attention_gate(
        self,
        submodule: str,
        layer: LayerParts,
        width: int,
        name: str | None = None,
    ) -> bool:
        """Make one gate that is computed from the attention module's input, before that module runs.

        Args:
            submodule: What is gated.
            layer: The layer.
            width: Features of the attention module's input, D.
            name: As in `gate`.

        Returns:
            Whether any slot has it; its value is in ``context.gates`` under (layer, name).
        """
        gate = self.gate(submodule, layer.number, width, name)
        if gate is None:
            return False
        self._attention_gates.setdefault(layer.number, []).append(gate)
        return True

    def keep_attention_input(self, layer: int) -> None:
        """Keep the attention module's input of every pass in ``context.attention_inputs``."""
        self._kept_inputs.add(layer)

    def finish_layer(self, layer: LayerParts) -> None:
        """Hook what was asked of the attention module's input, and what comes last, once every submodule has asked."""
        gates = self._attention_gates.get(layer.number, [])
        keeps_input = layer.number in self._kept_inputs
        if gates or keeps_input:
            reader = AttentionReader(layer.number, gates, keeps_input, self.slots.holder)
            self.add_handle(present(layer.attention).register_forward_pre_hook(reader.hook, with_kwargs=True))
        for module, hook in self._last_hooks:
            self.add_handle(module.register_forward_hook(hook))
        self._last_hooks.clear()

    def detach(self) -> None:
        """Take every hook off the backbone."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _shared_weights(self, name: str, width: int, gated: Sequence[bool]) -> GateWeights | None:
        """Make the weights that all layers share, with the first layer's gate, if any slot shares them."""
        pairs = zip(gated, self.slots.gates, strict=True)
        sharing = [has and gate is not None and gate.sharing == "shared" for has, gate in pairs]
        if not any(sharing):
            return None
        part = f"gate/shared/{name}"
        if part not in self.parts:
            self.add_part(part, GateWeights(f"shared.{name}", width, self.slots.seeds, sharing))
        shared: GateWeights = self.parts[part]  # type: ignore[assignment]
        return shared
