from __future__ import annotations

import subprocess
import sys

import pytest
from editions import EDITION_1
from plugin_packages import SETTINGS, Packages, packages  # noqa: F401

from unipelt_search.errors import MachineError, UnknownMethodError
from unipelt_search.methods.catalogue import (
    METHODS,
    canonical_method,
    catalogue,
    check_installed,
    find_method,
    find_submodule,
    named_methods,
    part_models,
    parts_of,
    plugin_packages,
    stored_method,
    trained_methods,
)
from unipelt_search.methods.method_entry import OURS
from unipelt_search.methods.plugins import check_plugins, our_entries, plugin_versions
from unipelt_search.methods.search_space import hyperparameters, learning_rates, space_of
from unipelt_search.search.space import published
from unipelt_search.specs.study import SpaceSpec


def test_ours_are_found_in_this_folder() -> None:
    assert [entry.name for entry in our_entries()] == ["adapter", "parallel_adapter", "prefix", "lora", "bitfit", "ia3"]
    assert {entry.package for entry in our_entries()} == {OURS}
    assert len({entry.set_order for entry in our_entries()}) == len({entry.list_order for entry in our_entries()}) == 6


def test_a_plugin_is_a_method_after_ours(packages: Packages) -> None:  # noqa: F811
    packages.install("zeta")
    packages.install("reft")
    assert [entry.name for entry in catalogue()][6:] == ["reft", "zeta"]
    assert [method.name for method in named_methods()] == [*METHODS, "reft", "zeta"]
    entry = find_submodule("reft")
    assert (entry.package, entry.torch_module) == ("unipelt-reft", "unipelt_reft.torch_half:MODULE")
    assert find_method("reft").submodules == ("reft",)
    assert learning_rates("reft") == (1e-3, 3e-4, 3e-3)
    assert [parameter.name for parameter in space_of("reft", EDITION_1)][-2:] == ["reft.rank", "reft.where"]
    assert hyperparameters()[-1].name == "zeta.where"


def test_a_plugin_can_be_gated_with_ours(packages: Packages) -> None:  # noqa: F811
    packages.install()
    assert canonical_method("unipelt[reft, lora,adapter]") == "unipelt[adapter,lora,reft]"
    assert find_method("unipelt[reft,lora]").submodules == ("lora", "reft")
    assert find_method("unipelt[reft,lora]").gated
    assert parts_of("unipelt[lora,reft]") == ("training", "lora", "reft", "gate")
    assert learning_rates("unipelt[lora,reft]") == learning_rates("unipelt_al")


def everything_of_ours() -> dict[str, object]:
    space = SpaceSpec(steps=10)
    trials = {method: published(method, space, 100, EDITION_1) for method in METHODS if method != "majority"}
    return {
        "hashes": {method: [trial.content_hash() for trial in made] for method, made in trials.items()},
        "spaces": {method: space_of(method, EDITION_1) for method in trials},
        "methods": [method for method in trained_methods() if method in METHODS],
        "hyperparameters": [parameter for parameter in hyperparameters() if parameter.submodule != "aaa"],
        "parts": [part for part in part_models() if part != "aaa"],
        "set": canonical_method("unipelt[ia3,lora]"),
        "space": space.content_hash(),
    }


def test_installing_a_plugin_changes_nothing_of_ours(packages: Packages) -> None:  # noqa: F811
    before = everything_of_ours()
    packages.install("aaa")
    assert "aaa" in trained_methods()
    assert everything_of_ours() == before
    packages.remove_all()
    assert "aaa" not in trained_methods()
    assert everything_of_ours() == before


@pytest.mark.parametrize("name", ["lora", "head", "majority", "unipelt_apl"])
def test_a_name_of_ours_cannot_be_taken(packages: Packages, name: str) -> None:  # noqa: F811
    packages.install(name, "unipelt-other")
    with pytest.raises(MachineError, match=f"'{name}' from both unipelt-search and unipelt-other"):
        catalogue()


def test_two_packages_cannot_have_one_name(packages: Packages) -> None:  # noqa: F811
    packages.install("reft", "unipelt-one")
    packages.install("reft", "unipelt-two")
    with pytest.raises(MachineError, match="'reft' from both unipelt-(one and unipelt-two|two and unipelt-one)"):
        find_method("lora")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", "of the package unipelt-reft must be loadable; got ModuleNotFoundError"),
        ("1 / 0", "got ZeroDivisionError"),
        ("", "got AttributeError"),
        ("ENTRY = 3", "must name a SubmoduleEntry of that name; got int"),
        (SETTINGS.format(name="other", module="m"), "got an entry named 'other'"),
        (SETTINGS.format(name="reft", module="m").replace("reft.rank", "reft.ranks"), "got ValidationError"),
        (SETTINGS.format(name="reft", module="m").replace("default=4, ", ""), "must have a default"),
        (SETTINGS.format(name="reft", module="m").replace("m.torch_half:MODULE", "nowhere"), "package.module:NAME"),
    ],
)
def test_a_broken_plugin_is_one_sentence(packages: Packages, source: str, message: str) -> None:  # noqa: F811
    packages.install(source=source or "x = 1")
    with pytest.raises(MachineError, match=message) as caught:
        catalogue()
    assert "unipelt-reft" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(packages: Packages) -> None:  # noqa: F811
    packages.install()
    needed = plugin_packages(["lora", "unipelt[lora,reft]"])
    assert needed == {"reft": "unipelt-reft"}
    check_installed(["lora", "unipelt[lora,reft]"], needed)
    packages.remove_all()
    assert plugin_packages(METHODS) == {}
    check_installed(METHODS, {})
    with pytest.raises(MachineError, match="has no 'reft', which is of the package 'unipelt-reft'"):
        check_installed(["unipelt[lora,reft]"], needed)
    with pytest.raises(UnknownMethodError):
        find_method("unipelt[lora,reft]")
    assert stored_method("unipelt[lora,reft]").submodules == ("lora", "reft")
    assert stored_method("unipelt[lora,reft]").gated
    assert stored_method("reft").submodules == ("reft",)
    packages.install("reft", "unipelt-another")
    with pytest.raises(MachineError, match="must be that of the package 'unipelt-reft'.*'unipelt-another'"):
        check_installed(["reft"], needed)


def test_workers_need_the_drivers_versions(packages: Packages) -> None:  # noqa: F811
    packages.install(version="1.0")
    expected = plugin_versions(["unipelt-reft", OURS])
    assert expected == {"unipelt-reft": "1.0"}
    check_plugins(expected)
    check_plugins({})
    with pytest.raises(MachineError, match="got unipelt-reft 1.0, the driver has 2.0"):
        check_plugins({"unipelt-reft": "2.0"})
    packages.remove_all()
    with pytest.raises(MachineError, match="'unipelt-reft', which brings a method"):
        check_plugins(expected)


def test_plugins_are_loaded_at_the_first_use(packages: Packages) -> None:  # noqa: F811
    packages.install(source="raise RuntimeError('loaded')")
    code = (
        f"import sys; sys.path.insert(0, {str(packages.installed[0])!r})\n"
        "import unipelt_search.methods.catalogue as c\n"
        "import unipelt_search.methods.search_space, unipelt_search.specs.study\n"
        "import unipelt_search.cli.app\n"
        "assert 'unipelt_reft' not in sys.modules\n"
        "try: c.find_method('lora')\n"
        "except Exception as error: print(type(error).__name__)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "MachineError"
