"""IA3 without torch: it has no settings."""

from __future__ import annotations

from unipelt_search.methods.method_entry import SubmoduleEntry

ENTRY = SubmoduleEntry(
    name="ia3",
    sentence="IA3 (Liu et al., 2022): keys, values and inner feed-forward features are rescaled.",
    torch_module="unipelt_search.pelt.ia3:IA3",
    learning_rates=(5e-3, 2e-2, 1e-3),
    set_order=6,
    list_order=2,
)
