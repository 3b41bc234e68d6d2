from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from unipelt_search import __version__
from unipelt_search.cli import doctor


def test_the_line_names_versions_and_what_the_machine_has() -> None:
    line = doctor.doctor_line()
    assert line.startswith(f"This machine: unipelt-search {__version__}, torch ")
    for fact in ("ray", "Python", "cores", "GiB memory free", "GiB disk free here", "HF_HUB_OFFLINE is set"):
        assert fact in line
    assert "\n" not in line


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "version", absent)
    assert "ray missing" in doctor.doctor_line()
