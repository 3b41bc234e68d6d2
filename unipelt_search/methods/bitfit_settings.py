"""BitFit without torch: it has no settings."""

from __future__ import annotations

from unipelt_search.methods.method_entry import SubmoduleEntry

ENTRY = SubmoduleEntry(
    name="bitfit",
    sentence="BitFit (Ben Zaken et al., 2022): only the biases are trained.",
    torch_module="unipelt_search.pelt.bitfit:BITFIT",
    learning_rates=(5e-3, 1e-3, 1e-2),
    set_order=5,
    list_order=1,
)
