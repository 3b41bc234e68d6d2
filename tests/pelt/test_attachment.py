from __future__ import annotations

import torch
from torch import nn

from tiny import tiny_backbone, tiny_trial
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.pelt.attachment import Attachment, AttentionReader
from unipelt_search.pelt.slots import ContextHolder, ForwardContext, PackSlots


def attachment_of(*methods: str, sharing: str = "per_layer") -> Attachment:
    backbone = tiny_backbone()
    trials = [tiny_trial(method) for method in methods]
    gate = GateSpec(sharing=sharing)  # type: ignore[arg-type]
    gated = [trial.model_copy(update={"gate": gate}) if trial.gate else trial for trial in trials]
    slots = PackSlots(tuple(gated), tuple(range(len(gated))))
    return Attachment(backbone, backbone.model, layer_parts(backbone.base, backbone.family), slots)


def test_a_gate_is_made_only_where_a_slot_has_the_submodule_gated() -> None:
    attachment = attachment_of("unipelt_al", "prefix")
    assert attachment.gate("adapter", 0, 32) is not None
    assert attachment.gate("prefix", 0, 32) is None  # there, but without a gate
    assert attachment.gate("ia3", 0, 32) is None
    assert list(attachment.parts) == ["gate/0/adapter"]


def test_shared_weights_are_made_once_with_the_first_layers_gate() -> None:
    attachment = attachment_of("unipelt_al", sharing="shared")
    gates = [attachment.gate("lora", layer, 32, "lora_query") for layer in (0, 1)]
    assert list(attachment.parts) == ["gate/shared/lora_query", "gate/0/lora_query", "gate/1/lora_query"]
    assert all(gate is not None and gate.shared is attachment.parts["gate/shared/lora_query"] for gate in gates)


def test_a_layers_gates_are_computed_by_one_hook_which_detaching_removes() -> None:
    attachment = attachment_of("unipelt_apl")
    layer = attachment.layers[0]
    assert attachment.attention_gate("prefix", layer, 32)
    assert attachment.attention_gate("lora", layer, 32, "lora_query")
    assert not attachment.attention_gate("bitfit", layer, 32)
    attachment.finish_layer(layer)
    assert len(layer.attention._forward_pre_hooks) == 1
    attachment.finish_layer(attachment.layers[1])  # nobody asked for anything there
    assert len(attachment.layers[1].attention._forward_pre_hooks) == 0
    attachment.detach()
    assert len(layer.attention._forward_pre_hooks) == 0


def test_a_submodule_left_out_of_a_layer_is_used_in_the_others() -> None:
    backbone = tiny_backbone()
    trial = tiny_trial("unipelt_al").model_copy(update={"without": (("adapter", 0),)})
    slots = PackSlots((trial,), (1,))
    attachment = Attachment(backbone, backbone.model, layer_parts(backbone.base, backbone.family), slots)
    assert [attachment.uses("adapter", layer) for layer in (0, 1, None)] == [False, True, True]


def test_the_reader_keeps_the_input_where_it_is_asked_to() -> None:
    holder = ContextHolder()
    x = torch.randn(2, 3, 4)
    for keeps_input in (True, False):
        holder.set(ForwardContext(slots=1, tokens=torch.ones(2, 3)))
        AttentionReader(5, [], keeps_input, holder).hook(nn.Identity(), (), {"hidden_states": x})
        assert list(holder.context.attention_inputs) == ([5] if keeps_input else [])
