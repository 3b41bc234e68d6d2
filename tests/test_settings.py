from __future__ import annotations

import pytest

from unipelt_search.settings import DEFAULT_STORAGE, hub_is_offline, storage_url


def test_the_given_url_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNIPELT_STORAGE", raising=False)
    assert storage_url() == DEFAULT_STORAGE
    monkeypatch.setenv("UNIPELT_STORAGE", "sqlite:///b.db")
    assert storage_url() == "sqlite:///b.db"
    assert storage_url("sqlite:///c.db") == "sqlite:///c.db"


def test_offline_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub_is_offline()
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert not hub_is_offline()
