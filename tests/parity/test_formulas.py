"""Gates, adapters and gated combinations against a slow, direct transcription of the published formulas.

The reference below is a BERT forward pass written out in plain loops over layers, from Mao et al. (ACL 2022),
section 3, with the weights of the tiny model; it shares no code with the package.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tiny import KeptGates, randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.pelt.gate import pooled_gate
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.trial import TrialSpec


def slow_gate(vectors: Tensor, weight: Tensor, bias: Tensor) -> float:
    """Mean over the tokens of one sentence of sigmoid(w · x + b)."""
    values = [
        1 / (1 + math.exp(-(float(sum(w * x for w, x in zip(weight, vector, strict=True))) + float(bias))))
        for vector in vectors
    ]
    return sum(values) / len(values)


def slow_bert(backbone, pack: Pack, trial: TrialSpec, ids: Tensor) -> tuple[Tensor, dict[tuple[int, str], float]]:
    """One sentence ``(T,)`` without padding through BERT with the submodules written out."""
    bert, parts, gates = backbone.base, pack.parts, {}
    embed = bert.embeddings
    h = (
        embed.word_embeddings.weight[ids]
        + embed.position_embeddings.weight[: len(ids)]
        + embed.token_type_embeddings.weight[0]
    )
    h = embed.LayerNorm(h)
    heads, scale = 4, math.sqrt(8)
    for number, layer in enumerate(bert.encoder.layer):
        attention = layer.attention.self

        def gate(name: str, x: Tensor, number: int = number) -> float:
            shared = trial.gate is not None and trial.gate.sharing == "shared"
            part = parts[f"gate/shared/{name}"] if shared else parts[f"gate/{number}/{name}"].own
            gates[number, name] = slow_gate(x, part.weight[0], part.bias[0])
            return gates[number, name]

        projected = {}
        for name in ("query", "key", "value"):
            linear = getattr(attention, name)
            projected[name] = h @ linear.weight.T + linear.bias
            if trial.method == "ia3" and name != "query":
                projected[name] = projected[name] * (1 + parts[f"ia3/{number}/{name}"].deviation[0])
            if trial.lora and name != "key":
                lora = parts[f"lora/{number}/{name}"]
                factor = trial.lora.alpha / trial.lora.rank
                if trial.gate:
                    value = gate(f"lora_{name}", h)
                    factor = value if trial.gate.lora == "replace" else value * factor
                projected[name] = projected[name] + factor * (h @ lora.down[0].T) @ lora.up[0].T
        added = []
        if trial.prefix:
            table = pack.slot_state_dict(0)["prefix.key_value"][number]  # (2, heads, length, width)
            value = gate("prefix", h) if trial.gate else 1.0
        context = []
        for head in range(heads):
            part = slice(8 * head, 8 * head + 8)
            q, k, v = (projected[name][:, part] for name in ("query", "key", "value"))
            if trial.prefix:
                by_logit = trial.gate is not None and trial.gate.prefix == "logit"
                strength = 1.0 if by_logit else value
                k = torch.cat([strength * table[0, head], k])
                v = torch.cat([strength * table[1, head], v])
                added = [math.log(value) if by_logit else 0.0] * trial.prefix.length
            logits = q @ k.T / scale + torch.tensor(added + [0.0] * len(ids))
            context.append(torch.softmax(logits, -1) @ v)
        output = layer.attention.output
        h = output.LayerNorm(torch.cat(context, -1) @ output.dense.weight.T + output.dense.bias + h)
        middle = functional.gelu(h @ layer.intermediate.dense.weight.T + layer.intermediate.dense.bias)
        if trial.method == "ia3":
            middle = middle * (1 + parts[f"ia3/{number}/ffn"].deviation[0])
        ffn = middle @ layer.output.dense.weight.T + layer.output.dense.bias
        if trial.adapter:
            a = parts[f"adapter/{number}"]
            # Published: the block's output as it would be without the adapter. Else: the feed-forward output alone.
            x = layer.output.LayerNorm(ffn + h) if trial.adapter.input == "normalised" else ffn
            bend = {"relu": torch.relu, "gelu": functional.gelu}[trial.adapter.activation]
            answer = bend(x @ a.down[0].T + a.down_bias[0]) @ a.up[0].T + a.up_bias[0]
            ffn = ffn + (gate("adapter", x) if trial.gate else 1.0) * answer
        if trial.parallel_adapter:
            a = parts[f"parallel_adapter/{number}"]
            answer = torch.relu(h @ a.down[0].T + a.down_bias[0]) @ a.up[0].T + a.up_bias[0]
            ffn = ffn + trial.parallel_adapter.scale * answer
        h = layer.output.LayerNorm(ffn + h)
    pooled = torch.tanh(h[0] @ bert.pooler.dense.weight.T + bert.pooler.dense.bias)
    head = parts["head/classifier"]
    return pooled @ head.weight[0].T + head.bias[0], gates


PUBLISHED = {"adapter": AdapterSpec(bottleneck=8, activation="relu", input="normalised", up="normal")}
CASES = {
    "adapter": tiny_trial("adapter"),
    "published adapter": tiny_trial("adapter").model_copy(update=PUBLISHED),
    "published adapter in unipelt_ap": tiny_trial("unipelt_ap").model_copy(update=PUBLISHED),
    "published adapter in unipelt_apl": tiny_trial("unipelt_apl").model_copy(update=PUBLISHED),
    "prefix": tiny_trial("prefix"),
    "lora": tiny_trial("lora"),
    "parallel_adapter": tiny_trial("parallel_adapter"),
    "parallel_adapter at another scale": tiny_trial("parallel_adapter").model_copy(
        update={"parallel_adapter": ParallelAdapterSpec(bottleneck=5, scale=0.5)}
    ),
    "ia3": tiny_trial("ia3"),
    "unipelt_ap": tiny_trial("unipelt_ap"),
    "unipelt_al": tiny_trial("unipelt_al"),
    "unipelt_pl": tiny_trial("unipelt_pl"),
    "unipelt_apl": tiny_trial("unipelt_apl"),
    "multiply and logit": tiny_trial("unipelt_apl").model_copy(
        update={"gate": GateSpec(lora="multiply", prefix="logit"), "lora": LoraSpec(rank=4, alpha=6.0)}
    ),
    "shared gates": tiny_trial("unipelt_apl").model_copy(update={"gate": GateSpec(sharing="shared")}),
    "shared, multiply and logit": tiny_trial("unipelt_apl").model_copy(
        update={
            "gate": GateSpec(sharing="shared", lora="multiply", prefix="logit"),
            "lora": LoraSpec(rank=4, alpha=6.0),
        }
    ),
}


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_logits_and_gates_equal_the_written_out_formulas(case: str) -> None:
    trial, backbone = CASES[case], tiny_backbone("bert")
    inputs = tiny_inputs([9, 5, 7])
    kept = KeptGates()
    with Pack(backbone, [tiny_run(trial)]) as pack:
        randomise(pack)
        ours = pack(inputs, recorder=kept)[0]
    for row, length in enumerate([9, 5, 7]):
        theirs, gates = slow_bert(backbone, pack, trial, inputs["input_ids"][row, :length])
        assert torch.allclose(ours[row], theirs, atol=1e-5)
        assert set(gates) == set(kept.values)
        for key, value in gates.items():
            assert float(kept.values[key][row]) == pytest.approx(value, abs=1e-5)
    if trial.gate:
        assert len(kept.values) == 2 * sum(
            2 if s == "lora" else 1 for s in ("adapter", "prefix", "lora") if getattr(trial, s)
        )


def test_the_published_gate_counts_padding() -> None:
    """`all_positions` is the published code's mean over every position; `tokens` leaves padding out."""
    x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    weight, bias = torch.ones(1, 3), torch.zeros(1)
    everywhere = pooled_gate(x, weight, bias, torch.ones(2, 4))
    assert torch.allclose(everywhere, torch.sigmoid(x.sum(-1)).mean(1))
    first_two = pooled_gate(x, weight, bias, torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0]]))
    assert torch.allclose(first_two, torch.sigmoid(x.sum(-1))[:, :2].mean(1))


def test_a_closed_gate_removes_a_logit_prefix_but_not_a_scaled_one() -> None:
    """A gate of zero is two things: a zero key still takes attention, a logit of log 0 does not."""
    backbone, inputs = tiny_backbone("bert"), tiny_inputs([9, 5])
    distance = {}
    for kind in ("scale", "logit"):
        trial = tiny_trial("unipelt_ap").model_copy(update={"gate": GateSpec(prefix=kind)})
        with Pack(backbone, [tiny_run(trial)]) as pack, torch.no_grad():
            randomise(pack)
            for layer in range(2):
                pack.parts[f"gate/{layer}/prefix"].own.weight.zero_()
                pack.parts[f"gate/{layer}/prefix"].own.bias.fill_(-40.0)
            closed = pack(inputs)
            distance[kind] = float((closed - pack(inputs, removed=frozenset({("prefix", None)}))).abs().max())
    assert distance["logit"] < 1e-4 < 1e-3 < distance["scale"]
