"""Where the rows of a study's splits stand in what the user gave."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from unipelt_search.frozen import Frozen


class RowSource(Frozen):
    """A file, or a table in memory, that rows came from."""

    name: str
    unit: str
    """What its rows are counted in: `line` or `row`."""


class RowOrigins(Frozen):
    """Of every row of a split its source and its number there, in the order of the split."""

    split: Literal["select", "test"]
    """`select` are all deciding rows: with folds those of train and then those of validation."""
    sources: tuple[RowSource, ...]
    """Each once."""
    source_of: tuple[int, ...]
    """Each row's index in `sources`."""
    numbers: tuple[int, ...]
    """Each row's number in its source, as the source's unit is counted."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len(self.source_of) != len(self.numbers):
            raise ValueError(
                f"every row must have a source and a number; got {len(self.source_of)} and {len(self.numbers)}"
            )
        return self

    def format(self, row: int) -> str:
        """Say where a row stands, such as ``line 7 of train.csv``."""
        source = self.sources[self.source_of[row]]
        return f"{source.unit} {self.numbers[row]} of {source.name}"
