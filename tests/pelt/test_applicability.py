from __future__ import annotations

import pytest

from tiny import FAMILIES, PARTS, SHIFTED, tiny_backbone, tiny_run, tiny_trial
from unipelt_search.errors import BackboneError
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.applicability import check_trial, layers_with, packable, partial_reach
from unipelt_search.pelt.pack import Pack


@pytest.mark.parametrize(
    ("family", "method", "part", "message"),
    [
        ("llama", "bitfit", {}, "bitfit needs a backbone with biases"),
        ("bert", "lora", {"lora": LoraSpec(rank=33)}, "lora.rank must be at most 32"),
        ("qwen2", "lora", {"lora": LoraSpec(rank=17)}, "lora.rank must be at most 16"),
        ("bert", "adapter", {"adapter": AdapterSpec(bottleneck=32)}, "adapter.bottleneck must be below 32"),
        (
            "bert",
            "parallel_adapter",
            {"parallel_adapter": ParallelAdapterSpec(bottleneck=32)},
            "parallel_adapter.bottleneck must be below 32",
        ),
    ],
)
def test_what_cannot_attach_is_refused_before_anything_is_touched(
    family: str, method: str, part: dict[str, object], message: str
) -> None:
    backbone = tiny_backbone(family)
    trial = tiny_trial(method).model_copy(update=part)
    with pytest.raises(BackboneError, match=message):
        check_trial(backbone, trial)
    with pytest.raises(BackboneError, match=message):
        Pack(backbone, [tiny_run(trial)])
    assert not any(module._forward_hooks for module in backbone.model.modules())


@pytest.mark.parametrize(
    ("family", "changes"), [("bert", {}), ("t5", {}), ("bart", {}), ("llama", {"is_causal": False})]
)
def test_gates_by_position_need_a_model_that_looks_back_alone(family: str, changes: dict[str, object]) -> None:
    trial = tiny_trial("unipelt_al").model_copy(update={"gate": GateSpec(pooling="prefix_mean")})
    with pytest.raises(BackboneError, match="prefix_mean needs a decoder, whose tokens see no later ones; those of"):
        check_trial(tiny_backbone(family, **changes), trial)


def test_a_gate_by_position_cannot_scale_a_prefix() -> None:
    backbone = tiny_backbone("gpt2")
    by_position = GateSpec(pooling="prefix_mean")
    check_trial(backbone, tiny_trial("unipelt_al").model_copy(update={"gate": by_position}))
    with pytest.raises(BackboneError, match="gate.prefix must be logit where gate.pooling is prefix_mean"):
        check_trial(backbone, tiny_trial("unipelt_apl").model_copy(update={"gate": by_position}))


def test_a_prefix_is_refused_where_it_would_silently_be_absent() -> None:
    backbone = tiny_backbone("gemma2")  # caps its attention logits, which sdpa cannot
    with pytest.raises(BackboneError, match="A prefix needs an attention .* type 'gemma2' does not. Leave unipelt_ap"):
        check_trial(backbone, tiny_trial("unipelt_apl"))
    check_trial(backbone, tiny_trial("unipelt_al"))


@pytest.mark.parametrize(
    ("family", "alone"),
    [
        ("bert", {"fine_tuning"}),
        ("deberta-v2", {"fine_tuning", "bitfit", "ia3", "lora", "unipelt_al", "unipelt_pl", "unipelt_apl"}),
    ],
)
def test_what_changes_what_all_rows_share_must_be_alone(family: str, alone: set[str]) -> None:
    backbone = tiny_backbone(family)
    assert {method for method in PARTS if not packable(backbone, tiny_trial(method))} == alone


@pytest.mark.parametrize("family", sorted({*FAMILIES, "ernie"} - set(SHIFTED)))
def test_positions_are_shifted_only_where_peft_does_the_same(family: str) -> None:
    trial = tiny_trial("prefix").model_copy(update={"prefix": PrefixSpec(length=4, mlp=None, position_shift=True)})
    backbone = tiny_backbone(family)
    with pytest.raises(BackboneError, match=f"as PEFT has it; '{family}' is none. Leave prefix.position_shift out."):
        check_trial(backbone, trial)
    check_trial(backbone, tiny_trial("prefix"))


@pytest.mark.parametrize(
    ("family", "changes", "most", "has"),
    [
        ("bert", {}, 60, "has 64"),
        ("roberta", {}, 58, "has 62"),
        ("gpt2", {}, 60, "has 64"),
        ("llama", {}, 60, "has 64"),
        ("mistral", {"sliding_window": 20}, 16, "has 20 in the window of its attention"),
        ("gemma3_text", {"sliding_window": 20}, 16, "has 20 in the window of its attention"),
        ("qwen2", {"sliding_window": 20}, 60, "has 64"),
        (
            "qwen2",
            {"sliding_window": 20, "use_sliding_window": True, "max_window_layers": 1},
            16,
            "has 20 in the window of its attention",
        ),
    ],
)
def test_prefix_and_tokens_share_the_models_positions(
    family: str, changes: dict[str, object], most: int, has: str
) -> None:
    trial = tiny_trial("prefix").model_copy(update={"prefix": PrefixSpec(length=4, mlp=None, position_shift=True)})
    backbone = tiny_backbone(family, **changes)
    check_trial(backbone, trial, most)
    with pytest.raises(BackboneError, match=rf"position_shift needs 4 \+ {most + 1} positions, .*; '{family}' {has}\."):
        check_trial(backbone, trial, most + 1)
    check_trial(backbone, tiny_trial("prefix"), 10**6)


@pytest.mark.parametrize(
    ("family", "method", "sentence"),
    [
        ("mamba", "lora", "lora must have the parts .* in type 'mamba' we looked for one module .* Leave lora out."),
        ("mamba", "adapter", "adapter must have .* 'mamba' we looked for one linear layer .* Leave adapter out."),
        ("mamba", "unipelt_apl", "lora must have .* Leave unipelt_apl out."),
        ("mixtral", "ia3", "ia3 must have .* 'mixtral' the feed-forward networks are mixtures of experts"),
        ("bloom", "prefix", "A prefix needs an attention that asks .* 'bloom' does not"),
    ],
)
def test_a_method_is_refused_for_the_part_it_needs_and_head_and_fine_tuning_are_not(
    family: str, method: str, sentence: str
) -> None:
    backbone = tiny_backbone(family)
    with pytest.raises(BackboneError, match=sentence):
        check_trial(backbone, tiny_trial(method))
    check_trial(backbone, tiny_trial("head"))
    check_trial(backbone, tiny_trial("fine_tuning"))


def test_a_hybrid_tells_to_how_many_layers_a_method_attaches() -> None:
    hybrid, plain = tiny_backbone("jamba"), tiny_backbone("bert")
    assert layers_with(hybrid, ("attention", "query")) == [1, 3]
    methods = ("head", "adapter", "lora", "unipelt_al")
    assert [partial_reach(hybrid, tiny_trial(method)) for method in methods] == [None, None, (2, 4), (2, 4)]
    assert partial_reach(plain, tiny_trial("unipelt_apl")) is None
    with Pack(hybrid, [tiny_run(tiny_trial("unipelt_apl"))]) as pack:
        attached = {tuple(part.split("/")[:2]) for part in pack.parts if part.startswith(("lora", "adapter"))}
    adapters = {("adapter", str(layer)) for layer in range(4)}
    assert attached == {("lora", "1"), ("lora", "3"), *adapters}
