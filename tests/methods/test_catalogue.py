from __future__ import annotations

import sys
from pathlib import Path

import pytest

from unipelt_search import methods
from unipelt_search.errors import RequestError, UnknownMethodError
from unipelt_search.methods.catalogue import (
    DEFAULT_METHODS,
    MAX_NAME_LENGTH,
    METHODS,
    NAMED_SETS,
    SUBMODULES,
    TRAINED_METHODS,
    canonical_method,
    check_methods,
    find_method,
    find_submodule,
    is_installed,
    named_methods,
    reload_catalogue,
    set_members,
    split_methods,
)
from unipelt_search.methods.method_entry import OURS

ALL_SIX = "unipelt[adapter,parallel_adapter,prefix,lora,bitfit,ia3]"


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


SETTINGS = """
from unipelt_search.methods.method_entry import SubmoduleEntry

ENTRY = SubmoduleEntry(
    name="scale",
    sentence="For a test.",
    torch_module="unipelt_search.pelt.scale:SCALE",
    learning_rates=(1e-3, 1e-4, 1e-2),
    set_order=7,
    list_order=7,
)
"""


def test_a_method_of_ours_costs_one_settings_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scale_settings.py").write_text(SETTINGS)
    (tmp_path / "other_settings.py").write_text("ENTRY = 3")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    reload_catalogue()
    try:
        assert find_method("scale").submodules == ("scale",)
        assert find_submodule("scale").package == OURS
        assert canonical_method("unipelt[scale,lora]") == "unipelt[lora,scale]"
        assert [*named_methods()][-6:] == [find_method("scale"), *[*METHODS.values()][-5:]]
    finally:
        monkeypatch.undo()
        reload_catalogue()
        sys.modules.pop("unipelt_search.methods.scale_settings", None)
        sys.modules.pop("unipelt_search.methods.other_settings", None)
    assert not is_installed("scale")


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


def test_a_set_has_one_name() -> None:
    assert canonical_method(" lora ") == "lora"
    assert canonical_method("unipelt[lora,adapter]") == canonical_method("unipelt[ adapter , lora ]") == "unipelt_al"
    assert canonical_method("unipelt[bitfit,lora]") == "unipelt[lora,bitfit]"
    assert canonical_method("unipelt[ia3,bitfit,lora,prefix,parallel_adapter,adapter]") == ALL_SIX
    assert len(ALL_SIX) <= MAX_NAME_LENGTH
    for name, submodules in NAMED_SETS.items():
        assert canonical_method(f"unipelt[{','.join(reversed(submodules))}]") == name
        assert find_method(name) == METHODS[name]


def test_a_set_is_a_gated_method() -> None:
    found = find_method("unipelt[lora,bitfit]")
    assert (found.name, found.submodules, found.gated) == ("unipelt[lora,bitfit]", ("lora", "bitfit"), True)
    assert found.trains == "submodules"
    assert set_members(found.name) == found.submodules
    assert set_members("lora") == ()
    assert is_installed(found.name)
    assert not is_installed("unipelt[lora,reft]")
    assert not is_installed("reft")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unipelt[lora]", "two or more different ones.*got 'unipelt.lora.'"),
        ("unipelt[lora,lora]", "two or more different ones"),
        ("unipelt[lora,adaptr]", "got 'adaptr' in 'unipelt.lora,adaptr.'. Did you mean 'adapter'"),
        ("unipelt[lora,head]", "got 'head'"),
        ("unipelt[]", "got ''"),
        ("unipelt[lora,adapter", "got 'unipelt.lora,adapter'"),
        ("unipelt_alp", "Did you mean 'unipelt_a"),
    ],
)
def test_a_wrong_set_is_refused_in_one_sentence(name: str, message: str) -> None:
    with pytest.raises(UnknownMethodError, match=message) as caught:
        find_method(name)
    assert "\n" not in str(caught.value)


def test_a_name_must_fit_into_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipelt_search.methods.catalogue.MAX_NAME_LENGTH", len(ALL_SIX) - 1)
    with pytest.raises(UnknownMethodError, match=r"at most 55 characters.*got 56: unipelt\[adapter"):
        canonical_method(ALL_SIX)


def test_an_unknown_submodule_is_refused() -> None:
    assert find_submodule("lora").sentence == METHODS["lora"].sentence
    with pytest.raises(UnknownMethodError, match="got 'lorra'. Did you mean 'lora'"):
        find_submodule("lorra")


def test_one_method_cannot_be_named_twice() -> None:
    with pytest.raises(RequestError, match=r"got 'unipelt_al' and 'unipelt\[lora, adapter\]', both of which are unip"):
        check_methods(("unipelt_al", "unipelt[lora, adapter]"))
    assert check_methods(("unipelt[lora, adapter]", "unipelt[bitfit,lora]")) == ("unipelt_al", "unipelt[lora,bitfit]")


def test_methods_are_split_outside_brackets() -> None:
    assert split_methods("head, unipelt[lora, adapter],lora,,") == ("head", "unipelt[lora, adapter]", "lora")
    assert split_methods("unipelt[a,b],unipelt[c,d]") == ("unipelt[a,b]", "unipelt[c,d]")
    assert split_methods("unipelt[a,b") == ("unipelt[a", "b")
    assert split_methods("") == ()
