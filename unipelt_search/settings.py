"""The only reader of environment variables."""

from __future__ import annotations

import os

DEFAULT_STORAGE = "sqlite:///studies/studies.db"


def storage_url(given: str | None = None) -> str:
    """Return the database URL: the one given, else ``UNIPELT_STORAGE``, else the default.

    Args:
        given: What the user wrote after ``--storage``, if anything.

    Returns:
        A SQLAlchemy URL.
    """
    return given or os.environ.get("UNIPELT_STORAGE") or DEFAULT_STORAGE


def hub_is_offline() -> bool:
    """Tell whether the Hugging Face hub was switched off by ``HF_HUB_OFFLINE``."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def failpoints() -> str:
    """Return the faults that are to be injected, from ``UNIPELT_FAILPOINTS``; empty outside of tests."""
    return os.environ.get("UNIPELT_FAILPOINTS", "")
