from __future__ import annotations

import pytest

from unipelt_search.cli.durations import parse_duration
from unipelt_search.errors import RequestError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("1h30m", 5400), ("2h5m10s", 7510), (" 10M ", 600)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "", "0s", "-5m", "30 minutes", "m", "5m1h", "1e3s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_duration(text)
    assert all(words in str(caught.value) for words in ("--time", "30m", repr(text)))
