"""Recording gates while a model runs, and their statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from unipelt_search.records.results import GateRow

ACTIVE_ABOVE = 0.5
GateKey = tuple[int, str]
"""(layer, gate name)."""


class GateRecorder:
    """Collects per-example gates of a pack over the batches of one split."""

    def __init__(self, slots: int, rows: int, *, contributions: bool) -> None:
        """Begin empty.

        Args:
            slots: Runs in the pack, S.
            rows: Rows of the split, n; those never recorded stay NaN.
            contributions: Whether contributions are wanted too.
        """
        self.contributions = contributions
        self._shape = (slots, rows)
        self._values: dict[tuple[str, int, str], np.ndarray] = {}
        self._batch = np.empty(0, dtype=np.int64)

    def begin(self, rows: np.ndarray) -> None:
        """Say which rows the next forward pass is over."""
        self._batch = rows

    def record(self, kind: str, layer: int, gate: str, values: Tensor) -> None:
        """Take values ``(S·B,)`` of one gate in one layer."""
        found = self._values.setdefault((kind, layer, gate), np.full(self._shape, np.nan))
        found[:, self._batch] = values.detach().float().cpu().numpy().reshape(self._shape[0], -1)

    def gates(self, slot: int) -> dict[GateKey, np.ndarray]:
        """Return one slot's own gates, ``(n,)`` each; NaN in rows that were not seen."""
        found = {(layer, gate): v[slot] for (kind, layer, gate), v in sorted(self._values.items()) if kind == "gate"}
        return {key: values for key, values in found.items() if not np.isnan(values).all()}

    def contribution(self, slot: int, layer: int, gate: str) -> np.ndarray | None:
        """Return one slot's contributions of one gate, ``(n,)``, if they were recorded."""
        found = self._values.get(("contribution", layer, gate))
        return None if found is None else found[slot]


def gate_rows(
    recorder: GateRecorder,
    slot: int,
    initial: dict[GateKey, np.ndarray],
    *,
    epoch: float,
    stacks: Sequence[Literal["encoder", "decoder"]],
    split: Literal["tune", "select"],
    labels: np.ndarray,
    names: tuple[str, ...] = (),
) -> Iterator[GateRow]:
    """Summarise one slot's gates.

    Args:
        recorder: What was recorded.
        slot: The run's place in the pack.
        initial: The same gates on the same rows before the first step, ``(n,)`` each.
        epoch: When.
        stacks: Which stack each layer belongs to.
        split: Which rows.
        labels: ``(n,)``, the true label of each row, or ``(n, labels)`` of 0 and 1 where rows have sets of them.
        names: The labels' names; when given, a row per label follows the overall one.

    Yields:
        One row per layer × gate, and per layer × gate × label.
    """
    for (layer, gate), values in recorder.gates(slot).items():
        seen = ~np.isnan(values)
        contributions = recorder.contribution(slot, layer, gate)
        groups = [(None, seen)] + [(name, seen & has_label(labels, index)) for index, name in enumerate(names)]
        for name, selected in groups:
            if not selected.any():
                continue
            own = values[selected]
            q05, q25, q50, q75, q95 = (float(q) for q in np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95]))
            yield GateRow(
                epoch=epoch, stack=stacks[layer], layer=layer, gate=gate, split=split, label=name, n=len(own),
                mean=float(own.mean()), sd=float(own.std(ddof=1)) if len(own) > 1 else 0.0,
                q05=q05, q25=q25, q50=q50, q75=q75, q95=q95,
                share_active=float((own > ACTIVE_ABOVE).mean()),
                contribution=None if contributions is None else float(contributions[selected].mean()),
                initial_mean=float(initial[layer, gate][selected].mean()),
            )  # fmt: skip


def has_label(labels: np.ndarray, index: int) -> np.ndarray:
    """Tell which rows have the label at a place: ``(n,)``, from ``(n,)`` classes or ``(n, labels)`` of 0 and 1."""
    return labels == index if labels.ndim == 1 else labels[:, index] == 1
