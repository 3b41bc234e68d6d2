"""Recording gates while a model runs, and their statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from unipelt_search.records.results import GateName, GateRow, GateValues

ACTIVE_ABOVE = 0.5
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_HALF = np.dtype("<f2")
GateKey = tuple[int, str]
"""(layer, gate name)."""


@dataclass(frozen=True, eq=False)
class RecordedGate:
    """One slot's gate in one layer, row by row, each ``(n,)``."""

    layer: int
    name: str
    values: np.ndarray
    """NaN in rows that were not seen."""
    contributions: np.ndarray | None
    initial: np.ndarray
    """Before the first step."""


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
        key = (kind, layer, gate)
        if key not in self._values:
            self._values[key] = np.full(self._shape, np.nan)
        slots = self._shape[0]
        self._values[key][:, self._batch] = values.detach().float().cpu().numpy().reshape(slots, -1)

    def gates(self, slot: int) -> dict[GateKey, np.ndarray]:
        """Return one slot's own gates, ``(n,)`` each; NaN in rows that were not seen."""
        found = {}
        for (kind, layer, gate), values in sorted(self._values.items()):
            own = values[slot]
            if kind == "gate" and not np.isnan(own).all():
                found[layer, gate] = own
        return found

    def contribution(self, slot: int, layer: int, gate: str) -> np.ndarray | None:
        """Return one slot's contributions of one gate, ``(n,)``, if they were recorded."""
        found = self._values.get(("contribution", layer, gate))
        return None if found is None else found[slot]

    def of_slot(
        self,
        slot: int,
        initial: dict[GateKey, np.ndarray],
    ) -> list[RecordedGate]:
        """Return one slot's gates with what belongs to each.

        Args:
            slot: The run's slot in the pack.
            initial: The same gates on the same rows before the first step, ``(n,)`` each.

        Returns:
            One entry per layer and gate, in the order of layers and names.
        """
        return [
            RecordedGate(layer, gate, values, self.contribution(slot, layer, gate), initial[layer, gate])
            for (layer, gate), values in self.gates(slot).items()
        ]


def gate_rows(
    gates: Iterable[RecordedGate],
    *,
    epoch: float,
    stacks: Sequence[Literal["encoder", "decoder"]],
    split: Literal["tune", "select"],
    labels: np.ndarray,
    names: tuple[str, ...] = (),
) -> Iterator[GateRow]:
    """Summarise gates.

    Args:
        gates: What `GateRecorder.of_slot` returns.
        epoch: When.
        stacks: Which stack each layer belongs to.
        split: Which rows.
        labels: ``(n,)``, the true label of each row, or ``(n, labels)`` of 0 and 1 where rows have sets of them.
        names: The labels' names; when given, a row per label follows the overall one.

    Yields:
        One row per layer × gate, and per layer × gate × label.
    """
    for gate in gates:
        seen = ~np.isnan(gate.values)
        groups: list[tuple[str | None, np.ndarray]] = [(None, seen)]
        groups += [(name, seen & has_label(labels, index)) for index, name in enumerate(names)]
        for name, selected in groups:
            if selected.any():
                statistics = _statistics(gate, selected)
                yield GateRow(
                    epoch=epoch,
                    stack=stacks[gate.layer],
                    layer=gate.layer,
                    gate=gate.name,
                    split=split,
                    label=name,
                    **statistics,
                )


def gate_values(
    gates: Sequence[RecordedGate],
    *,
    stacks: Sequence[Literal["encoder", "decoder"]],
    rows: np.ndarray,
) -> GateValues:
    """Keep gates row by row.

    Args:
        gates: What `GateRecorder.of_slot` returns; the rows must have been seen.
        stacks: Which stack each layer belongs to.
        rows: ``(m,)``, which rows of the split to keep.

    Returns:
        Their values in half precision, 11 bits of each.
    """
    names = [GateName(stack=stacks[gate.layer], layer=gate.layer, gate=gate.name) for gate in gates]
    kept = [gate.values[rows].astype(_HALF).tobytes() for gate in gates]
    return GateValues(gates=tuple(names), rows=tuple(rows.tolist()), values=b"".join(kept))


def _statistics(gate: RecordedGate, selected: np.ndarray) -> dict[str, Any]:
    """Summarise a gate over the selected rows, by the names of `GateRow`'s fields."""
    own = gate.values[selected]
    q05, q25, q50, q75, q95 = map(float, np.quantile(own, QUANTILES))
    return {
        "n": len(own),
        "mean": float(own.mean()),
        "sd": float(own.std(ddof=1)) if len(own) > 1 else 0.0,
        "q05": q05,
        "q25": q25,
        "q50": q50,
        "q75": q75,
        "q95": q95,
        "share_active": float((own > ACTIVE_ABOVE).mean()),
        "contribution": None if gate.contributions is None else float(gate.contributions[selected].mean()),
        "initial_mean": float(gate.initial[selected].mean()),
    }


def has_label(labels: np.ndarray, index: int) -> np.ndarray:
    """Tell which rows have the label of an index: ``(n,)``, from ``(n,)`` classes or ``(n, labels)`` of 0 and 1."""
    return labels == index if labels.ndim == 1 else labels[:, index] == 1
