from __future__ import annotations

import pytest
from pydantic import ValidationError

from unipelt_search.specs.pooling import MODES, check_pooling, modes_of
from unipelt_search.specs.study import BackboneSpec


@pytest.mark.parametrize("pooling", ["native", *MODES, "cls+mean", "max+weighted_mean+last"])
def test_a_pooling_is_one_mode_or_several(pooling: str) -> None:
    assert check_pooling(pooling) == pooling
    assert BackboneSpec(model="m", pooling=pooling).pooling == pooling
    assert "+".join(modes_of(pooling)) == pooling


@pytest.mark.parametrize("pooling", ["", "avg", "auto+mean", "native+mean", "mean+mean", "mean+", "cls, mean"])
def test_others_are_refused(pooling: str) -> None:
    with pytest.raises(ValidationError, match="pooling must be native, one of mean, cls"):
        BackboneSpec(model="m", pooling=pooling)


def test_only_what_is_asked_can_be_left_to_the_checkpoint() -> None:
    assert BackboneSpec(model="m").pooling == "auto"
    with pytest.raises(ValueError, match="got 'auto'"):
        check_pooling("auto")
