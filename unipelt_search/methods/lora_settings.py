"""LoRA without torch: its settings, published values and search space."""

from __future__ import annotations

from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.hyperparameter import choice, integer, real
from unipelt_search.methods.method_entry import SubmoduleEntry


class LoraSpec(Frozen):
    """LoRA on the query and value projections."""

    rank: int = Field(default=8, ge=1, le=512)
    """Columns of the low-rank update."""
    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by alpha / rank where no gate replaces that factor."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the update's inputs that are dropped while training."""


ENTRY = SubmoduleEntry(
    name="lora",
    sentence="LoRA (Hu et al., 2022): a low-rank update of the query and value projections.",
    torch_module="unipelt_search.pelt.lora:LORA",
    settings=LoraSpec,
    learning_rates=(2e-3, 5e-4, 5e-3),
    hyperparameters=(
        choice("gate.lora", "replace", "multiply"),
        integer("lora.rank", 2, 64),
        # Where the gate replaces alpha / rank, alpha has no effect.
        real("lora.alpha", 4.0, 64.0, unless=("gate.lora", "replace")),
        real("lora.dropout", 0.0, 0.2, 0.1),
    ),
    set_order=4,
    list_order=3,
)
