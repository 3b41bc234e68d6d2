from __future__ import annotations

import pytest
from editions import EDITION_1, NEWEST

from unipelt_search.errors import UnipeltError
from unipelt_search.methods.basis import BlockOutputValue, WidthShare, resolved


@pytest.mark.parametrize(("divisor", "size"), [(1, 384), (16, 24), (64, 6), (5, 76), (1000, 1)])
def test_a_share_is_rounded_down_and_at_least_one(divisor: int, size: int) -> None:
    share = WidthShare(divisor=divisor)
    assert resolved(share, NEWEST) == size
    assert (str(share), share.model_dump()) == (f"hidden/{divisor}", f"hidden/{divisor}")
    with pytest.raises(UnipeltError, match=f"hidden/{divisor} needs the backbone's hidden size"):
        resolved(share, EDITION_1)


def test_a_value_may_need_the_blocks_output() -> None:
    value = BlockOutputValue(value="this", otherwise="that")
    assert resolved(value, NEWEST) == "this"
    assert resolved(value, NEWEST.model_copy(update={"block_output": False})) == "that"
    assert (str(value), value.model_dump()) == ("this", "this")


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "word"])
def test_plain_values_stay(value: bool | str | float | None) -> None:
    assert resolved(value, NEWEST) is value
