from __future__ import annotations

import pytest

from tiny import EVERYTHING, tiny_trial
from unipelt_search.errors import MachineError, RequestError
from unipelt_search.methods import catalogue as methods
from unipelt_search.pelt import registry
from unipelt_search.pelt.registry import in_order, submodules_of, torch_submodule
from unipelt_search.pelt.submodule import Submodule


def test_every_registered_submodule_has_its_torch_half() -> None:
    for entry in methods.catalogue():
        found = torch_submodule(entry.name)
        assert isinstance(found, Submodule)
        assert found.name == entry.name
        assert torch_submodule(entry.name) is found


def test_the_order_of_hooks_is_that_of_release_0_1() -> None:
    """Sums over the trained tensors are taken in this order, so runs of that release go on to the same digit."""
    order = ["bitfit", "lora", "prefix", "adapter", "parallel_adapter", "ia3"]
    assert [found.name for found in submodules_of(tiny_trial(EVERYTHING))] == order
    assert [found.name for found in in_order(reversed(order))] == order
    assert submodules_of(tiny_trial("head")) == []


def test_an_unknown_submodule_is_refused() -> None:
    with pytest.raises(RequestError, match="lroa"):
        torch_submodule("lroa")


@pytest.mark.parametrize(
    "location", ["unipelt_search.pelt.absent:LORA", "unipelt_search.pelt.lora:ABSENT", "unipelt_search.pelt.ia3:IA3"]
)
def test_a_torch_half_that_is_missing_or_anothers_is_refused(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = methods.find_submodule("lora").model_copy(update={"torch_module": location, "package": "some-package"})
    monkeypatch.setattr(registry, "find_submodule", lambda name: entry)
    with pytest.raises(MachineError, match="some-package"):
        torch_submodule.__wrapped__("lora")
