from __future__ import annotations

import pytest

from unipelt_search.units import counted, format_bytes, format_difference, format_duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (1800, "30 min"), (3599.7, "1 h"),
        (7500, "2 h 05 min"), (7200, "2 h"), (7195, "2 h"),
    ],
)  # fmt: skip
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"), (640, "640 B"), (999.6, "1.0 kB"), (12_400_000, "12 MB"), (1_234_000_000, "1.2 GB"),
        (9_960_000_000, "10 GB"), (2e15, "2,000 TB"),
    ],
)  # fmt: skip
def test_bytes_are_written_in_the_largest_unit_that_fits(size: float, words: str) -> None:
    assert format_bytes(size) == words


@pytest.mark.parametrize(("share", "number"), [(0.0647, "0.06"), (0.3, "0.30"), (0.0049, "0.005")])
def test_a_difference_has_no_more_digits_than_is_known(share: float, number: str) -> None:
    assert format_difference(share) == f"{number} in accuracy"


def test_what_is_counted_is_in_the_plural_but_for_one() -> None:
    assert [counted(count, "seed") for count in (0, 1, 1200)] == ["0 seeds", "1 seed", "1,200 seeds"]
