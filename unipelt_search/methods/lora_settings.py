"""What LoRA may be asked."""

from __future__ import annotations

from pydantic import Field

from unipelt_search.frozen import Frozen


class LoraSpec(Frozen):
    """LoRA on the query and value projections."""

    rank: int = Field(default=8, ge=1, le=512)
    """Columns of the low-rank update."""
    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by alpha / rank where no gate replaces that factor."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the update's inputs that are dropped while training."""
