"""The one parent of every spec and record: a frozen pydantic model that refuses unknown keys."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value: compared and hashed by content, stable as JSON, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def content_hash(self) -> str:
        """Return 16 hexadecimal digits of the SHA-256 of the value's canonical JSON."""
        return content_hash(self.model_dump(mode="json"))


def content_hash(value: object) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a JSON value with sorted keys.

    Args:
        value: Anything that ``json.dumps`` takes.

    Returns:
        16 lower-case hexadecimal digits.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
