"""What a user should know about a study, as data; `reporting` makes the sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import model_validator

from unipelt_search.frozen import Frozen

NoticeValue = bool | int | float | str | None | tuple[bool | int | float | str | None, ...]
LEGACY = "legacy"
"""The code of a notice that was stored as a sentence before notices were data; its value `sentence` is that."""
MAX_NAMED = 5
"""Names or numbers that a message lists before it says how many more there are."""


class Notice(Frozen):
    """One finding: a stable code, how much it matters, and the values that its sentence needs."""

    code: str
    """Lower-case words with underscores, never renamed: `rare_labels`."""
    severity: Literal["fact", "info", "warning"] = "info"
    """`warning`: a score may mislead who does not know it. `fact`: how the data was read and split where nothing is
    odd, which a plan shows under `data` and a report leaves out."""
    values: Mapping[str, NoticeValue] = {}
    """By name, as the sentence of the code needs them; no text of the dataset but labels and column names."""

    @model_validator(mode="before")
    @classmethod
    def _read_sentence(cls, value: Any) -> Any:
        """Take a sentence, which older versions stored, for a notice of the code `legacy`."""
        return {"code": LEGACY, "values": {"sentence": value}} if isinstance(value, str) else value


def first_values(name: str, things: Sequence[object]) -> dict[str, NoticeValue]:
    """Return the values of a notice that lists things: the first of them, and how many there are.

    Args:
        name: The name of the value, in the plural.
        things: What is listed.

    Returns:
        `name`, at most `MAX_NAMED` things as text, and `name` with `_count` after it.
    """
    return {name: tuple(str(thing) for thing in things[:MAX_NAMED]), f"{name}_count": len(things)}


def facts(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """Return the notices that say how the data was read and split, in their order."""
    return tuple(notice for notice in notices if notice.severity == "fact")


def without_facts(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """Return the other notices, in their order."""
    return tuple(notice for notice in notices if notice.severity != "fact")
