"""Configurations, questions, seeds, proposals and packs are what they were in release 0.1.0."""

from __future__ import annotations

from typing import Any

import pytest
from golden import identities
from golden.observed import EXACT, HASHES, PACKS, differences, read

KEPT: dict[str, Any] = read(HASHES)
KEPT_PACKS: dict[str, Any] = read(PACKS)
ROUNDED = 1e-5
"""Tolerance for logits in single precision, which add up in another order on another processor."""


@pytest.mark.parametrize("part", ["configurations", "questions", "seeds", "proposals"])
def test_content_and_seeds_are_the_same(part: str) -> None:
    assert KEPT[part]
    assert differences(KEPT[part], getattr(identities, part)(), EXACT) == []


@pytest.mark.parametrize("family", KEPT_PACKS)
def test_packs_hold_the_same_tensors(family: str) -> None:
    found = identities.packs_in_short(family)
    assert differences(KEPT_PACKS[family], found, ROUNDED) == []


def test_a_change_would_be_found() -> None:
    changed = identities.packs_in_short("bert")
    changed["lora"]["untrained"][0][0] += 1e-3
    changed["head"]["stored"].popitem()
    assert len(differences(KEPT_PACKS["bert"], changed, ROUNDED)) == 2
