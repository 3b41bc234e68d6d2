from __future__ import annotations

import pytest

from unipelt_search.records.report import Difference, Interval
from unipelt_search.reporting import words


def test_numbers_as_people_read_them() -> None:
    assert words.interval(Interval(mean=0.8125, sd=0.01, low=0.80, high=0.825)) == "0.812 ± 0.012"
    assert words.interval(Interval(mean=0.5, sd=None, low=None, high=None)) == "0.500"
    assert words.interval(None) == words.score(None) == words.count(None) == words.number(None) == "–"
    assert words.difference(Difference(mean=-0.01, low=-0.03, high=0.01)) == "−0.010 ± 0.020"
    assert words.difference(Difference(mean=0.01, low=None, high=None)) == "+0.010"
    assert words.signed(-0.0004) == words.signed(0.0004) == "0.000"
    assert words.count(1234567) == "1,234,567"
    assert [words.short_count(n) for n in (0, 950, 2310, 76_038, 999_900, 22_567_686, 10**9)] == [
        "0", "950", "2.31k", "76k", "1M", "22.6M", "1G",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12 s"), (89, "89 s"), (125, "2 min 5 s"), (5399, "89 min 59 s"), (7260, "2 h 1 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text
