"""ReFT (Wu et al., 2024, arXiv 2404.03592) in its DiReFT form: ``h + f · U (W h + b)``, f = 1 or the gate over h."""

import math

from unipelt_reft.reft_settings import ReftSpec
from unipelt_search.backbones.layers import attention_shape
from unipelt_search.pelt.slots import (
    SlotPart,
    add_per_slot,
    gate_factors,
    scale_rows,
    slot_matmul,
    slot_parameter,
    uniform,
    zeros,
)
from unipelt_search.pelt.submodule import Submodule


class SlotReft(SlotPart):
    """The intervention after one layer; U starts at zero, so nothing changes at first."""

    def __init__(self, layer, width, slots, gate):
        super().__init__()
        self.layer, self.holder, self.gate = layer, slots.holder, gate
        self.ranks = [spec.rank if spec else 0 for spec in slots.settings("reft", ReftSpec)]
        shapes = {"down": (-1, width), "bias": (-1,), "up": (width, -1)}
        inits = {"down": uniform(1 / math.sqrt(width)), "bias": zeros, "up": zeros}
        for name, shape in shapes.items():
            own = [tuple(rank if size < 0 else size for size in shape) if rank else None for rank in self.ranks]
            envelope = tuple(max(self.ranks) if size < 0 else size for size in shape)
            setattr(self, name, slot_parameter(slots.seeds, f"reft.{layer}.{name}", envelope, own, inits[name]))
        self.offset, self.slope = gate_factors([float(rank > 0) for rank in self.ranks], slots.gated("reft"))

    def hook(self, module, args, output):
        context = self.holder.context
        h = output[0] if isinstance(output, tuple) else output  # (S·B, T, D)
        if self.gate is not None:
            self.gate(h, context)
        if context.is_removed("reft", self.layer):
            return output
        delta = slot_matmul(add_per_slot(slot_matmul(h, self.down), self.bias), self.up)
        delta = scale_rows(delta, context.factor(self.offset.to(h), self.slope.to(h), self.layer, "reft"))
        context.record_contribution(self.layer, "reft", delta, h + delta)
        return (h + delta, *output[1:]) if isinstance(output, tuple) else h + delta

    def slot_state_dict(self, slot):
        rank = self.ranks[slot]
        own = {"down": self.down[slot, :rank], "bias": self.bias[slot, :rank], "up": self.up[slot, :, :rank]}
        return own if rank else {}


class Reft(Submodule):
    name = "reft"

    def attach_layer(self, attachment, layer):
        width = attention_shape(attachment.model.config).width
        part = SlotReft(layer.number, width, attachment.slots, attachment.gate("reft", layer.number, width))
        attachment.add_part(f"reft/{layer.number}", part)
        attachment.add_handle(layer.module.register_forward_hook(part.hook))


REFT = Reft()
