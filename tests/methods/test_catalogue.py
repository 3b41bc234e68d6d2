from __future__ import annotations

import pytest

from unipelt_search.errors import RequestError
from unipelt_search.methods.catalogue import DEFAULT_METHODS, METHODS, SUBMODULES, TRAINED_METHODS, check_methods


def test_the_catalogue_is_consistent() -> None:
    assert "majority" in METHODS
    assert "majority" not in TRAINED_METHODS
    assert set(DEFAULT_METHODS) <= set(TRAINED_METHODS)
    for name, method in METHODS.items():
        assert method.name == name
        assert set(method.submodules) <= set(SUBMODULES)
        assert method.gated == name.startswith("unipelt_")
        assert bool(method.submodules) == (method.trains == "submodules")
    assert METHODS["unipelt_apl"].submodules == ("adapter", "prefix", "lora")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "at least one method"),
        (("majority",), "must not name 'majority'"),
        (("lorra",), "got 'lorra'.*Did you mean 'lora'"),
        (("lora", "lora"), "each method once"),
    ],
)
def test_wrong_names_are_refused_in_one_sentence(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_methods(names)
    assert check_methods(("lora", "head")) == ("lora", "head")
