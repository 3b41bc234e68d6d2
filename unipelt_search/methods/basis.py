"""What published settings and searched ranges depend on beside the method: the study's edition and its backbone."""

from __future__ import annotations

from pydantic import Field, model_serializer

from unipelt_search.errors import UnipeltError
from unipelt_search.frozen import Frozen

Value = bool | str | int | float | None


class Basis(Frozen):
    """A study's edition, and what its backbone decides of the published settings."""

    edition: int = Field(ge=1)
    """Which published settings and ranges hold, see `records.history.EDITION`."""
    hidden_size: int | None = Field(default=None, ge=1)
    """Features of a token; None in studies of edition 1, where nothing depends on it."""
    block_output: bool = True
    """Whether an adapter can read what its block would hand on without it."""


class WidthShare(Frozen):
    """A size that grows with the backbone: a share of its hidden size, such as a sixteenth."""

    divisor: int = Field(ge=1)

    def on(self, basis: Basis) -> int:
        """Return the size on a backbone.

        Args:
            basis: Of a study whose hidden size is known.

        Returns:
            The hidden size divided and rounded down, at least 1, as the library `adapters` has it.

        Raises:
            UnipeltError: The hidden size is not known.
        """
        if basis.hidden_size is None:
            raise UnipeltError(f"A size of {self} needs the backbone's hidden size; the study has none.")
        return max(1, basis.hidden_size // self.divisor)

    def __str__(self) -> str:
        """Write the share as it stands in tables."""
        return f"hidden/{self.divisor}"

    @model_serializer
    def _as_text(self) -> str:
        return str(self)


class BlockOutputValue(Frozen):
    """A published value that needs what the block would hand on, and what holds where that cannot be had."""

    value: str
    otherwise: str

    def on(self, basis: Basis) -> str:
        """Return the value on a backbone."""
        return self.value if basis.block_output else self.otherwise

    def __str__(self) -> str:
        """Write the published value as it stands in tables."""
        return self.value

    @model_serializer
    def _as_text(self) -> str:
        return str(self)


Published = Value | WidthShare | BlockOutputValue
Bound = float | WidthShare | None


def resolved(value: Published, basis: Basis) -> Value:
    """Return a published value, or a bound of a range, as a study has it.

    Args:
        value: A plain value, or one that depends on the backbone.
        basis: The study's.

    Returns:
        The plain value.

    Raises:
        UnipeltError: It is a share of the hidden size, which is not known.
    """
    if isinstance(value, WidthShare | BlockOutputValue):
        return value.on(basis)
    return value
