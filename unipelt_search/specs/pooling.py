"""The names of how token vectors become one vector: one of a model's own, or a few of which the vectors are joined."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

MODES = ("mean", "cls", "last", "max", "weighted_mean", "mean_sqrt_length")
"""Ways of pooling that are computed here."""
NATIVE = "native"
"""As the architecture does."""
AUTO = "auto"
"""As the checkpoint declares, or else native."""
JOIN = "+"
"""Stands between the modes of which the vectors are joined, in this order."""


def modes_of(pooling: str) -> tuple[str, ...]:
    """Return the modes that a pooling is made of.

    Args:
        pooling: A name with `JOIN` between its modes.

    Returns:
        The modes in order; just the name where it has one.
    """
    return tuple(pooling.split(JOIN))


def check_pooling(pooling: str) -> str:
    """Check that a pooling can be computed.

    Args:
        pooling: What is stored: not `auto`.

    Returns:
        The same.

    Raises:
        ValueError: It cannot.
    """
    modes = modes_of(pooling)
    if pooling != NATIVE and (set(modes) - set(MODES) or len(set(modes)) < len(modes)):
        raise ValueError(
            f"pooling must be {NATIVE}, one of {', '.join(MODES)}, or different ones of these with {JOIN} between "
            f"them; got {pooling!r}"
        )
    return pooling


def _check_asked_pooling(pooling: str) -> str:
    return pooling if pooling == AUTO else check_pooling(pooling)


StoredPooling = Annotated[str, AfterValidator(check_pooling)]
"""How a trained model pools."""
AskedPooling = Annotated[str, AfterValidator(_check_asked_pooling)]
"""The same, or `auto`."""
