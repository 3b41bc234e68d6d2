"""Prefix-tuning (Li and Liang, 2021, arXiv 2101.00190): trained keys and values in front of each layer's attention."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.integrations.heterogeneity.configuration_utils import AmbiguousGlobalPerLayerAttributeError

from unipelt_search.backbones.attention_interface import ATTENTION, EAGER_ATTENTION
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import LayerParts, attention_shape, layer_parts, present
from unipelt_search.errors import BackboneError
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.attachment import Attachment, Inputs
from unipelt_search.pelt.prefix_attention import PrefixSite, Splice
from unipelt_search.pelt.prefix_values import SlotPrefix
from unipelt_search.pelt.slots import ForwardContext
from unipelt_search.pelt.submodule import Obstacle, PeftForm, Submodule
from unipelt_search.specs.trial import TrialSpec

NEEDS = ("attention", "query", "value")
"""The parts of a layer that can have a prefix."""
UNSHIFTED = "PEFT moves the tokens' positions up by the prefix's length, and this model was trained without that"


def check_shift(backbone: Backbone, shift: int, tokens: int) -> None:
    """Check that tokens' positions can be moved up by a prefix's length.

    Args:
        backbone: The backbone.
        shift: Positions that they are moved up by; 0 is always possible.
        tokens: Tokens of a row at most.

    Raises:
        BackboneError: The model's type cannot, or has not that many positions.
    """
    if not shift:
        return
    config = backbone.model.config
    if backbone.family.positions is None:
        raise BackboneError(
            f"prefix.position_shift needs a type of model whose positions can begin after a prefix as PEFT has it; "
            f"{config.model_type!r} is none. Leave prefix.position_shift out."
        )
    # With a sliding window a token does not see PEFT's prefix, which has positions; ours has none.
    window = getattr(config, "sliding_window", None) or backbone.max_positions
    max_positions = min(backbone.max_positions, window)
    if shift + tokens > max_positions:
        where = " in the window of its attention" if max_positions < backbone.max_positions else ""
        raise BackboneError(
            f"prefix.position_shift needs {shift} + {tokens} positions, for the prefix and for the tokens of a text; "
            f"{backbone.name!r} has {max_positions}{where}. Set a smaller task.max_length or prefix.length, or leave "
            "prefix.position_shift out."
        )


def check_attention(backbone: Backbone, method: str) -> None:
    """Check that a prefix reaches a backbone's attention; where it does not, it would silently be absent.

    Args:
        backbone: The backbone.
        method: What to leave out otherwise.

    Raises:
        BackboneError: It does not.
    """
    config = backbone.model.config
    layers = [layer for layer in layer_parts(backbone.base, backbone.family) if layer.has(NEEDS)]
    attention = type(present(layers[0].attention))
    asks = "ALL_ATTENTION_FUNCTIONS" in inspect.getsource(attention.forward)
    ours = config._attn_implementation in (ATTENTION, EAGER_ATTENTION)
    if not backbone.family.spliced_prefix and not (asks and ours):
        raise BackboneError(
            f"A prefix needs an attention that asks transformers' attention interface for plain attention; that of "
            f"type {config.model_type!r} does not. Leave {method} out."
        )
    try:
        shape = attention_shape(config)
    except AmbiguousGlobalPerLayerAttributeError as error:
        raise BackboneError(
            f"A prefix needs heads of the same width in every layer; those of type {config.model_type!r} differ. "
            f"Leave {method} out."
        ) from error
    widths = {present(layer.value).out for layer in layers}
    if {shape.heads * shape.value_width} != widths:
        raise BackboneError(
            f"A prefix needs values of heads · head width = {shape.heads} · {shape.value_width} features in every "
            f"layer; those of {backbone.name!r} have {', '.join(map(str, sorted(widths)))}. Leave {method} out."
        )


@dataclass(frozen=True)
class PrefixPass:
    """What a prefix does before each pass."""

    prefix: SlotPrefix
    backbone: Backbone

    def prepare(self, inputs: Inputs, context: ForwardContext) -> Inputs:
        """Compute the pass's keys and values, and say where the tokens ``(S·B, T)`` are if they begin after a prefix.

        Raises:
            BackboneError: A row has too many tokens to stand after a prefix with positions.
        """
        # Once per pass, not per layer: one MLP computes the keys and values of all layers.
        context.kept["prefix", None] = self.prefix.materialise()
        longest = self.prefix.longest_shift
        if not longest or ("prefix", None) in context.removed:
            return inputs
        ids = inputs["input_ids"]
        check_shift(self.backbone, longest, ids.shape[1])
        shifts = context.per_row(self.prefix.shifts)
        return {**inputs, "position_ids": self.backbone.positions_of(ids, shifts)}


class Prefix(Submodule):
    """A prefix: keys and values in every layer, gated over the attention module's input."""

    name = "prefix"
    order = 30
    needs = NEEDS
    # An untrained prefix takes its share of the attention: its values are small, its keys are not hidden.
    changes_at_first = True
    has_peft_form = True

    def check(self, backbone: Backbone, trial: TrialSpec, tokens: int) -> None:
        """Check that the attention can take a prefix, that the positions suffice, and that a gate can act on it.

        Raises:
            BackboneError: It cannot, or they do not.
        """
        if trial.gate is not None and trial.gate.is_causal and trial.gate.prefix != "logit":
            raise BackboneError(
                f"gate.prefix must be logit where gate.pooling is prefix_mean, since the keys and values of a prefix "
                f"are the same for every position; got {trial.gate.prefix}. Set gate.prefix to logit."
            )
        spec = trial.part(self.name, PrefixSpec)
        if spec is not None:
            check_attention(backbone, trial.method)
            check_shift(backbone, spec.shift, tokens)

    def attach_model(self, attachment: Attachment) -> None:
        """Make the keys and values of all layers, which one MLP may compute together."""
        able = [layer.number for layer in attachment.layers if layer.has(NEEDS)]
        numbers = [number for number in able if attachment.uses(self.name, number)]
        if not numbers:
            return
        prefix = SlotPrefix(numbers, attention_shape(attachment.model.config), attachment.slots)
        attachment.add_part(self.name, prefix)
        attachment.preparations.append(PrefixPass(prefix, attachment.backbone).prepare)

    def attach_layer(self, attachment: Attachment, layer: LayerParts) -> None:
        """Put the prefix in front of the layer's keys and values."""
        prefix: Any = attachment.parts[self.name]
        site = Splice if attachment.backbone.family.spliced_prefix else PrefixSite
        attachment.add_handle(site(prefix, layer, attachment.slots.holder).attach())
        attachment.attention_gate(self.name, layer, layer.gate_width)

    def closed_gate_removes(self, trial: TrialSpec) -> bool:
        """Tell whether the gate acts on the logits: keys of zero, the published form, still take attention."""
        return trial.gate is not None and trial.gate.prefix == "logit"

    def stored_form(self, trial: TrialSpec) -> TrialSpec:
        """Leave the MLP out: only the keys and values that it has computed are stored."""
        spec = trial.part(self.name, PrefixSpec)
        if spec is None or spec.mlp is None:
            return trial
        plain = spec.model_copy(update={"mlp": None})
        return trial.model_copy(update={self.name: plain})

    def merge_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Say that it cannot be merged: no token has these keys and values."""
        return Obstacle("a prefix is further keys and values, which no weight of the backbone can hold")

    def peft_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Say where PEFT's prefix is another one: PEFT moves the tokens' positions."""
        if backbone.family.positions is None:
            return Obstacle(f"PEFT has no prefix for a model of type {backbone.model.config.model_type!r}")
        spec = trial.part(self.name, PrefixSpec)
        if spec is None or not spec.position_shift:
            return Obstacle(UNSHIFTED, "give a study a configuration of prefix with position_shift: true")
        return None

    def peft_form(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> PeftForm:
        """Return PEFT's prefix, one row of all layers' keys and values per position."""
        shape = attention_shape(backbone.model.config)
        key_value = tensors["key_value"]  # (layers, 2, heads, length, head_width)
        settings = {
            "num_virtual_tokens": key_value.shape[3],
            "num_layers": len(layer_parts(backbone.base, backbone.family)),
            "num_attention_heads": shape.heads,
            "token_dim": shape.heads * shape.head_width,
        }
        rows = key_value.permute(3, 0, 1, 2, 4).flatten(1)
        return PeftForm("PREFIX_TUNING", settings, {"prompt_encoder.default.embedding.weight": rows})


PREFIX = Prefix()
