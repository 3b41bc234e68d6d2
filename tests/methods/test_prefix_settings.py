from __future__ import annotations

import pytest

from unipelt_search.methods.prefix_settings import PrefixSpec


@pytest.mark.parametrize(("shifted", "positions"), [(False, 0), (True, 12)])
def test_tokens_move_up_only_where_that_is_asked_for(shifted: bool, positions: int) -> None:
    spec = PrefixSpec(length=12, position_shift=shifted)
    assert spec.shift == positions
    # Configurations of before the option hash as they did.
    assert ("position_shift" in spec.model_dump()) is shifted
