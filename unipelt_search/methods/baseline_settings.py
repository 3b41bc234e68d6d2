"""The methods without submodules, which every study may compare the others with."""

from __future__ import annotations

from unipelt_search.methods.method_entry import BaselineEntry

MAJORITY = BaselineEntry(
    name="majority",
    trains="nothing",
    learning_rates=None,
    sentence="Always predicts the most frequent label of the training rows; costs no trial.",
)
HEAD = BaselineEntry(
    name="head",
    trains="head",
    learning_rates=(5e-3, 2e-2, 1e-3),
    sentence="A linear probe: only the classification head is trained.",
)
FINE_TUNING = BaselineEntry(
    name="fine_tuning",
    trains="backbone",
    learning_rates=(1e-4, 3e-5, 3e-4),
    sentence="Every weight of the backbone is trained.",
)
