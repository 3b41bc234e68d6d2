from __future__ import annotations

import pytest
from editions import EDITION_1

from unipelt_search.records.history import MethodSize
from unipelt_search.search.sizes import lowest_sizes, resized, shrunk, stored_by, value_of, within_limit
from unipelt_search.search.space import published
from unipelt_search.specs.study import SpaceSpec

SIZE = MethodSize(
    method="unipelt_al", stored=1000, sizes={"lora.rank": 8, "adapter.bottleneck": 48},
    per_unit={"lora.rank": 20, "adapter.bottleneck": 10}, shared_gates=-60,
)  # fmt: skip
TRIAL = published("unipelt_al", SpaceSpec(), 100, EDITION_1)[0]
SHARED = {"gate": TRIAL.gate.model_copy(update={"sharing": "shared"})}


def test_numbers_are_counted_by_units_and_shared_gates() -> None:
    assert stored_by(TRIAL, SIZE) == 1000
    other = resized(resized(TRIAL, "lora.rank", 10), "adapter.bottleneck", 40)
    assert stored_by(other, SIZE) == 1000 + 40 - 80
    assert stored_by(other.model_copy(update=SHARED), SIZE) == 1000 + 40 - 80 - 60


def test_sizes_shrink_together_only_as_far_as_needed() -> None:
    assert shrunk(TRIAL, SIZE, 1000, EDITION_1) is TRIAL
    fits = shrunk(TRIAL, SIZE, 700, EDITION_1)
    assert 500 < stored_by(fits, SIZE) <= 700
    assert value_of(fits, "lora.rank") / value_of(fits, "adapter.bottleneck") == pytest.approx(8 / 48, rel=0.35)
    assert fits.model_copy(update={"lora": TRIAL.lora, "adapter": TRIAL.adapter}) == TRIAL
    smallest = shrunk(TRIAL, SIZE, 1, EDITION_1)
    assert [value_of(smallest, name) for name in SIZE.sizes] == [lowest_sizes(EDITION_1)[name] for name in SIZE.sizes]
    below = resized(TRIAL, "lora.rank", 1)  # a size that the space does not have is not made larger
    assert value_of(shrunk(below, SIZE, 1, EDITION_1), "lora.rank") == 1


def test_without_a_limit_or_a_measured_size_a_configuration_stays(task) -> None:
    limited = SpaceSpec(max_parameters=700)
    sized = task.model_copy(update={"sizes": (SIZE,)})
    assert within_limit(TRIAL, SpaceSpec(), sized, EDITION_1) is TRIAL
    assert within_limit(TRIAL, limited, task, EDITION_1) is TRIAL
    assert within_limit(TRIAL, limited, sized, EDITION_1) == shrunk(TRIAL, SIZE, 700, EDITION_1)
