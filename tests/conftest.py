"""What holds for every test: no network, one thread, the same examples, no settings of whoever runs them."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Before anything imports torch or the hub's client: both read these only once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ.pop("UNIPELT_STORAGE", None)
# A change is judged by the same examples every time; HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("same", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that start Ray in one process, and begin with them.

    Two of its clusters on one machine would wait for each other. They take longest, so that the others fill the time.
    """
    for item in items:
        if item.get_closest_marker("ray") is not None:
            item.add_marker(pytest.mark.xdist_group("ray"))
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)
