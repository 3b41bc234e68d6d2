from __future__ import annotations

import pytest

from tiny import EVERYTHING, PARTS, SETS, tiny_backbone, tiny_run, tiny_trial
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.pelt.attach import attach
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.pelt.slots import PackSlots


def attached_to(backbone: Backbone, method: str) -> Attachment:
    run = tiny_run(tiny_trial(method))
    attachment, _ = attach(backbone, backbone.model, PackSlots((run.trial,), (run.seeds.init,)))
    return attachment


@pytest.mark.parametrize("method", [*PARTS, *SETS])
def test_detaching_leaves_the_backbone_without_hooks_and_prefixes(method: str) -> None:
    backbone = tiny_backbone()
    attached = attached_to(backbone, method)
    modules = list(backbone.model.modules())
    assert any(module._forward_hooks for module in modules)
    attached.detach()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    assert not any("unipelt_extension" in module.__dict__ for module in modules)


def test_parts_are_named_by_submodule_layer_and_place() -> None:
    backbone = tiny_backbone()
    attached = attached_to(backbone, "unipelt_apl")
    attached.detach()
    of_layer = {"lora/0/query", "lora/0/value", "adapter/0"}
    gates = {f"gate/0/{gate}" for gate in ("lora_query", "lora_value", "prefix", "adapter")}
    assert {name for name in attached.parts if "1" not in name} == of_layer | gates | {"prefix", "head/classifier"}


def test_every_submodule_of_a_set_has_its_gate_in_every_layer() -> None:
    attached = attached_to(tiny_backbone(), EVERYTHING)
    attached.detach()
    gates = {"adapter", "parallel_adapter", "prefix", "lora_query", "lora_value", "bitfit", "ia3"}
    assert {name for name in attached.parts if name.startswith("gate/")} == {
        f"gate/{layer}/{gate}" for layer in (0, 1) for gate in gates
    }
