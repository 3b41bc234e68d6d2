"""What a layer would hand on without an adapter, computed from its feed-forward output; and how that is found out.

A published adapter reads it (docs/decisions/0021-what-an-adapter-reads.md)::

    post-LN (BERT)                  norm(r + h)
    pre-LN (GPT-2, T5, Llama)       r + h
    parallel residual (GPT-NeoX)    input + attention + h
    norm between (Gemma 3, OLMo 2)  r + norm(h)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from unipelt_search.backbones.discovery import is_norm
from unipelt_search.backbones.families import BlockSum, Family, Stack
from unipelt_search.backbones.layers import LayerParts, layer_parts, present, submodule_of
from unipelt_search.backbones.trial_pass import PASS_ERRORS, not_run, token_numbers

_TOLERANCE = 1e-5
"""Of a value against itself and the mean size of the layer's output: sums in another order differ by 1e-7."""


@dataclass(frozen=True)
class BlockParts:
    """The parts of one layer that a `BlockSum` names."""

    residual: nn.Module
    """Its input is the residual."""
    attention: nn.Module | None
    """Its output is the attention's share, where that is added beside the feed-forward network's."""
    inner_norm: nn.Module | None
    norm: nn.Module | None
    scale: float
    dropout: nn.Module | None

    def output(
        self,
        h: Tensor,
        residual: Tensor,
        attention: Tensor | None,
    ) -> Tensor:
        """Compute what the layer hands on.

        No hook of a norm fires: what is attached to a norm acts where the layer itself runs it, and not here.

        Args:
            h: The feed-forward output as it is added, ``(S·B, T, D)`` or ``(S·B·T, D)``.
            residual: The input of the module `residual`, of as many numbers.
            attention: The output of the module `attention`, None without one.

        Returns:
            As ``h``.
        """
        x = h if self.inner_norm is None else _without_hooks(self.inner_norm, h)
        if self.scale != 1.0:
            x = x * self.scale
        x = residual.reshape(h.shape) + x
        if attention is not None:
            x = x + attention.reshape(h.shape)
        return x if self.norm is None else _without_hooks(self.norm, x)


def _without_hooks(norm: nn.Module, x: Tensor) -> Tensor:
    result: Tensor = type(norm).forward(norm, x)
    return result


