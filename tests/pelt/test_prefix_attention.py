from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from transformers import AutoConfig
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position
from transformers.models.gemma2.modeling_gemma2 import Gemma2ForSequenceClassification
from transformers.models.gpt_oss.modeling_gpt_oss import apply_rotary_pos_emb

from tiny import FAMILIES, KeptGates, randomise, tiny_backbone, tiny_inputs, tiny_model, tiny_run, tiny_trial
from unipelt_search.backbones.attention_interface import ATTENTION, attention_of
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.pack import Pack

SPLICED = ("deberta-v2", "mpnet")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in SPLICED])
@torch.no_grad()
def test_without_a_prefix_it_is_sdpa_padding_mask_included(family: str) -> None:
    model, inputs = tiny_model(family).eval().base_model, tiny_inputs([7, 3])
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    assert model.config._attn_implementation == ATTENTION
    ours = model(**inputs).last_hidden_state
    model.set_attn_implementation("sdpa")
    assert torch.equal(model(**inputs).last_hidden_state, ours)
    changed = {**inputs, "input_ids": inputs["input_ids"].clone()}
    changed["input_ids"][1, 1] = 9
    other = model(**changed).last_hidden_state
    assert not torch.allclose(other[1, 1:3], ours[1, 1:3])
    assert torch.allclose(other[0], ours[0])


@pytest.mark.parametrize("family", SPLICED)
def test_an_architecture_with_its_own_softmax_keeps_it(family: str) -> None:
    assert tiny_model(family).config._attn_implementation == "eager"


def test_attention_that_caps_its_logits_is_not_replaced_by_sdpa() -> None:
    """sdpa cannot cap; Gemma 2 would answer something else with it."""
    assert attention_of(Gemma2ForSequenceClassification, AutoConfig.for_model("gemma2")) is None


def eager_bert() -> Backbone:
    """The same BERT as `tiny_backbone("bert")`, treated as one that computes its own softmax."""
    backbone = tiny_backbone("bert")
    backbone.model.set_attn_implementation("eager")
    (stack,) = backbone.family.stacks
    stack = dataclasses.replace(stack, attention_out="attention.output.dense")
    family = dataclasses.replace(backbone.family, stacks=(stack,), spliced_prefix=True)
    return dataclasses.replace(backbone, family=family)


class Contributions(KeptGates):
    """Keeps contributions too."""

    contributions = True

    def __init__(self) -> None:
        super().__init__()
        self.shares: dict[int, torch.Tensor] = {}

    def record(self, kind: str, layer: int, gate: str, values: torch.Tensor) -> None:
        if kind == "gate":
            super().record(kind, layer, gate, values)
        elif gate == "prefix":
            self.shares[layer] = values


@pytest.mark.parametrize("gate", [None, "scale", "logit"])
@torch.no_grad()
def test_a_spliced_prefix_is_the_prefix_of_the_attention_interface(gate: Any) -> None:
    """Two slots with prefixes of different lengths, gates and contributions included."""
    method = "prefix" if gate is None else "unipelt_pl"
    trials = [
        tiny_trial(method).model_copy(
            update={"prefix": PrefixSpec(length=length, mlp=None), "gate": GateSpec(prefix=gate) if gate else None}
        )
        for length in (2, 5)
    ]
    inputs = {name: tensor.repeat(2, 1) for name, tensor in tiny_inputs([7, 3, 9]).items()}
    predictions = []
    for backbone in (tiny_backbone("bert"), eager_bert()):
        kept = Contributions()
        with Pack(backbone, [tiny_run(trial, i) for i, trial in enumerate(trials)]) as pack:
            randomise(pack)
            predictions.append((pack(inputs, recorder=kept), kept))
            without = pack(inputs, removed=frozenset({("prefix", None)}))
    (ours, seen), (spliced, seen_spliced) = predictions
    assert torch.allclose(ours, spliced, atol=1e-6)
    assert not torch.allclose(spliced, without, atol=1e-3)
    for layer in (0, 1):
        assert torch.allclose(seen.shares[layer], seen_spliced.shares[layer], atol=1e-5)
    assert seen.values.keys() == seen_spliced.values.keys()
    for key, value in seen.values.items():
        assert torch.allclose(value, seen_spliced.values[key], atol=1e-6)


