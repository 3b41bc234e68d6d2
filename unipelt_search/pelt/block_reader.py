"""Reading, in a pass under way, what a layer would hand on without its adapter."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from unipelt_search.backbones.block_output import BlockParts, first_output, first_tensor
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.pelt.slots import ContextHolder


class BlockReader:
    """Keeps what the feed-forward output is added to each time that a layer runs, and computes the sum.

    A layer that runs several times in a pass (ALBERT) has another sum each time.
    """

    def __init__(self, layer: int, parts: BlockParts, holder: ContextHolder) -> None:
        """Take a layer and where the pass under way is found.

        Args:
            layer: Counted from 0.
            parts: What the sum is made of.
            holder: Where the hooks find the pass.
        """
        self.parts = parts
        self.holder = holder
        self._residual = ("block residual", layer)
        self._attention = ("block attention", layer)

    def attach(self, attachment: Attachment) -> None:
        """Hook the summands."""
        keep = self.parts.residual.register_forward_pre_hook(self.keep_residual, with_kwargs=True)
        attachment.add_handle(keep)
        if self.parts.attention is not None:
            attachment.add_last_hook(self.parts.attention, self.keep_attention)

    def keep_residual(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Keep the residual."""
        self.holder.context.kept[self._residual] = first_tensor(args, kwargs)

    def keep_attention(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Keep the attention's share."""
        self.holder.context.kept[self._attention] = first_output(output)

    def output(self, h: Tensor) -> Tensor:
        """Compute what the layer would hand on if nothing more were added to its feed-forward output.

        Args:
            h: The feed-forward output as it is added, ``(S·B, T, D)`` or ``(S·B·T, D)``.

        Returns:
            As ``h``.
        """
        kept = self.holder.context.kept
        return self.parts.output(h, kept[self._residual], kept.get(self._attention))
