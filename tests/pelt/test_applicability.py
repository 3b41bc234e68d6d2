from __future__ import annotations

import pytest

from tiny import tiny_backbone, tiny_run, tiny_trial
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.applicability import check_trial
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.trial import AdapterSpec, LoraSpec


@pytest.mark.parametrize(
    ("family", "method", "part", "message"),
    [
        ("llama", "bitfit", {}, "bitfit needs a backbone with biases"),
        ("bert", "lora", {"lora": LoraSpec(rank=33)}, "lora.rank must be at most 32"),
        ("qwen2", "lora", {"lora": LoraSpec(rank=17)}, "lora.rank must be at most 16"),
        ("bert", "adapter", {"adapter": AdapterSpec(bottleneck=32)}, "adapter.bottleneck must be below 32"),
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