def slow_attention(backbone: Backbone, number: int, x: torch.Tensor, prefix: torch.Tensor) -> torch.Tensor:
    """One layer's attention over a prefix and the real tokens ``x (T, D)``, written out pair by pair."""
    layer = backbone.base.encoder.layer[number]
    if backbone.family.shares_positions:
        attention = layer.attention.self
        query, key, value = attention.query_proj, attention.key_proj, attention.value_proj
        positions, span = backbone.base.encoder.get_rel_embedding(), attention.pos_ebd_size
        terms = 3
    else:
        attention = layer.attention.attn
        query, key, value = attention.q, attention.k, attention.v
        bias = backbone.base.encoder.compute_position_bias(x[None])[0]  # (heads, T, T)
        terms = 1
    heads, width = attention.num_attention_heads, attention.attention_head_size
    rows = []
    for i in range(len(x)):
        parts = []
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            scores = [query(x[i])[own] @ p / math.sqrt(terms * width) for p in prefix[0, head]]
            for j in range(len(x)):
                score = query(x[i])[own] @ key(x[j])[own]
                if backbone.family.shares_positions:
                    distance = make_log_bucket_position(
                        torch.tensor(float(i - j)), span, attention.max_relative_positions
                    )
                    place = int((distance.long() + span).clamp(0, 2 * span - 1))
                    score = score + query(x[i])[own] @ key(positions[place])[own]
                    score = score + key(x[j])[own] @ query(positions[place])[own]
                    scores.append(score / math.sqrt(terms * width))
                else:
                    scores.append(score / math.sqrt(width) + bias[head, i, j])
            shares = torch.stack(scores).softmax(0)
            values = torch.cat([prefix[1, head], torch.stack([value(x[j])[own] for j in range(len(x))])])
            parts.append(shares @ values)
        rows.append(torch.cat(parts))
    return torch.stack(rows)


@pytest.mark.parametrize("family", SPLICED)
@torch.no_grad()
def test_a_spliced_prefix_is_the_written_out_attention(family: str) -> None:
    backbone, inputs = tiny_backbone(family), tiny_inputs([7, 4])
    seen: list[torch.Tensor] = []
    with Pack(backbone, [tiny_run(tiny_trial("prefix"))]) as pack:
        randomise(pack)
        key_value = pack.slot_state_dict(0)["prefix.key_value"]
        for layer in pack.layers:
            layer.attention.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
            layer.attention_out.register_forward_hook(lambda m, args, out: seen.append(args[0]))
        pack(inputs)
    for number in (0, 1):
        hidden, replacement = seen[2 * number], seen[2 * number + 1]
        for row, length in enumerate([7, 4]):
            expected = slow_attention(backbone, number, hidden[row, :length], key_value[number])
            assert torch.allclose(replacement[row, :length], expected, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt_oss"])
@pytest.mark.parametrize("method", ["prefix", "unipelt_apl"])
@torch.no_grad()
def test_a_prefix_hides_no_token_of_a_decoder_that_looks_both_ways(family: str, method: str) -> None:
    backbone, inputs = tiny_backbone(family, is_causal=False), tiny_inputs([6, 3])
    with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
        randomise(pack)
        together = pack(inputs)[0]
        alone = [pack({n: t[row : row + 1, :size] for n, t in inputs.items()})[0, 0] for row, size in enumerate([6, 3])]
    assert torch.allclose(together, torch.stack(alone), atol=1e-5)


@torch.no_grad()
def test_a_prefix_takes_its_share_beside_attention_sinks() -> None:
    """gpt-oss: the prefix, the tokens and the sink share one softmax."""
    backbone, inputs = tiny_backbone("gpt_oss"), tiny_inputs([5])
    seen: dict[str, torch.Tensor] = {}
    with Pack(backbone, [tiny_run(tiny_trial("prefix"))]) as pack:
        randomise(pack)
        site = backbone.base.layers[0].self_attn
        keep = site.register_forward_hook(lambda module, args, output: seen.update(output=output[0]))
        keep_input = site.register_forward_pre_hook(
            lambda module, args, kwargs: seen.update(x=kwargs["hidden_states"]), with_kwargs=True
        )
        pack(inputs)
        keep.remove()
        keep_input.remove()
        prefix = pack.parts["prefix"].materialise()[0, 0]  # (2, heads, length, width)
    x, heads, width = seen["x"][0], 4, 8
    query, key = (site.q_proj(x).view(5, heads, width), site.k_proj(x).view(5, 2, width))
    cos, sin = backbone.base.rotary_emb(seen["x"], torch.arange(5)[None])
    query, key = apply_rotary_pos_emb(query.transpose(0, 1)[None], key.transpose(0, 1)[None], cos, sin)
    keys = torch.cat([prefix[0], key[0]], 1).repeat_interleave(2, 0)
    values = torch.cat([prefix[1], site.v_proj(x).view(5, 2, width).transpose(0, 1)], 1).repeat_interleave(2, 0)
    scores = query[0] @ keys.transpose(-1, -2) / width**0.5
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
    scores[:, :, prefix.shape[2] :] = scores[:, :, prefix.shape[2] :].masked_fill(hidden, -torch.inf)
    sinks = site.sinks.view(heads, 1, 1).expand(heads, 5, 1)
    shares = torch.cat([scores, sinks], -1).softmax(-1)[..., :-1]
    expected = site.o_proj((shares @ values).transpose(0, 1).flatten(1))
    assert torch.allclose(seen["output"][0], expected, atol=1e-5)