def first_tensor(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the vectors that a module is called with: architectures pass them by position or by name."""
    return args[0] if args else kwargs.get("hidden_states")


def first_output(output: Any) -> Any:
    """Return the vectors among what a module returns: attention modules return weights too."""
    return output[0] if isinstance(output, tuple) else output


def block_parts(layer: LayerParts, family: Family) -> BlockParts | None:
    """Look up the parts from which what a layer hands on is computed.

    Args:
        layer: A layer of a loaded backbone.
        family: The backbone's.

    Returns:
        The parts; None where what the layer hands on cannot be computed.
    """
    (stack,) = [stack for stack in family.stacks if stack.name == layer.stack]
    return _parts_of(layer, stack.sums[0]) if stack.sums else None


def _parts_of(layer: LayerParts, block: BlockSum) -> BlockParts | None:
    """Look up what a sum names in a layer; None where the layer lacks any of it."""
    names = (block.residual, block.attention, block.inner_norm, block.norm, block.dropout)
    found = [None if name is None else submodule_of(layer.module, name) for name in names]
    lacking = [name for name, module in zip(names, found, strict=True) if name is not None and module is None]
    residual, attention, inner_norm, norm, dropout = found
    if lacking or residual is None or (block.scale and not hasattr(layer.module, block.scale)):
        return None
    scale = float(getattr(layer.module, block.scale)) if block.scale else 1.0
    return BlockParts(residual, attention, inner_norm, norm, scale, dropout)


@torch.no_grad()
def with_block_output(model: PreTrainedModel, family: Family) -> Family:
    """Run a model on one batch, and keep of each stack's sums the one that equals what its layers hand on.

    The sums that the family names are tried first, then those that the structure of a layer allows.

    Args:
        model: The model, in eval mode.
        family: How its parts are called.

    Returns:
        The family; a stack in which no sum equals it has none.

    Raises:
        BackboneError: The model cannot run.
    """
    layers = [layer for layer in layer_parts(model.base_model, family) if layer.has(("ffn_in", "ffn_out"))]
    traces = [_Trace(layer, family) for layer in layers]
    ids = token_numbers(model.config)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    try:
        model.base_model(**inputs)
    except PASS_ERRORS as error:
        raise not_run(model.config.model_type, error) from error
    finally:
        for trace in traces:
            trace.stop()
    stacks = []
    for stack in family.stacks:
        own = [trace for trace in traces if trace.layer.stack == stack.name and trace.is_complete]
        stacks.append(replace(stack, sums=_holding_sums(stack, own)))
    return replace(family, stacks=tuple(stacks))


def _holding_sums(stack: Stack, traces: list[_Trace]) -> tuple[BlockSum, ...]:
    """Find the first sum that holds in all layers: of the family's own, then of those that a layer's structure allows.

    None holds where no layer was seen.
    """
    if not traces:
        return ()
    for block in (*stack.sums, *traces[0].possible_sums()):
        if all(trace.shows(block) for trace in traces):
            return (block,)
    return ()


class _Trace:
    """What went into and came out of a layer's modules in one pass."""

    def __init__(self, layer: LayerParts, family: Family) -> None:
        """Watch a layer's norms and dropout modules, its attention, and what its family's sums name."""
        self.layer = layer
        (stack,) = [stack for stack in family.stacks if stack.name == layer.stack]
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self.h: Tensor | None = None
        modules = dict(layer.module.named_modules())
        names = {module: name for name, module in modules.items()}
        self.norms = [name for name, module in modules.items() if is_norm(module)]
        self.dropouts = [name for name, _ in layer.dropouts]
        self.attention = None if layer.attention is None else names[layer.attention]
        self.ffn_in = names[present(layer.ffn_in)]
        watched = {"", self.ffn_in, self.attention, *self.norms, *self.dropouts}
        for block in stack.sums:
            watched |= {block.residual, block.attention}
        self._handles = [present(layer.ffn_out).register_forward_hook(self._keep_h)]
        for name in modules.keys() & watched:
            self._watch(name, modules[name])

    def _watch(self, name: str, module: nn.Module) -> None:
        def keep(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            for tensors, value in ((self.inputs, first_tensor(args, kwargs)), (self.outputs, first_output(output))):
                if isinstance(value, Tensor):
                    # A copy: some architectures add to these tensors in place.
                    tensors[name] = value.clone()

        self._handles.append(module.register_forward_hook(keep, with_kwargs=True))

    def _keep_h(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        self.h = output.clone()
        return output

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def is_complete(self) -> bool:
        """Whether the layer ran with its feed-forward network."""
        return self.h is not None and "" in self.outputs

    def shows(self, block: BlockSum) -> bool:
        """Tell whether a sum equals what the layer handed on."""
        parts = _parts_of(self.layer, block)
        h, residual = self.h, self.inputs.get(block.residual)
        attention = None if block.attention is None else self.outputs.get(block.attention)
        if parts is None or h is None or residual is None or (block.attention and attention is None):
            return False
        if any(part is not None and part.numel() != h.numel() for part in (residual, attention, self.outputs[""])):
            return False
        return _is_equal(parts.output(h, residual, attention), self.outputs[""])

    def possible_sums(self) -> Iterator[BlockSum]:
        """List the sums that the layer's structure allows, those without the attention's share first."""
        h, handed_on = self.h, self.outputs[""]
        dropout = self._first_reading(self.dropouts, h)
        attention = None if self.attention is None else self.outputs.get(self.attention)
        share = self._first_reading(self.dropouts, attention) or self.attention
        inner_norms = [name for name in self.norms if _is_equal(self.inputs.get(name), h)]
        norms = [name for name in self.norms if _is_equal(self.outputs.get(name), handed_on)]
        scales = [name for name, value in vars(self.layer.module).items() if _is_scale(name, value)]
        residuals = [self.ffn_in, *self.norms, ""]
        shares = (None,) if share is None else (None, share)
        for attention_share, inner_norm, norm, scale, residual in product(
            shares, (*inner_norms, None), (*norms, None), (*scales, None), residuals
        ):
            yield BlockSum(residual, attention_share, inner_norm, norm, scale, dropout)

    def _first_reading(self, names: list[str], values: Tensor | None) -> str | None:
        """Name the first module that read some values."""
        return next((name for name in names if _is_equal(self.inputs.get(name), values)), None)


def _is_scale(name: str, value: object) -> bool:
    return "residual" in name and isinstance(value, float)


def _is_equal(one: Tensor | None, other: Tensor | None) -> bool:
    """Tell whether two results are the same, but for the order of a sum and the shape."""
    if one is None or other is None or one.numel() != other.numel():
        return False
    size = other.abs()
    difference = (one.reshape(other.shape) - other).abs()
    return bool((difference <= _TOLERANCE * (size + size.mean())).all())
