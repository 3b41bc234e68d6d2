from __future__ import annotations

import pytest
from pydantic import ValidationError

from unipelt_search.frozen import Frozen, content_hash


class Point(Frozen):
    x: float
    y: float = 0.0


def test_values_are_frozen_finite_and_closed() -> None:
    with pytest.raises(ValidationError):
        Point(x=1).x = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Point(x=1, z=2)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="finite"):
        Point(x=float("nan"))


def test_the_hash_is_of_the_content_and_stable() -> None:
    assert Point(x=1).content_hash() == Point(x=1, y=0).content_hash()
    assert Point(x=1).content_hash() != Point(x=2).content_hash()
    assert content_hash({"b": 1, "a": 2}) == content_hash({"a": 2, "b": 1})
    # Written down once: a release that changes this would make every old study look changed.
    assert content_hash({"a": [1, 2.5, "é", None]}) == "70a336bf6dbfcd45"
