"""Packages that bring a method, installed into a temporary folder; what several tests share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unipelt_search.methods.catalogue import reload_catalogue

SETTINGS = '''
from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.hyperparameter import choice, integer
from unipelt_search.methods.method_entry import SubmoduleEntry


class Settings(Frozen):
    """What {name} may be asked."""

    rank: int = Field(default=4, ge=1, le=64)
    """Dimensions."""
    where: str = "all"
    """Positions."""


ENTRY = SubmoduleEntry(
    name="{name}",
    sentence="{name}, for a test.",
    torch_module="{module}.torch_half:MODULE",
    settings=Settings,
    learning_rates=(1e-3, 3e-4, 3e-3),
    hyperparameters=(integer("{name}.rank", 1, 16), choice("{name}.where", "all", "first")),
)
'''


class Packages:
    """Installs packages into a folder, and takes them out again."""

    def __init__(self, folder: Path) -> None:
        """Begin without any."""
        self.folder = folder
        self.installed: list[Path] = []

    def install(self, name: str = "reft", package: str = "", *, version: str = "1.0", source: str = "") -> None:
        """Install a package that brings the method `name`.

        Args:
            name: The method's name.
            package: The distribution's name; unipelt-NAME without one.
            version: Its version.
            source: Its settings module; one like `SETTINGS` without one.
        """
        package = package or f"unipelt-{name}"
        module = package.replace("-", "_")
        place = self.folder / package
        place.mkdir(exist_ok=True)
        (place / f"{module}.py").write_text(source or SETTINGS.format(name=name, module=module))
        info = place / f"{module}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[unipelt_search.methods]\n{name} = {module}:ENTRY\n")
        sys.path.insert(0, str(place))
        self.installed.append(place)
        _forget(module)

    def remove_all(self) -> None:
        """Uninstall every package."""
        for place in self.installed:
            sys.path.remove(str(place))
            _forget(place.name.replace("-", "_"))
        self.installed.clear()
        _forget("")


def _forget(module: str) -> None:
    sys.modules.pop(module, None)
    importlib.invalidate_caches()
    reload_catalogue()


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Packages]:
    """Install packages for one test."""
    made = Packages(tmp_path)
    yield made
    made.remove_all()
