"""Predictions as CSV that a spreadsheet may open, or as JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unipelt_search.kinds.label_kind import Prediction

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def predictions_csv(predictions: Sequence[Prediction], labels: Sequence[str]) -> str:
    """Write predictions as CSV: the label (a number for regression, ``a|b`` for sets), then every label's probability.

    Args:
        predictions: One per row.
        labels: What can be predicted, in order.

    Returns:
        A header and one line per prediction; no cell is a formula to a spreadsheet.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["label", *(f"probability of {label}" for label in labels)])
    for prediction in predictions:
        probabilities = prediction.probabilities or {}
        shares = (f"{probabilities[label]:.6f}" for label in labels)
        table.writerow([inert_cell(_format_label(prediction.label)), *shares])
    return text.getvalue()


def predictions_json(predictions: Sequence[Prediction]) -> str:
    """Write predictions as a JSON array of objects with `label` and `probabilities`."""
    rows = [{"label": p.label, "probabilities": p.probabilities} for p in predictions]
    return json.dumps(rows, ensure_ascii=False, indent=1)


def _format_label(label: str | float | tuple[str, ...]) -> str:
    if isinstance(label, tuple):
        return "|".join(label)
    return label if isinstance(label, str) else f"{label:.6g}"


def inert_cell(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would take for a formula; numbers stay as they are."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(cell) else cell
