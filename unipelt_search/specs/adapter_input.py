"""Which adapter a configuration has: the published one, or that of edition 1."""

from __future__ import annotations

from unipelt_search.methods.adapter_settings import FEED_FORWARD, AdapterInput, AdapterSpec
from unipelt_search.specs.trial import TrialSpec


def adapter_input(trial: TrialSpec) -> AdapterInput | None:
    """Return what a configuration's adapter and the adapter's gate read; None without an adapter."""
    adapter = trial.part("adapter", AdapterSpec)
    return None if adapter is None else adapter.input


def reads_feed_forward(trial: TrialSpec) -> bool:
    """Tell whether a configuration has another adapter than the published one."""
    return adapter_input(trial) == FEED_FORWARD
