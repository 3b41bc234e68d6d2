"""ReFT (Wu et al., 2024, arXiv 2404.03592) in its DiReFT form: ``h + f · U (W h + b)``, f = 1 or the gate over h."""

from unipelt_reft.reft_settings import ReftSpec
from unipelt_search.backbones.layers import attention_shape
from unipelt_search.pelt import slots
from unipelt_search.pelt.submodule import Submodule


class SlotReft(slots.SlotPart):
    """The intervention after one layer; U starts at zero, so nothing changes at first."""

    def __init__(self, layer, width, runs, gate):
        super().__init__()
        self.layer, self.holder, self.gate = layer, runs.holder, gate
        self.ranks = [spec.rank if spec else 0 for spec in runs.settings("reft", ReftSpec)]
        uniform = slots.uniform(width**-0.5)
        self.down = self.tensor("down", lambda rank: (rank, width), uniform, runs.seeds)
        self.bias = self.tensor("bias", lambda rank: (rank,), slots.zeros, runs.seeds)
        self.up = self.tensor("up", lambda rank: (width, rank), slots.zeros, runs.seeds)
        self.factors = slots.gate_factors([float(rank > 0) for rank in self.ranks], runs.gated("reft"))

    def tensor(self, name, shape, init, seeds):
        own = [shape(rank) if rank else None for rank in self.ranks]
        return slots.slot_parameter(seeds, f"reft.{self.layer}.{name}", shape(max(self.ranks)), own, init)

    def hook(self, module, args, output):
        context = self.holder.context
        h = output[0] if isinstance(output, tuple) else output  # (S·B, T, D)
        if self.gate is not None:
            self.gate(h, context)
        if context.is_removed("reft", self.layer):
            return output
        inner = slots.add_per_slot(slots.slot_matmul(h, self.down), self.bias)
        factor = context.factor(*(part.to(h) for part in self.factors), self.layer, "reft")
        delta = slots.scale_rows(slots.slot_matmul(inner, self.up), factor)
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
