from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiny import FAMILIES, FURTHER_SIZES, tiny_backbone, tiny_inputs
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.block_output import block_parts, first_output, first_tensor, with_block_output
from unipelt_search.backbones.families import BlockSum
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.errors import BackboneError

_GROUPED = {"num_key_value_heads": 2, "bos_token_id": 2, "eos_token_id": 3}
# By structure alone: a parallel residual (twice), a norm between (three times), a multiplier, and others.
BY_STRUCTURE: dict[str, tuple[str, dict[str, Any]]] = {
    "phi": ("phi", _GROUPED),
    "stablelm in parallel": ("stablelm", {**_GROUPED, "use_parallel_residual": True}),
    "stablelm": ("stablelm", _GROUPED),
    "olmo2": ("olmo2", _GROUPED),
    "glm4": ("glm4", {**_GROUPED, "head_dim": 8}),
    "gemma2": ("gemma2", {**_GROUPED, "head_dim": 8}),
    "ernie": ("ernie", {}),
    "nemotron": ("nemotron", _GROUPED),
    "granitemoe": ("granitemoe", {**_GROUPED, "residual_multiplier": 0.25, "num_local_experts": 4}),
}
OTHER_SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "opt that normalises last": ("opt", {"do_layer_norm_before": False}),
    "gpt_neox in sequence": ("gpt_neox", {"use_parallel_residual": False}),
    "t5 with a gated network": ("t5", {"feed_forward_proj": "gated-gelu"}),
    "albert of two layers in a group": ("albert", {"inner_group_num": 2}),
    "falcon of two norms": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon in sequence": ("falcon", {"parallel_attn": False}),
    "bloom with a normalised residual": ("bloom", {"apply_residual_connection_post_layernorm": True}),
}
TYPES = {family: (family, {}) for family in (*FAMILIES, *FURTHER_SIZES)}
CASES = {**TYPES, **OTHER_SETTINGS, **BY_STRUCTURE}


class Watched:
    """Computes what a layer would hand on each time that it runs, and keeps that beside what it handed on."""

    def __init__(self, backbone: Backbone) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []
        for layer in layer_parts(backbone.base, backbone.family):
            self._watch(layer, block_parts(layer, backbone.family))

    def _watch(self, layer: Any, parts: Any) -> None:
        seen: dict[str, Tensor] = {}
        parts.residual.register_forward_pre_hook(
            lambda module, args, kwargs: seen.update(residual=first_tensor(args, kwargs)), with_kwargs=True
        )
        if parts.attention is not None:
            parts.attention.register_forward_hook(
                lambda module, args, output: seen.update(attention=first_output(output))
            )
        # Copied, because Falcon adds to it in place.
        layer.ffn_out.register_forward_hook(lambda module, args, output: seen.update(h=output.clone()) or output)
        layer.module.register_forward_hook(
            lambda module, args, output: self.pairs.append(
                (parts.output(seen["h"], seen["residual"], seen.get("attention")), first_output(output))
            )
        )


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_it_is_what_every_layer_hands_on(case: str) -> None:
    kind, settings = CASES[case]
    backbone = tiny_backbone(kind, **settings)
    watched = Watched(backbone)
    inputs = tiny_inputs([9, 5])
    if backbone.model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    backbone.base(**inputs)
    assert backbone.has_block_output
    assert len(watched.pairs) >= len(layer_parts(backbone.base, backbone.family))
    for x, handed_on in watched.pairs:
        assert torch.allclose(x.reshape(handed_on.shape), handed_on, rtol=0, atol=1e-6 * max(1, handed_on.abs().max()))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind != "gpt_neox"])
def test_a_familys_entry_is_what_its_structure_shows(kind: str) -> None:
    backbone = tiny_backbone(kind)
    unnamed = [replace(stack, sums=()) for stack in backbone.family.stacks]
    found = with_block_output(backbone.model, replace(backbone.family, stacks=tuple(unnamed)))
    assert found == backbone.family


def test_a_multiplier_is_part_of_it() -> None:
    backbone = tiny_backbone("llama")
    for layer in backbone.base.layers:
        layer.residual_multiplier = 0.25
        layer.mlp.register_forward_hook(lambda module, args, output: 0.25 * output)
    (stack,) = with_block_output(backbone.model, backbone.family).stacks
    assert stack.sums == (BlockSum("post_attention_layernorm", scale="residual_multiplier"),)


def test_a_learned_scale_of_the_residual_is_no_sum_that_is_known() -> None:
    assert not tiny_backbone("doge", **_GROUPED).has_block_output


def test_where_no_sum_equals_it_there_is_none() -> None:
    backbone = tiny_backbone("llama")
    backbone.base.layers[1].mlp.register_forward_hook(lambda module, args, output: output.square())
    found = with_block_output(backbone.model, backbone.family)
    assert found.stacks[0].sums == ()
    assert not replace(backbone, family=found).has_block_output
    assert block_parts(layer_parts(backbone.base, found)[0], found) is None


def test_no_hook_of_a_norm_fires_and_gradients_reach_both_summands() -> None:
    backbone = tiny_backbone("bert")
    parts = block_parts(layer_parts(backbone.base, backbone.family)[0], backbone.family)
    assert parts is not None and isinstance(parts.norm, nn.Module)
    calls: list[object] = []
    parts.norm.register_forward_hook(lambda *given: calls.append(given))
    h, r = torch.randn(2, 3, 32, requires_grad=True), torch.randn(2, 3, 32, requires_grad=True)
    parts.output(h, r, None).square().sum().backward()
    assert calls == []
    assert h.grad is not None and r.grad is not None and bool(h.grad.any()) and torch.equal(h.grad, r.grad)
    assert parts.norm.weight.grad is None


def test_a_model_that_cannot_run_is_refused() -> None:
    with pytest.raises(BackboneError, match="type 't5' raised ValueError: math domain error"):
        tiny_backbone("t5", relative_attention_max_distance=0)
