"""What a user should know about a study, as data; `reporting` makes the sentences."""

from __future__ import annotations

from typing import Literal

from unipelt_search.frozen import Frozen

NoticeValue = bool | int | float | str | None | tuple[bool | int | float | str | None, ...]
LEGACY = "legacy"
"""The code of a notice that was stored as a sentence before notices were data; its value `sentence` is that."""


class Notice(Frozen):
    """One finding: a stable code, how much it matters, and the values that its sentence needs."""

    code: str
    """Lower-case words with underscores, never renamed: `rare_labels`."""
    severity: Literal["info", "warning"] = "info"
    """`warning`: a score may mislead who does not know it."""
    values: dict[str, NoticeValue] = {}
    """By name, as the sentence of the code needs them; no text of the dataset but labels and column names."""
