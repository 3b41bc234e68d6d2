"""The contract of a submodule: one technique that attaches to a frozen backbone, the torch half of its settings module.

Ours and those of plug-ins are the same: attaching, packing, checkpoints, merging and exporting know this protocol only.
`pytest --pyargs unipelt_search.testing` holds every registered submodule to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import LayerParts
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.specs.trial import TrialSpec


@dataclass(frozen=True)
class Obstacle:
    """Why a form of export cannot hold a configuration."""

    reason: str
    """Half a sentence, for a message that says which form was asked for."""
    instead: str | None = None
    """What would help, where something does, as half a sentence."""


@dataclass(frozen=True)
class PeftForm:
    """A submodule as the library PEFT holds it; data, because PEFT is an optional dependency."""

    peft_type: str
    """PEFT's name of the type, such as ``LORA``."""
    settings: dict[str, Any]
    """The settings of PEFT's configuration of that type."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Values of the parameters of the wrapped model, by name; every parameter that PEFT makes is among them."""


@runtime_checkable
class Submodule(Protocol):
    """One technique. Derive from it: whatever a technique does not say has a default that holds for any."""

    name: str
    """As in its settings module; its parts' names begin with it."""
    order: int = 100
    """Where its hooks stand among those of others on the same module, the smaller the earlier; ours are 10 to 60."""
    needs: tuple[str, ...] = ()
    """The parts of a layer that it attaches to, as attributes of `LayerParts`; layers without them are left alone."""
    changes_at_first: bool = False
    """Whether it changes the logits before the first step; most techniques begin at zero, a prefix does not."""
    merge_targets: tuple[str, ...] = ()
    """The linear layers that it changes and can be merged into, as attributes of `LayerParts`."""
    has_peft_form: bool = False
    """Whether PEFT can hold some configurations of it."""

    def changes_logits_at_first(self, trial: TrialSpec) -> bool:
        """Tell whether a configuration changes the logits before the first step.

        Args:
            trial: A configuration with this submodule.

        Returns:
            Whether it does; `changes_at_first` of any configuration, where that is all that matters.
        """
        return self.changes_at_first

    def check(self, backbone: Backbone, trial: TrialSpec, tokens: int) -> None:
        """Check that a configuration with this submodule can attach to a backbone; any can, unless this says no.

        Args:
            backbone: The backbone; nothing of it is changed.
            trial: The configuration.
            tokens: Tokens of a row at most; 1 where that is not known.

        Raises:
            BackboneError: It cannot; says why, and what to do.
        """
        return

    def packable(self, backbone: Backbone) -> bool:
        """Tell whether its runs can share a backbone with other runs; all can, unless this says no."""
        return True

    def attach_model(self, attachment: Attachment) -> None:
        """Attach what belongs to no single layer, before any layer; nothing, unless this does.

        Args:
            attachment: Takes parts, named ``<name>`` or ``<name>/…``, and the handles of hooks.
        """
        return

    def attach_layer(self, attachment: Attachment, layer: LayerParts) -> None:
        """Attach to one layer that has it in some slot and has what it needs: its parts, its gate, its hooks.

        A hook sees ``(S·B, T, D)``, slot-major, finds the pass under way in ``attachment.slots.holder``, leaves the
        output alone where ``context.is_removed(name, layer)``, and adds nothing in slots without the submodule.

        Args:
            attachment: Takes parts, named ``<name>/…``, and the handles of hooks.
            layer: The layer.
        """
        return

    def closed_gate_removes(self, trial: TrialSpec) -> bool:
        """Tell whether a gate at 0 acts as if the submodule were absent in its layer; it does, unless overridden.

        Args:
            trial: A gated configuration with this submodule.

        Returns:
            False only where a published form of the gate cannot switch the submodule off.
        """
        return True

    def decays(self, tensor: str) -> bool:
        """Tell whether weight decay applies to a trained tensor, by its name; to all but biases, unless overridden."""
        return not tensor.endswith("bias")

    def stored_form(self, trial: TrialSpec) -> TrialSpec:
        """Return the configuration that takes what is stored: without what is only there while training.

        Args:
            trial: The configuration that is trained.

        Returns:
            The same one where all that is trained is stored.
        """
        return trial

    def merge_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Say why a configuration without gates cannot be merged into its backbone's weights; None if it can."""
        return Obstacle(f"nothing says how {self.name} is merged into the weights of a backbone")

    def merge(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> None:
        """Change a copy of the backbone's weights so that it computes the same without the submodule.

        Args:
            backbone: The backbone, for the names of its parts.
            model: The copy, which is changed.
            trial: The configuration; `merge_obstacle` found nothing.
            tensors: The submodule's stored tensors, without its name in front: ``0.query.up``.
        """
        raise RuntimeError(f"{self.name} must not be merged: merge_obstacle says why")

    def peft_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Say why PEFT cannot hold a configuration without gates exactly; None if it can."""
        return Obstacle(f"PEFT has no {self.name}")

    def peft_form(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> PeftForm:
        """Return a configuration as PEFT holds it.

        Args:
            backbone: The backbone, for the names of its parts.
            model: The model that PEFT will wrap, a copy; its own weights may be changed.
            trial: The configuration; `peft_obstacle` found nothing.
            tensors: As in `merge`.

        Returns:
            PEFT's type, its settings, and its tensors.
        """
        raise RuntimeError(f"{self.name} must not be given to PEFT: peft_obstacle says why")
