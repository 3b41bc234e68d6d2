from __future__ import annotations

import pytest

from tiny import PARTS, tiny_backbone, tiny_run, tiny_trial
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.applicability import check_trial, must_be_alone
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.trial import AdapterSpec, LoraSpec, ParallelAdapterSpec


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
    assert {method for method in PARTS if must_be_alone(backbone, tiny_trial(method))} == alone
