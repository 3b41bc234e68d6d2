from __future__ import annotations

import pytest

from unipelt_search.frozen import Frozen
from unipelt_search.methods.hyperparameter import Hyperparameter, choice, declared, fixed, integer, real


class Settings(Frozen):
    """Some settings."""

    rank: int = 8
    share: float = 0.5
    on: bool = False
    width: int | None = None


RANK, SHARE, ON, WIDTH = declared(
    Settings,
    integer("part.rank", 2, 64),
    real("part.share", 0.0, 1.0, 0.25, unless=("part.rank", 2)),
    fixed("part.on"),
    choice("part.width", None, 512),
    submodule="part",
)


def test_declared_hyperparameters_have_their_published_values() -> None:
    assert [parameter.published for parameter in (RANK, SHARE, ON, WIDTH)] == [8, 0.5, False, None]
    assert [parameter.published_text for parameter in (RANK, SHARE, ON, WIDTH)] == ["8", "0.5", "off", "none"]
    assert {parameter.submodule for parameter in (RANK, SHARE, ON, WIDTH)} == {"part"}
    assert (RANK.part, RANK.field) == ("part", "rank")
    (rate,) = declared(Settings, Hyperparameter(name="part.rate", kind="rate"))
    assert (rate.published, rate.published_text) == (None, "the method's")


def test_what_is_searched_is_written() -> None:
    texts = [parameter.searched_text for parameter in (RANK, SHARE, ON, WIDTH)]
    assert texts == ["2 to 64, logarithmic", "0 to 1, in steps of 0.25", "fixed", "none, 512"]
    assert [parameter.searched for parameter in (RANK, SHARE, ON, WIDTH)] == [True, True, False, True]


@pytest.mark.parametrize(("chosen", "acts"), [({}, True), ({"part.rank": 4}, True), ({"part.rank": 2}, False)])
def test_a_condition_looks_back(chosen: dict[str, int], acts: bool) -> None:
    assert SHARE.acts(chosen) == acts
    assert RANK.acts(chosen)
    assert SHARE.condition_text == "methods with part, unless part.rank is 2"
