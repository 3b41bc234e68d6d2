from __future__ import annotations

import pytest
from editions import EDITION_1

from tiny import tiny_backbone
from unipelt_search.execution.measured_sizes import measure_size, stored_on
from unipelt_search.methods.basis import Basis
from unipelt_search.search.sizes import resized, stored_by, value_of
from unipelt_search.search.space import published
from unipelt_search.specs.study import SpaceSpec


@pytest.mark.parametrize(
    "method", ["head", "bitfit", "lora", "ia3", "parallel_adapter", "prefix", "unipelt_apl", "fine_tuning"]
)
def test_the_measured_sizes_count_as_a_pack_does(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = tiny_backbone()
    small = {"adapter.bottleneck": 12, "parallel_adapter.bottleneck": 12}
    trial = published(method, SpaceSpec(), 100, EDITION_1)[0]
    for name, value in small.items():
        trial = resized(trial, name, value) if value_of(trial, name) else trial
    monkeypatch.setattr("unipelt_search.execution.measured_sizes.published", lambda *given: (trial,))
    size = measure_size(backbone, method, SpaceSpec(), 100, EDITION_1)
    assert stored_by(trial, size) == stored_on(backbone, trial)
    other = trial
    for name in size.sizes:
        other = resized(other, name, 3)
    if other.gate:
        other = other.model_copy(update={"gate": other.gate.model_copy(update={"sharing": "shared"})})
    assert stored_by(other, size) == stored_on(backbone, other)


def test_a_single_unit_is_measured_too() -> None:
    backbone = tiny_backbone(hidden_size=16)
    basis = Basis(edition=2, hidden_size=16)
    trial = published("adapter", SpaceSpec(), 100, basis)[0]
    assert value_of(trial, "adapter.bottleneck") == 1
    size = measure_size(backbone, "adapter", SpaceSpec(), 100, basis)
    other = resized(trial, "adapter.bottleneck", 3)
    assert stored_by(other, size) == stored_on(backbone, other)
